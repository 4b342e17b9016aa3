"""The apps for Faust's `-A`, which takes a module and looks for a name in it (`app` by default)."""

from __future__ import annotations

from ledger_streams.bootstrap.apps import api, gateway, projector
from ledger_streams.bootstrap.apps import ledger as app

__all__ = ["api", "app", "gateway", "projector"]
