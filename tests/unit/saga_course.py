"""A saga's course so far: the events of one payment, decided one after the other."""

from __future__ import annotations

from ledger_streams.domain.events import SagaEvent
from ledger_streams.domain.saga.decisions import NOTHING, SagaDecision, decide, decide_due
from ledger_streams.domain.saga.state import Saga
from tests.model.samples import AT_MS


def run(*events: SagaEvent) -> tuple[Saga, SagaDecision]:
    """Return the saga after the events and the decision on the last."""
    saga: Saga | None = None
    decision = NOTHING
    for at_ms, event in enumerate(events, AT_MS):
        decision = decide(saga, event, at_ms=at_ms)
        saga = decision.saga or saga
    assert saga is not None
    return saga, decision


def past(saga: Saga) -> tuple[Saga, SagaDecision]:
    """Return the saga after its deadline has come, and the decision on it."""
    assert saga.due_ms is not None
    decision = decide_due(saga, saga.due_ms)
    assert decision.saga is not None
    return decision.saga, decision
