"""provider-requests -> providers -> saga-events.

The agent sends each order of a saga to the payment's provider and the outcome back to the saga.
An unknown outcome is reported as well; the saga decides when to ask again and when to give up.
The calls precede the transaction, so a call may be made twice, under one idempotency key; its
outcome is committed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.saga_events import SagaEvents
from ledger_streams import wire
from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderReply,
    ProviderTimedOut,
)
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga.commands import CancelPayment, CarryOutPayment, ProviderOrder
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unavailable, Unreadable
from ledger_streams.ports import Breakers, ProviderAnswer, Providers, Unsettled
from ledger_streams.ports import ProviderOrder as Order
from ledger_streams.wire.provider_requests import OrderRecord

ReceivedOrder = tuple[OrderRecord, int]
"""An order, and the append time of its record in ms."""


@dataclass(frozen=True, slots=True)
class ProviderCalls:
    """The providers' client, and the circuit breakers around its calls."""

    providers: Providers
    breakers: Breakers


class ProvidersAgent:
    """Calls providers and sends their outcomes to sagas."""

    def __init__(
        self,
        open_calls: Callable[[], Awaitable[ProviderCalls]],
        *,
        provider_requests: PartitionedTopic,
        saga_events: SagaEvents,
    ) -> None:
        """`open_calls` returns the connections and opens them when it is first awaited."""
        self._open_calls = open_calls
        self._provider_requests = provider_requests
        self._saga_events = saga_events

    async def process(self, topic_batches: Any) -> None:
        """provider-requests -> providers -> saga-events."""
        topic_batch: TopicBatch
        async for topic_batch in topic_batches:
            with topic_batch as batches:
                calls = await self._open_calls()
                async with asyncio.TaskGroup() as running:
                    for batch in batches:
                        for orders in by_payment(self._read(batch)):
                            running.create_task(self._execute(batch, orders, calls))

    def _read(self, batch: PartitionBatch) -> Sequence[ReceivedOrder]:
        """Read all orders before the first call; park records that cannot be read."""
        received: list[ReceivedOrder] = []
        for record in batch.records:
            try:
                order = wire.read_order(record.value, key=record.key)
                self._provider_requests.check_partition(record)
                received.append((order, record.timestamp))
            except Unreadable as error:
                park(batch, record, error)
        return received

    async def _execute(
        self, batch: PartitionBatch, orders: Sequence[ReceivedOrder], calls: ProviderCalls
    ) -> None:
        """Call the provider once an order, in order, and send its answers to the saga."""
        for received, append_ms in orders:
            reply = await answer(received.order, calls)
            self._saga_events.send_saga_event(batch, reply, cause=received.event_id, append_ms=append_ms)


def by_payment(received: Sequence[ReceivedOrder]) -> Sequence[Sequence[ReceivedOrder]]:
    """Group the orders by payment: those of one payment run in order, payments run concurrently."""
    payments: dict[str, list[ReceivedOrder]] = {}
    for one in received:
        payments.setdefault(one[0].order.payment_id, []).append(one)
    return list(payments.values())


async def answer(order: ProviderOrder, calls: ProviderCalls) -> ProviderReply:
    """Return the outcome of an order; an unknown provider or an open breaker is not called."""
    about = (order.payment_id, order.saga_version, order.provider, order.amount_minor, order.currency)
    if not calls.providers.knows(order.provider):
        return ProviderTimedOut(*about, "LEDGER_PROVIDERS of this gateway has no provider of this name")
    if not await calls.breakers.allow_call(order.provider):
        return ProviderTimedOut(*about, "not asked: the circuit breaker is open")
    try:
        said = await call(order, calls)
    except Unsettled as error:  # the provider is up: one payment's unknown outcome must not open its breaker
        await calls.breakers.record_success(order.provider)
        return ProviderTimedOut(*about, error.detail)
    except Unavailable as error:
        await calls.breakers.record_failure(order.provider)
        return ProviderTimedOut(*about, error.detail)
    await calls.breakers.record_success(order.provider)
    if said.status == "approved":
        return ProviderApproved(*about, said.detail)
    reason = order.reason if isinstance(order, CancelPayment) else Reason.PROVIDER_DECLINED
    return ProviderDeclined(*about, reason, said.detail)


async def call(order: ProviderOrder, calls: ProviderCalls) -> ProviderAnswer:
    """Call the provider; raises Unavailable when the outcome is unknown."""
    key = wire.idempotency_key(order.payment_id)
    if not isinstance(order, CarryOutPayment):
        return await calls.providers.cancel(order.provider, key)
    amount = format_amount(order.amount_minor, order.currency)
    content = Order(key, order.payment_id, order.kind.value, amount, order.currency)
    return await calls.providers.carry_out(order.provider, content)
