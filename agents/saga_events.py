"""saga-events: how every agent tells a payment's saga what has happened."""

from __future__ import annotations

from ledger_streams import topics, wire
from ledger_streams.destinations import destination
from ledger_streams.domain.events import SagaEvent
from ledger_streams.engine.cycles import Share

SAGA_EVENTS = destination(topics.SAGA_EVENTS)


def tell_saga(share: Share, event: SagaEvent, *, cause: str | None, append_ms: int) -> None:
    """Send an event to its payment's saga; `cause` is the id of the record, appended then, it follows."""
    key = event.payment_id.encode()
    value = wire.encode_saga_event(event, causation_id=cause, append_ms=append_ms)
    share.emit(SAGA_EVENTS.of(key), (key, value, ()))
