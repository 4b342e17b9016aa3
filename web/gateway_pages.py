"""Pages of a gateway: health and metrics, where it is started `--with-web`.

Importing this module adds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.bootstrap.apps import gateway
from ledger_streams.bootstrap.kafka_checks import close_kafka_checks, kafka_state
from web.routes import add_health


async def readiness() -> Mapping[str, str]:
    """Say whether the gateway reads all that is assigned to it, and whether its topics are there."""
    return {"requests": gateway.readiness, "kafka": await kafka_state("gateway")}


add_health(gateway, readiness)
gateway.before_stop.append(close_kafka_checks)
