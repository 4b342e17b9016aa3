"""Pages of a gateway that was started with `--with-web`: health and metrics.

Importing this module adds the pages to the app.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.bootstrap.apps import gateway
from ledger_streams.bootstrap.kafka_checks import close_kafka_checks, kafka_state
from web.routes import add_health


async def readiness() -> Mapping[str, str]:
    """Return whether the gateway reads all its assigned partitions, and whether its topics exist."""
    return {"requests": gateway.readiness, "kafka": await kafka_state("gateway")}


add_health(gateway, readiness)
gateway.before_stop.append(close_kafka_checks)
