"""What Faust's `-A` is pointed at: a module, since Faust imports what it is given by that name.

`app` is the name that Faust looks for in a module.
"""

from __future__ import annotations

from ledger_streams.bootstrap.apps import api, gateway, projector
from ledger_streams.bootstrap.apps import ledger as app

__all__ = ["api", "app", "gateway", "projector"]
