"""Pages of a gateway: health and metrics, where it is started `--with-web`.

Importing this module adds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.app import gateway
from web.routes import add_health


async def readiness() -> Mapping[str, str]:
    """Say whether the gateway reads all that is assigned to it."""
    return {"requests": gateway.readiness}


add_health(gateway, readiness)
