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

from ledger_streams import topics, wire
from ledger_streams.app import gateway
from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderReply,
    ProviderTimedOut,
)
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga_commands import CancelPayment, CarryOutPayment, ProviderOrder
from ledger_streams.engine.cycles import Destination, Frame, Record, Share
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unavailable, Unreadable
from ledger_streams.gateway_wiring import ProviderCalls, ProviderConnections
from ledger_streams.ports import ProviderAnswer
from ledger_streams.ports import ProviderOrder as Order
from ledger_streams.settings import settings

SOURCE = settings().topic(topics.PROVIDER_REQUESTS)
SAGA_EVENTS = Destination(settings().topic(topics.SAGA_EVENTS), topics.spec(topics.SAGA_EVENTS).partitions)


@gateway.agent(gateway.frames(SOURCE), name="providers")
async def providers(frames: Any) -> None:
    """provider-requests -> providers -> saga-events."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            calls = await ProviderConnections.opened()
            async with asyncio.TaskGroup() as at_once:
                for share in shares:
                    for records in by_payment(share.records):
                        at_once.create_task(carry_out(share, records, calls))


def by_payment(records: Sequence[Record]) -> Sequence[Sequence[Record]]:
    """Return the records of each payment, in order: they are for one another, payments are not."""
    payments: dict[bytes | None, list[Record]] = {}
    for record in records:
        payments.setdefault(record.key, []).append(record)
    return list(payments.values())


async def carry_out(share: Share, records: Sequence[Record], calls: ProviderCalls) -> None:
    """Ask what each record asks, one after the other; park what cannot be read."""
    for record in records:
        try:
            read = wire.read_order(record.value, key=record.key)
        except Unreadable as error:
            park(share, record, error)
            continue
        reply = await answer(read.order, calls)
        key = reply.payment_id.encode()
        value = wire.encode_saga_event(reply, causation_id=read.event_id, append_ms=record.timestamp)
        share.emit(SAGA_EVENTS.of(key), (key, value, ()))


async def answer(order: ProviderOrder, calls: ProviderCalls) -> ProviderReply:
    """Ask the provider, unless there is none of this name or its breaker is open; say what came of it."""
    about = (order.payment_id, order.saga_version, order.provider, order.amount_minor, order.currency)
    if not calls.providers.knows(order.provider):
        return ProviderTimedOut(*about, "LEDGER_PROVIDERS of this gateway has no provider of this name")
    if not await calls.breakers.allows(order.provider):
        return ProviderTimedOut(*about, "not asked: the circuit breaker is open")
    try:
        said = await asked(order, calls)
    except Unavailable as error:
        await calls.breakers.failed(order.provider)
        return ProviderTimedOut(*about, error.detail)
    await calls.breakers.succeeded(order.provider)
    if said.status == "approved":
        return ProviderApproved(*about, said.detail)
    reason = order.reason if isinstance(order, CancelPayment) else Reason.PROVIDER_DECLINED
    return ProviderDeclined(*about, reason, said.detail)


async def asked(order: ProviderOrder, calls: ProviderCalls) -> ProviderAnswer:
    """Call the provider; raises Unavailable when the outcome is unknown."""
    key = wire.idempotency_key(order.payment_id)
    if not isinstance(order, CarryOutPayment):
        return await calls.providers.cancel(order.provider, key)
    amount = format_amount(order.amount_minor, order.currency)
    content = Order(key, order.payment_id, order.kind.value, amount, order.currency)
    return await calls.providers.carry_out(order.provider, content)
