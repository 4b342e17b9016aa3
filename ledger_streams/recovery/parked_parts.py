"""Rows of a parked record that is retried, made by the projector's own functions."""

from __future__ import annotations

from collections.abc import Mapping

from faust.types import TP

from ledger_streams import topics
from ledger_streams.adapters.postgres.parked_rows import Part
from ledger_streams.engine.projection_batch import ProjectionBatch, RowsOf
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.settings import Settings
from tables.read_model_rows import project_payment_event, project_saga_event, project_wallet_event


def rows_of(config: Settings) -> Mapping[str, RowsOf]:
    """Return the projection function of each topic, by the topic's full name."""
    return {
        config.topic(topics.PAYMENT_EVENTS): project_payment_event,
        config.topic(topics.SAGA_EVENTS): project_saga_event,
        config.topic(topics.WALLET_EVENTS): project_wallet_event,
    }


def part_of(config: Settings, record: SyntheticRecord) -> Part:
    """Return the rows of a parked record, or the refusal."""
    share = ProjectionBatch(TP(record.topic, record.partition), (), source_next=record.offset + 1)
    share.rows_of = rows_of(config)[record.topic]
    return share.part(record)
