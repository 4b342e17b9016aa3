"""provider-requests -> providers -> saga-events.

Asks each payment's provider what its saga wants done, and tells the saga what came of it.
A call whose outcome nobody knows is an answer too: when to ask again, and when to give up,
the saga decides.  Calls come first and the transaction after them, so a call may be made
twice, under one idempotency key; its answer is committed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from agents.saga_events import tell_saga
from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import gateway
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.bootstrap.provider_clients import ProviderCalls, ProviderConnections
from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderReply,
    ProviderTimedOut,
)
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga.commands import CancelPayment, CarryOutPayment, ProviderOrder
from ledger_streams.engine.batches import Frame, Share
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unavailable, Unreadable
from ledger_streams.ports import ProviderAnswer, Unsettled
from ledger_streams.ports import ProviderOrder as Order
from ledger_streams.settings import settings
from ledger_streams.wire.provider_requests import OrderRecord

PROVIDER_REQUESTS = destination(topics.PROVIDER_REQUESTS)
SOURCE = settings().topic(topics.PROVIDER_REQUESTS)

Asked = tuple[OrderRecord, int]
"""An order, and the append time of its record in ms."""


@gateway.agent(gateway.frames(SOURCE), name="providers")
async def providers(frames: Any) -> None:
    """provider-requests -> providers -> saga-events."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            calls = await ProviderConnections.opened()
            async with asyncio.TaskGroup() as at_once:
                for share in shares:
                    for orders in by_payment(read(share)):
                        at_once.create_task(carry_out(share, orders, calls))


def read(share: Share) -> Sequence[Asked]:
    """Read what is asked, in order, before anything is called; park what cannot be read."""
    asked: list[Asked] = []
    for record in share.records:
        try:
            order = wire.read_order(record.value, key=record.key)
            PROVIDER_REQUESTS.check_place(record)
            asked.append((order, record.timestamp))
        except Unreadable as error:
            park(share, record, error)
    return asked


def by_payment(asked: Sequence[Asked]) -> Sequence[Sequence[Asked]]:
    """Return the orders of each payment: they come one after the other, those of others at once."""
    payments: dict[str, list[Asked]] = {}
    for one in asked:
        payments.setdefault(one[0].order.payment_id, []).append(one)
    return list(payments.values())


async def carry_out(share: Share, orders: Sequence[Asked], calls: ProviderCalls) -> None:
    """Ask the provider what is asked of it, one after the other, and send its answers."""
    for asked, append_ms in orders:
        reply = await answer(asked.order, calls)
        tell_saga(share, reply, cause=asked.event_id, append_ms=append_ms)


async def answer(order: ProviderOrder, calls: ProviderCalls) -> ProviderReply:
    """Ask the provider, unless there is none of this name or its breaker is open; say what came of it."""
    about = (order.payment_id, order.saga_version, order.provider, order.amount_minor, order.currency)
    if not calls.providers.knows(order.provider):
        return ProviderTimedOut(*about, "LEDGER_PROVIDERS of this gateway has no provider of this name")
    if not await calls.breakers.allow_call(order.provider):
        return ProviderTimedOut(*about, "not asked: the circuit breaker is open")
    try:
        said = await call(order, calls)
    except Unsettled as error:  # it is there: one payment's trouble must not keep others from it
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
