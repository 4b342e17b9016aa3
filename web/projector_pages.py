"""Pages of a projector: health and metrics, where it is started `--with-web`.

Importing this module adds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.app import projector
from web.routes import add_health


async def readiness() -> Mapping[str, str]:
    """Say whether the projector reads all that is assigned to it."""
    return {"projections": projector.readiness}


add_health(projector, readiness)
