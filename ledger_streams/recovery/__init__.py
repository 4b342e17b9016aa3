"""Recovery: projections rebuilt from the log, and the log rebuilt from PostgreSQL."""
