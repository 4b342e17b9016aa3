"""Reconciliation: log, PostgreSQL, Redis and RocksDB compared."""
