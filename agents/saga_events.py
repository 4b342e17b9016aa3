"""saga-events: agents send events to a payment's saga, and the saga agent reads them."""

from __future__ import annotations

from agents.decoded_cache import DecodedRecordCache
from ledger_streams import wire
from ledger_streams.domain.events import SagaEvent
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, Record


class SagaEvents:
    """The topic saga-events, with the decoded events that this worker has sent to it."""

    def __init__(self, topic: PartitionedTopic) -> None:
        self._topic = topic
        self._decoded: DecodedRecordCache[wire.SagaRecord] = DecodedRecordCache()

    def send_saga_event(
        self, batch: PartitionBatch, event: SagaEvent, *, cause: str | None, append_ms: int
    ) -> None:
        """Send an event to its payment's saga; `cause` is the id of the record, appended then, it follows."""
        key = event.payment_id.encode()
        value, decoded = wire.write_saga_event(event, causation_id=cause, append_ms=append_ms)
        if batch.store is not None:  # a gateway has no table and consumes no saga-events
            self._decoded.keep(key, value, decoded)
        batch.emit(self._topic.for_key(key), (key, value, ()))

    def read_saga_event(self, record: Record) -> wire.SagaRecord:
        """Return the event of a record; raises Unreadable."""
        read = self._decoded.take(record.key, record.value) or wire.read_saga_event(
            record.value, key=record.key
        )
        self._topic.check_partition(record)
        return read
