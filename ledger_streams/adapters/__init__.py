"""Adapters: each port on its real technology, one folder a technology.

An adapter gets plain parameters (a DSN, a URL, a pool), never the settings, and raises
`Unavailable` when its technology is unavailable.  SQL is in `postgres/sql/`.
"""
