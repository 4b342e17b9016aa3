"""payment-events, saga-events, wallet-events -> PostgreSQL -> Redis.

Three agents of the projector's app; each turns its records into rows.  What the
ledger's agents have parked is not an event, and is passed over here by the same test;
what cannot be projected for another reason is parked in PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from ledger_streams import topics
from ledger_streams.bootstrap.apps import projector
from ledger_streams.engine.batches import TopicBatch
from ledger_streams.engine.projection_batch import ProjectionBatch, RowsOf
from ledger_streams.settings import settings
from tables.read_model_rows import project_payment_event, project_saga_event, project_wallet_event

PAYMENT_EVENTS = settings().topic(topics.PAYMENT_EVENTS)
SAGA_EVENTS = settings().topic(topics.SAGA_EVENTS)
WALLET_EVENTS = settings().topic(topics.WALLET_EVENTS)


@projector.agent(projector.topic_batches(PAYMENT_EVENTS), name="payment-projection")
async def payment_projection(frames: Any) -> None:
    """payment-events -> events, payments."""
    await project(frames, project_payment_event)


@projector.agent(projector.topic_batches(SAGA_EVENTS), name="saga-projection")
async def saga_projection(frames: Any) -> None:
    """saga-events -> events."""
    await project(frames, project_saga_event)


@projector.agent(projector.topic_batches(WALLET_EVENTS), name="wallet-projection")
async def wallet_projection(frames: Any) -> None:
    """wallet-events -> wallet_events, wallet_snapshots, postings, cache."""
    await project(frames, project_wallet_event)


async def project(frames: Any, to_rows: RowsOf) -> None:
    """Turn the records of each frame into rows."""
    frame: TopicBatch
    async for frame in frames:
        with frame as shares:
            for share in shares:
                assert isinstance(share, ProjectionBatch), "the projector's committer makes the shares"
                share.rows_of = to_rows
                for record in share.records:
                    share.project(record)
