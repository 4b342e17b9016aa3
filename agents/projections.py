"""payment-events, saga-events, wallet-events -> PostgreSQL -> Redis.

Three agents of the projector's app, one a topic; each turns its records into rows.  A record
that the ledger's agents have parked is no event: the projector's readers reject it by the same
test, and it is skipped.  A record that cannot be projected for another reason is parked in
PostgreSQL.
"""

from __future__ import annotations

from typing import Any

from ledger_streams.engine.batches import TopicBatch
from ledger_streams.engine.projection_batch import ProjectionBatch, RowsOf
from tables.read_model_rows import project_payment_event, project_saga_event, project_wallet_event


async def project_payments(topic_batches: Any) -> None:
    """payment-events -> events, payments."""
    await project(topic_batches, project_payment_event)


async def project_sagas(topic_batches: Any) -> None:
    """saga-events -> events."""
    await project(topic_batches, project_saga_event)


async def project_wallets(topic_batches: Any) -> None:
    """wallet-events -> wallet_events, wallet_snapshots, postings, cache."""
    await project(topic_batches, project_wallet_event)


async def project(topic_batches: Any, to_rows: RowsOf) -> None:
    """Turn the records of each topic batch into rows."""
    topic_batch: TopicBatch
    async for topic_batch in topic_batches:
        with topic_batch as batches:
            for batch in batches:
                assert isinstance(batch, ProjectionBatch), "the projector's committer makes the batches"
                batch.rows_of = to_rows
                for record in batch.records:
                    batch.project(record)
