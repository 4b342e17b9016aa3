"""Ours: a worker on the real engine, with only the wallets agent and its table.

Exactly once.  The table's changelog is wallet-events; an outcome is the reply on
saga-events.  The worker command gets this module by Faust's `-A`.
"""

from __future__ import annotations

from ledger_streams.bootstrap.apps import wallets_app
from ledger_streams.settings import settings

app = wallets_app(settings())
