"""The contract of `ReadModel`, for PostgreSQL and for its twin in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.errors import Unavailable
from ledger_streams.ports import HoldView, UnderWay
from tests.contract.conftest import Projections
from tests.projected import Story, new_id


async def test_a_wallet_is_unknown_before_it_is_projected(projections: Projections) -> None:
    read, unknown = projections.read, new_id()
    assert await read.wallet(unknown) is None
    assert await read.payment(unknown) is None
    assert await read.wallets_of_user(unknown, after="", limit=10) == []
    assert await read.wallet_events(unknown, after_version=0, limit=10) == []
    assert await read.payments([unknown]) == await read.payments([]) == {}
    assert await read.known_payments([unknown]) == {}
    assert await read.outcomes([unknown]) == {}
    assert await read.outcomes([]) == {}
    assert await read.holds(unknown) == []
    assert await read.hold_event(unknown, unknown) is None


async def test_a_wallet_is_its_last_event(projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    story.deposit(wallet_id, 1050)
    await projections.write(story.batch())
    wallet = await projections.read.wallet(wallet_id)
    assert wallet is not None
    assert (wallet.wallet_id, wallet.status, wallet.version) == (wallet_id, "open", 2)
    assert wallet.balances["EUR"].balance == "10.50"
    assert wallet.user_id == story.wallets[wallet_id].user_id
    assert wallet.as_of.endswith(".000000Z")


async def test_a_wallet_as_of_a_time_is_its_last_event_until_then(projections: Projections) -> None:
    story = Story()
    before = story.now
    wallet_id = story.open()
    opened = story.now
    story.deposit(wallet_id, 100)
    await projections.write(story.batch())

    async def version_at(at_s: float) -> int | None:
        wallet = await projections.read.wallet_at(wallet_id, opened + timedelta(seconds=at_s))
        return wallet.version if wallet else None

    assert await projections.read.wallet_at(wallet_id, before) is None
    assert [await version_at(at_s) for at_s in (0, 1.999999, 2, 9_999)] == [1, 1, 2, 2]


async def test_a_users_wallets_are_ordered_by_id(projections: Projections) -> None:
    story, user_id = Story(), new_id()
    mine = sorted(story.open(user_id) for _ in range(3))
    story.open()
    await projections.write(story.batch())
    read = projections.read
    for after, limit, ids in (("", 10, mine), ("", 2, mine[:2]), (mine[1], 2, mine[2:]), (mine[2], 2, [])):
        wallets = await read.wallets_of_user(user_id, after=after, limit=limit)
        assert [wallet.wallet_id for wallet in wallets] == ids


async def test_wallet_events_are_pages_of_the_records_as_they_were(projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    payment_id = story.deposit(wallet_id, 100)
    story.deposit(wallet_id, 200)
    batch = story.batch()
    await projections.write(batch)
    page = await projections.read.wallet_events(wallet_id, after_version=1, limit=1)
    assert [dict(envelope) for envelope in page] == [
        {
            "event_id": batch.wallet_events[1].event_id,
            "event_type": "BalanceAdded",
            "schema_version": 1,
            "aggregate_id": wallet_id,
            "event_version": 2,
            "occurred_at": "2026-11-24T22:00:03.000000Z",
            "correlation_id": payment_id,
            "causation_id": None,
            "data": {"payment_id": payment_id, "amount": "1.00", "currency": "EUR"},
            "wallet": page[0]["wallet"],
        }
    ]
    assert page[0]["wallet"]["balances"]["EUR"]["balance"] == "1.00"


async def test_the_event_of_a_command_is_found_by_the_command(projections: Projections) -> None:
    story, command_id = Story(), new_id()
    wallet_id = story.open(command_id=command_id)
    await projections.write(story.batch())
    event = await projections.read.wallet_event_of(wallet_id, command_id)
    assert event is not None
    assert (event["event_type"], event["causation_id"]) == ("WalletOpened", command_id)
    assert await projections.read.wallet_event_of(wallet_id, new_id()) is None


async def test_a_payment_is_pending_until_its_outcome(projections: Projections) -> None:
    story = Story()
    payment_id = story.request(target=story.open(), amount_minor=1000)
    await projections.write(story.batch())
    known = await projections.read.known_payments([payment_id, new_id()])
    assert known.keys() == {payment_id}
    assert (known[payment_id].status, known[payment_id].amount) == ("pending", "10.00")
    assert await projections.read.outcomes([payment_id]) == {}


async def test_steps_are_in_the_sagas_order_whatever_a_senders_clock_says(projections: Projections) -> None:
    story = Story()
    payment_id = story.request(target=story.open(), amount_minor=1000)
    story.end(payment_id, {})
    for version, event_type in ((2, "WalletCredited"), (1, "SagaStarted"), (3, "SagaCompleted")):
        story.payment_event(payment_id, event_type, version, {}, occurred_at=story.now - timedelta(minutes=5))
    await projections.write(story.batch())
    payment = await projections.read.payment(payment_id)
    assert payment is not None
    steps = [step.event_type for step in payment.steps]
    assert steps == ["PaymentRequested", "SagaStarted", "WalletCredited", "SagaCompleted", "PaymentCompleted"]


async def test_of_many_payments_each_has_its_own_steps(projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    ids = [story.request(target=wallet_id, amount_minor=1000) for _ in range(3)]
    story.end(ids[0], {}, reason="wallet_frozen")
    story.payment_event(ids[0], "SagaStarted", 1, {})
    story.request(target=wallet_id, amount_minor=1)
    await projections.write(story.batch())
    payments = await projections.read.payments([*ids[:2], new_id()])
    assert payments.keys() == set(ids[:2])
    assert payments[ids[0]] == await projections.read.payment(ids[0])
    steps = {payment_id: [step.event_type for step in payments[payment_id].steps] for payment_id in ids[:2]}
    assert steps == {
        ids[0]: ["PaymentRequested", "SagaStarted", "PaymentFailed"],
        ids[1]: ["PaymentRequested"],
    }


async def test_a_payment_asked_for_twice_has_one_first_step_alone_and_among_others(
    projections: Projections,
) -> None:
    story = Story()
    wallet_id = story.open()
    ids = [story.request(target=wallet_id, amount_minor=1000) for _ in range(2)]
    story.payment_event(ids[0], "PaymentRequested", 1, {})
    story.payment_event(ids[0], "SagaStarted", 1, {})
    await projections.write(story.batch())
    alone, among = await projections.read.payment(ids[0]), await projections.read.payments(ids)
    assert alone == among[ids[0]]
    assert [step.event_type for step in among[ids[0]].steps] == ["PaymentRequested", "SagaStarted"]


async def test_only_the_first_request_of_a_payment_counts(projections: Projections) -> None:
    story = Story()
    payment_id = story.request(target=story.open(), amount_minor=1000)
    batch = story.batch()
    batch.payments.append(batch.payments[0]._replace(amount="99.00", fingerprint="other"))
    await projections.write(batch)
    payment = (await projections.read.known_payments([payment_id]))[payment_id]
    assert (payment.amount, payment.fingerprint) == ("10.00", "print")


async def test_an_outcome_waits_for_the_wallets_versions(projections: Projections) -> None:
    story = Story()
    source, target = story.open(), story.open()
    user_id = new_id()
    payment_id = story.request(source=source, target=target, amount_minor=250, user_id=user_id)
    story.end(payment_id, {source: 2, target: 2})
    await projections.write(story.batch())
    assert await projections.read.outcomes([payment_id]) == {}

    story.move(source, -250, payment_id)
    await projections.write(story.batch())
    assert await projections.read.outcomes([payment_id]) == {}

    story.move(target, 250, payment_id)
    await projections.write(story.batch())
    outcome = (await projections.read.outcomes([payment_id, new_id()]))[payment_id]
    assert (outcome.payment.status, outcome.payment.user_id) == ("completed", user_id)
    assert list(outcome.wallets) == [await projections.read.wallet(key) for key in sorted((source, target))]
    assert {wallet.wallet_id: wallet.balances["EUR"].balance for wallet in outcome.wallets} == {
        source: "-2.50",
        target: "2.50",
    }


async def test_a_failed_payment_that_touched_no_wallet_is_an_outcome(projections: Projections) -> None:
    story = Story()
    payment_id = story.request(target=new_id(), amount_minor=1)
    story.end(payment_id, {}, reason="wallet_not_found")
    await projections.write(story.batch())
    outcome = (await projections.read.outcomes([payment_id]))[payment_id]
    assert (outcome.payment.status, outcome.payment.reason) == ("failed", "wallet_not_found")
    assert outcome.wallets == ()


async def test_a_failure_without_a_readable_request_is_a_payment_too(projections: Projections) -> None:
    story, payment_id = Story(), new_id()
    story.end(payment_id, {}, reason="invalid")
    await projections.write(story.batch())
    payment = await projections.read.payment(payment_id)
    assert payment is not None
    assert (payment.status, payment.kind, payment.amount) == ("failed", "", "")


async def test_a_refunded_payment_shows_the_refunded_amount(projections: Projections) -> None:
    story = Story()
    payment_id = story.deposit(story.open(), 1000)
    await projections.write(story.batch())
    payment = await projections.read.payment(payment_id)
    assert payment is not None
    assert (payment.status, payment.refunded) == ("completed", None)
    for amount_minor, status in ((250, "partially_refunded"), (1000, "refunded")):
        story.refund(payment_id, amount_minor, paid_minor=1000)
        await projections.write(story.batch())
        payment = await projections.read.payment(payment_id)
        assert payment is not None
        assert (payment.status, payment.refunded) == (status, f"{amount_minor / 100:.2f}")


async def test_the_provider_of_a_payment_is_the_last_one_its_events_name(projections: Projections) -> None:
    story = Story()
    payment_id = story.request(target=story.open(), amount_minor=1000)
    await projections.write(story.batch())
    payment = await projections.read.payment(payment_id)
    assert payment is not None
    assert payment.provider is None
    story.payment_event(payment_id, "RefundGranted", 2, {"provider": "acme"})
    story.payment_event(payment_id, "WalletHeld", 3, {})
    await projections.write(story.batch())
    payment = await projections.read.payment(payment_id)
    assert payment is not None
    assert payment.provider == "acme"


async def test_holds_are_those_of_the_last_event_and_a_callers_is_remembered(
    projections: Projections,
) -> None:
    story, first, second, read = Story(), *sorted([new_id(), new_id()]), projections.read
    wallet_id, payment_id = story.open(), new_id()
    assert await read.holds(wallet_id) == []
    story.hold(wallet_id, second, 250)
    story.hold(wallet_id, first, 100, payment_id=payment_id)
    await projections.write(story.batch())
    assert await read.holds(wallet_id) == [
        HoldView(wallet_id, first, "1.00", "EUR", payment_id, None),
        HoldView(wallet_id, second, "2.50", "EUR", None, None),
    ]
    assert await read.hold_event(wallet_id, first) is None, "a payment's"
    story.release(wallet_id, second)
    await projections.write(story.batch())
    assert [hold.hold_id for hold in await read.holds(wallet_id)] == [first]
    event = await read.hold_event(wallet_id, second)
    assert event is not None
    assert (event["event_version"], event["data"]["amount"]) == (2, "2.50")
    assert await read.hold_event(wallet_id, new_id()) is None


async def test_payments_that_have_not_ended_are_counted_with_the_oldest(projections: Projections) -> None:
    story, read = Story(), projections.read
    wallet_id = story.open()
    story.deposit(wallet_id, 100)
    waiting = [story.request(target=wallet_id, amount_minor=100) for _ in range(2)]
    batch = story.batch()
    await projections.write(batch)
    first, second = (row.requested_at for row in batch.payments if row.payment_id in waiting)
    assert first < second
    assert await read.under_way(first) == UnderWay(0, None)
    assert await read.under_way(second) == UnderWay(1, first)
    assert await read.under_way(second + timedelta(microseconds=1)) == UnderWay(2, first)


async def test_a_stopped_postgres_raises_unavailable() -> None:
    with pytest.raises(Unavailable, match="postgres is not available"):
        await create_pool("postgresql://ledger@127.0.0.1:1/ledger")
