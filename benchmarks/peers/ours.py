"""Ours: a worker on the real engine, with the wallets agent and its table and no other.

Exactly once.  The table's changelog is wallet-events, an outcome is the reply on saga-events.
Named to the worker command by Faust's `-A`.
"""

from __future__ import annotations

from ledger_streams.bootstrap.apps import wallets_app
from ledger_streams.settings import settings

app = wallets_app(settings())
