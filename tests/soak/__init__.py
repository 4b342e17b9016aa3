"""The soak: random nemeses on one system for a given time."""
