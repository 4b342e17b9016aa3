"""The contract of `History`, for PostgreSQL and for its twin in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger_streams.adapters.postgres.views import wire_time
from ledger_streams.ports.history import MovementView, Turnover, VersionRange
from tests.contract.conftest import Projections
from tests.projected import Story, new_id

ALL = VersionRange(0, 1_000_000)


@pytest.mark.parametrize("batches", ["one batch", "a batch each"])
async def test_a_later_time_never_has_an_earlier_version(batches: str, projections: Projections) -> None:
    """Versions 1 to 6 occur at 1, 2, 0, 1, 3 and 2 minutes: a clock has stepped back twice."""
    story, minute = Story(), timedelta(minutes=1)
    begin = story.now
    story.now = begin + minute - timedelta(seconds=1)
    wallet_id = story.open()
    for occurred in (2, 0, 1, 3, 2):
        story.now = begin + occurred * minute - timedelta(seconds=1)
        story.move(wallet_id, 100, new_id())
        if batches == "a batch each":
            await projections.write(story.batch())
    await projections.write(story.batch())

    async def version_at(minutes: float) -> int | None:
        wallet = await projections.read.wallet_at(wallet_id, begin + minutes * minute)
        return wallet.version if wallet else None

    moments = (0.5, 1, 1.5, 2, 2.5, 3, 9)
    assert [await version_at(minutes) for minutes in moments] == [None, 1, 1, 4, 4, 6, 6]


async def test_of_events_at_one_time_the_last_counts(projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    at = story.now
    for _ in range(3):
        story.now = at - timedelta(seconds=1)
        story.move(wallet_id, 100, new_id())
    await projections.write(story.batch())
    wallet = await projections.read.wallet_at(wallet_id, at)
    assert wallet is not None
    assert (wallet.version, wallet.as_of) == (4, wire_time(at))
    assert await projections.read.wallet_at(wallet_id, at - timedelta(microseconds=1)) is None


async def test_events_are_pages_from_the_newest_on(projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    for _ in range(4):
        story.move(wallet_id, 100, new_id())
    await projections.write(story.batch())

    async def before(version: int, limit: int) -> list[int]:
        found = await projections.read.wallet_events_before(wallet_id, before_version=version, limit=limit)
        return [event["event_version"] for event in found]

    assert await before(2**63 - 1, 3) == [5, 4, 3]
    assert await before(3, 3) == [2, 1]
    assert await before(1, 3) == await before(0, 3) == []
    assert await projections.read.wallet_events_before(new_id(), before_version=9, limit=3) == []


async def test_a_movement_has_its_payment_and_the_balance_after_it(projections: Projections) -> None:
    story = Story()
    source, target = story.open(), story.open()
    metadata = {"date": "1993-01-31", "k_symbol": "SIPO"}
    payment_id = story.request(source=source, target=target, amount_minor=250, metadata=metadata)
    story.move(source, -250, payment_id)
    story.move(target, 250, payment_id)
    batch = story.batch()
    await projections.write(batch)
    of_source, of_target = (row for row in batch.wallet_events if row.payment_id == payment_id)
    (out,) = await projections.read.movements(source, ALL, limit=9)
    assert out == MovementView(
        of_source.event_id,
        2,
        wire_time(of_source.occurred_at),
        "BalanceDeducted",
        "EUR",
        "-2.50",
        "-2.50",
        payment_id,
        "transfer",
        target,
        None,
        metadata,
    )
    (into,) = await projections.read.movements(target, ALL, limit=9)
    assert (into.event_id, into.amount, into.counterparty) == (of_target.event_id, "2.50", source)


@pytest.mark.parametrize("metadata", [None, [1], "text", {}])
async def test_a_movement_s_payment_may_be_unknown(metadata: object, projections: Projections) -> None:
    story = Story()
    wallet_id = story.open()
    deposit = story.request(target=wallet_id, amount_minor=100, metadata=metadata)
    story.move(wallet_id, 100, deposit)
    story.move(wallet_id, -50, new_id())
    await projections.write(story.batch())
    known, unknown = await projections.read.movements(wallet_id, ALL, limit=9)
    assert (known.kind, known.counterparty, known.metadata) == (
        "deposit",
        None,
        {} if metadata == {} else None,
    )
    assert (unknown.kind, unknown.counterparty, unknown.metadata) == (None, None, None)


async def test_a_version_range_has_exactly_its_versions(projections: Projections) -> None:
    story, read = Story(), projections.read
    wallet_id = story.open()
    for amount_minor in (100, -30, 200, -50):
        story.move(wallet_id, amount_minor, new_id())
    story.hold(wallet_id, new_id(), 10)
    await projections.write(story.batch())

    async def amounts(versions: VersionRange, limit: int = 9) -> list[str]:
        return [found.amount for found in await read.movements(wallet_id, versions, limit=limit)]

    assert await amounts(ALL) == ["1.00", "-0.30", "2.00", "-0.50"]
    assert await amounts(ALL, 2) == ["1.00", "-0.30"]
    assert await amounts(VersionRange(2, 4)) == ["-0.30", "2.00"]
    assert await amounts(VersionRange(2, 4, "JPY")) == await amounts(VersionRange(5, 6)) == []
    assert await read.turnovers(wallet_id, ALL) == {"EUR": Turnover(4, "3.00", "0.80")}
    assert await read.turnovers(wallet_id, VersionRange(1, 2, "EUR")) == {"EUR": Turnover(1, "1.00", None)}
    assert await read.turnovers(wallet_id, VersionRange(2, 3)) == {"EUR": Turnover(1, None, "0.30")}
    assert await read.turnovers(wallet_id, VersionRange(5, 6)) == {}
