"""saga-events: how every agent tells a payment's saga what has happened, and what the saga hears."""

from __future__ import annotations

from typing import Final

from agents.decoded_cache import DecodedRecordCache
from ledger_streams import topics, wire
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.events import SagaEvent
from ledger_streams.engine.batches import PartitionBatch, Record

SAGA_EVENTS = destination(topics.SAGA_EVENTS)
_decoded: Final[DecodedRecordCache[wire.SagaRecord]] = DecodedRecordCache()


def send_saga_event(share: PartitionBatch, event: SagaEvent, *, cause: str | None, append_ms: int) -> None:
    """Send an event to its payment's saga; `cause` is the id of the record, appended then, it follows."""
    key = event.payment_id.encode()
    value, told = wire.write_saga_event(event, causation_id=cause, append_ms=append_ms)
    if share.store is not None:  # who has no table hears nothing: the gateway
        _decoded.keep(key, value, told)
    share.emit(SAGA_EVENTS.for_key(key), (key, value, ()))


def read_saga_event(record: Record) -> wire.SagaRecord:
    """Return what a saga has been told; raises Unreadable."""
    told = _decoded.take(record.key, record.value) or wire.read_saga_event(record.value, key=record.key)
    SAGA_EVENTS.check_partition(record)
    return told
