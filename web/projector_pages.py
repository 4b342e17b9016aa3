"""Pages of a projector that was started with `--with-web`: health and metrics.

Importing this module adds the pages to the app.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.bootstrap.apps import projector
from ledger_streams.bootstrap.kafka_checks import close_kafka_checks, kafka_state
from ledger_streams.engine.projection_committer import ProjectionCommitter
from ledger_streams.engine.state.takeover_progress import PublicText
from web.routes import add_health


async def readiness() -> Mapping[str, str]:
    """Return whether the projector reads its partitions, its topics exist, and records are parked."""
    committer = projector.committer
    parked = committer.parked if isinstance(committer, ProjectionCommitter) else 0
    words = PublicText(f"{parked} wait: ledger-streams projections parked list") if parked else "ok"
    return {
        "projections": projector.readiness,
        "kafka": await kafka_state("projector"),
        "parked_records": words,
    }


add_health(projector, readiness)
projector.before_stop.append(close_kafka_checks)
