"""Adapters: each port on its real technology, and in-memory twins of those that tests profit from.

Files are named `technology_port`.  An adapter is given plain parameters (a DSN,
a URL, a pool), never the settings, and says `Unavailable` when its technology is
away.  SQL lives in `sql/`, as SQL.
"""
