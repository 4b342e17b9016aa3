"""The contract of lists of payments, for PostgreSQL and for its twin in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from ledger_streams.adapters.postgres.views import wire_time
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.ports import PaymentView, ReadModel
from ledger_streams.ports.payment_lists import PaymentsAsked, Place
from ledger_streams.wire import parse_time
from tests.contract.conftest import Projections
from tests.projected import Story, new_id


async def ids(read: ReadModel, **asked: Any) -> list[str]:
    return [
        view.payment_id
        for view in await read.payments_listed(PaymentsAsked(asked.pop("limit", 100), **asked))
    ]


def place(view: PaymentView) -> Place:
    assert view.requested_at is not None
    return Place(parse_time(view.requested_at), view.payment_id)


async def test_nothing_is_listed_before_it_is_projected(projections: Projections) -> None:
    assert await ids(projections.read) == []
    assert (
        await ids(projections.read, wallet_id=new_id(), user_id=new_id(), status=PaymentStatus.FAILED) == []
    )


async def test_payments_are_listed_by_wallet_user_status_and_time_the_newest_first(
    projections: Projections,
) -> None:
    story, read, user_id = Story(), projections.read, new_id()
    ada, bob = story.open(), story.open()
    one = story.deposit(ada, 1000)
    two = story.request(source=ada, target=bob, amount_minor=100, user_id=user_id)
    three = story.request(target=bob, amount_minor=100, user_id=user_id)
    story.end(three, {}, reason="wallet_frozen")
    four = story.request(source=ada, target=ada, amount_minor=100)
    story.end(four, {}, reason="same_wallet")
    five = story.deposit(bob, 500)
    story.refund(five, 100, paid_minor=500)
    await projections.write(story.batch())
    assert await ids(read) == [five, four, three, two, one]
    assert await ids(read, limit=2) == [five, four]
    assert await ids(read, wallet_id=ada) == [four, two, one], "a payment to itself is listed once"
    assert await ids(read, wallet_id=bob) == [five, three, two]
    assert await ids(read, user_id=user_id) == [three, two]
    assert await ids(read, user_id=user_id, wallet_id=ada) == [two]
    assert await ids(read, status=PaymentStatus.PENDING) == [two]
    assert await ids(read, status=PaymentStatus.COMPLETED) == [one]
    assert await ids(read, status=PaymentStatus.FAILED) == [four, three]
    assert await ids(read, status=PaymentStatus.PARTIALLY_REFUNDED, wallet_id=bob) == [five]
    assert await ids(read, status=PaymentStatus.REFUNDED) == []
    assert await ids(read, status=PaymentStatus.FAILED, user_id=user_id) == [three]
    times = [place(view).requested_at for view in await read.payments_listed(PaymentsAsked(100))]
    assert await ids(read, since=times[2]) == [five, four, three], "from is in"
    assert await ids(read, before=Place(times[2])) == [two, one], "to is not"
    assert await ids(read, since=times[3], before=Place(times[1]), wallet_id=bob) == [three, two]


async def test_pages_of_a_list_neither_repeat_nor_omit_a_payment_while_others_arrive_and_end(
    projections: Projections,
) -> None:
    """Twelve payments in pages of five, four of them of one moment; others come between the pages."""
    story, read = Story(), projections.read
    wallet_id = story.open()
    moment = story.now + timedelta(minutes=1)
    asked = [
        story.request(
            target=wallet_id, amount_minor=100, occurred_at=moment if number in range(4, 8) else None
        )
        for number in range(12)
    ]
    await projections.write(story.batch())
    seen: list[PaymentView] = []
    before = PaymentsAsked(5).before
    while page := await read.payments_listed(PaymentsAsked(5, wallet_id=wallet_id, before=before)):
        seen += page
        before = place(page[-1])
        story.now = max(story.now, moment + timedelta(hours=len(seen)))
        story.request(target=wallet_id, amount_minor=1)
        story.end(asked[len(seen) - 1], {})
        await projections.write(story.batch())
    assert sorted(view.payment_id for view in seen) == sorted(asked)
    places = [place(view) for view in seen]
    assert places == sorted(places, reverse=True)


async def test_a_payment_shows_the_refunded_payment_metadata_hold_provider_and_times(
    projections: Projections,
) -> None:
    story, read, user_id, hold_id = Story(), projections.read, new_id(), new_id()
    wallet_id = story.open()
    held = story.request(
        source=wallet_id,
        amount_minor=100,
        metadata={"order": 17, "note": "é"},
        user_id=user_id,
        hold_id=hold_id,
    )
    requested_at = story.now
    refund = story.request(amount_minor=100, kind="refund", refund_of=held)
    story.payment_event(refund, "RefundGranted", 2, {"provider": "acme"})
    story.end(refund, {}, reason="limit_exceeded", detail="data.amount: 0.00 EUR are left")
    await projections.write(story.batch())
    alone = await read.payments([held, refund])
    listed = await read.payments_listed(PaymentsAsked(10))
    assert [msgspec.structs.replace(alone[key], steps=()) for key in (refund, held)] == listed
    shown = alone[held]
    assert msgspec.json.decode(shown.metadata or b"") == {"order": 17, "note": "é"}
    assert (shown.user_id, shown.hold_id, shown.provider) == (user_id, hold_id, None)
    assert (shown.requested_at, shown.ended_at) == (wire_time(requested_at), None)
    failed = alone[refund]
    assert (failed.kind, failed.refund_of, failed.provider) == ("refund", held, "acme")
    assert (failed.reason, failed.detail) == ("limit_exceeded", "data.amount: 0.00 EUR are left")
    assert (failed.metadata, failed.ended_at) == (None, wire_time(story.now))


@pytest.mark.parametrize("characters", [4000, 5000])
async def test_a_list_shows_metadata_up_to_four_kibibytes_and_a_single_payment_shows_all_of_it(
    characters: int, projections: Projections
) -> None:
    story, read = Story(), projections.read
    payment_id = story.request(target=story.open(), amount_minor=100, metadata={"note": "x" * characters})
    await projections.write(story.batch())
    (listed,) = await read.payments_listed(PaymentsAsked(10))
    alone = await read.payment(payment_id)
    assert alone is not None
    assert alone.metadata is not None
    assert len(bytes(alone.metadata)) > characters
    assert (listed.metadata is None) is (characters > 4096)


async def test_a_failure_without_a_readable_request_is_listed_by_the_time_of_its_end(
    projections: Projections,
) -> None:
    story, payment_id = Story(), new_id()
    story.end(payment_id, {}, reason="invalid")
    await projections.write(story.batch())
    (listed,) = await projections.read.payments_listed(PaymentsAsked(10))
    assert (listed.payment_id, listed.requested_at, listed.ended_at) == (
        payment_id,
        wire_time(story.now),
        wire_time(story.now),
    )
