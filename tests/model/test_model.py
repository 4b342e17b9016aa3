"""The pure ledger under the workload in many orders, and an auditor that finds planted faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ledger_streams import wire
from ledger_streams.domain.saga.transitions import ENDS, Course, SagaStatus
from ledger_streams.domain.wallet import Wallet, evolve
from tests.model.drive import audited
from tests.model.pure import PureSystem
from tests.model.system import Booked, Ended, Funds, Held, Parked, Refunded
from tests.model.workload import Workload

STEPS = 400
PROVIDERS = ("acme", "zenith")


async def driven(system: PureSystem, *, seed: int) -> list[str]:
    """Return what is wrong with the system after the workload of this seed."""
    return await audited(system, Workload(seed=seed, providers=PROVIDERS), steps=STEPS)


@pytest.mark.parametrize("seed", range(25))
async def test_the_auditor_finds_no_difference_in_the_pure_ledger(seed: int) -> None:
    system = PureSystem(seed=seed, providers=PROVIDERS)
    assert await driven(system, seed=seed) == []
    for saga in system.sagas.values():
        assert saga.status in ENDS
        assert (saga.due_ms, saga.reserved) == (None, {})
        assert saga.refunded_minor <= saga.amount_minor
    for wallet_id, values in system.wallet_events.items():
        folded: Wallet | None = None
        for value in values:
            folded = evolve(folded, wire.read_wallet_event(value, key=wallet_id.encode()).event)
        assert folded == system.wallets[wallet_id]


async def test_without_providers_the_workload_has_no_provider_payments() -> None:
    system = PureSystem(seed=5)
    assert await audited(system, Workload(seed=5), steps=STEPS) == []
    assert all(saga.provider is None for saga in system.sagas.values())


async def test_the_workload_reaches_every_end_of_every_saga_and_every_possible_reason() -> None:
    ends: set[tuple[Course, SagaStatus]] = set()
    refunded: set[Course] = set()
    reasons: set[str | None] = set()
    letters: set[str] = set()
    for seed in range(25):
        system = PureSystem(seed=seed, providers=PROVIDERS)
        await driven(system, seed=seed)
        ends |= {(saga.course, saga.status) for saga in system.sagas.values()}
        refunded |= {saga.course for saga in system.sagas.values() if saga.refunds}
        reasons |= {end.reason for ends in (await system.outcomes()).values() for end in ends}
        letters |= {letter.reason for letter in system.saga_letters}
    ways = set(Course) - {Course.REFUND}
    both = {(way, end) for way in ways for end in (SagaStatus.COMPLETED, SagaStatus.FAILED)}
    unlike = {(Course.TRANSFER, SagaStatus.COMPENSATED), (Course.REFUND, SagaStatus.FAILED)}
    assert ends == both | unlike
    assert refunded == ways
    assert letters == {"invalid"}
    assert reasons == {
        None,
        "insufficient_funds",
        "wallet_not_found",
        "wallet_frozen",
        "wallet_closed",
        "currency_mismatch",
        "same_wallet",
        "provider_declined",
        "provider_timeout",
        "provider_unavailable",
        "limit_exceeded",
        "invalid",
    }


async def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (PureSystem(seed=7, providers=PROVIDERS) for _ in range(2))
    for system in (first, second):
        await driven(system, seed=7)
    assert first.wallet_events == second.wallet_events


class OutcomeTwice(PureSystem):
    """Tells an outcome twice."""

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        outcomes = dict(await super().outcomes())
        payment_id = next(iter(outcomes))
        return {**outcomes, payment_id: [*outcomes[payment_id]] * 2}


class OutcomeLost(PureSystem):
    """Forgets an outcome."""

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        return dict(list((await super().outcomes()).items())[1:])


class DeadLetterLost(PureSystem):
    """Forgets a dead letter."""

    async def dead_letters(self) -> Sequence[Parked]:
        return (await super().dead_letters())[1:]


class CentMade(PureSystem):
    """Has a cent too many."""

    async def balances(self) -> Mapping[str, Mapping[str, Funds]]:
        balances = {wallet_id: dict(funds) for wallet_id, funds in (await super().balances()).items()}
        currencies = next(iter(balances.values()))
        for currency, funds in currencies.items():
            currencies[currency] = Funds(funds.available_minor + 1, funds.held_minor)
        return balances


class HoldForgotten(PureSystem):
    """Has released a hold without making its money available."""

    async def holds(self) -> Mapping[str, Held]:
        return dict(list((await super().holds()).items())[1:])


class HoldGrown(PureSystem):
    """Holds more than was asked for."""

    async def holds(self) -> Mapping[str, Held]:
        return {
            hold_id: Held(held.wallet_id, held.amount_minor + 1_000, held.currency)
            for hold_id, held in (await super().holds()).items()
        }


class PaidOutUnheard(PureSystem):
    """Has a provider do what its payment knows nothing of."""

    async def booked(self) -> Mapping[str, Booked]:
        outcomes = await self.outcomes()
        failed = next(payment_id for payment_id, (end,) in outcomes.items() if end.reason)
        return {**await super().booked(), failed: Booked("acme", "withdrawal", 1, "EUR")}


class RefundUntold(PureSystem):
    """Does not tell a payment of its refund."""

    async def refunds(self) -> Mapping[str, Sequence[Refunded]]:
        return dict(list((await super().refunds()).items())[1:])


class RefundTwice(PureSystem):
    """Tells a payment of a refund twice."""

    async def refunds(self) -> Mapping[str, Sequence[Refunded]]:
        return {payment_id: [*told, told[-1]] for payment_id, told in (await super().refunds()).items()}


class LegLost(PureSystem):
    """Leaves a cent on its way."""

    async def postings(self) -> Mapping[str, int]:
        return {**await super().postings(), "transit:EUR:EUR": 1}


class VersionLost(PureSystem):
    """Has lost a wallet's event."""

    async def versions(self) -> Mapping[str, Sequence[int]]:
        versions = dict(await super().versions())
        wallet_id = max(versions, key=lambda wallet_id: len(versions[wallet_id]))
        return {**versions, wallet_id: [*versions[wallet_id][:1], *versions[wallet_id][2:]]}


class EventTwice(PureSystem):
    """Has written an event twice."""

    async def repeated_events(self) -> Sequence[str]:
        return ["the same"]


FAULTY = [
    OutcomeTwice,
    OutcomeLost,
    DeadLetterLost,
    CentMade,
    HoldForgotten,
    HoldGrown,
    PaidOutUnheard,
    RefundUntold,
    RefundTwice,
    LegLost,
    VersionLost,
    EventTwice,
]


@pytest.mark.parametrize("faulty", FAULTY)
async def test_the_auditor_finds_a_planted_fault(faulty: type[PureSystem]) -> None:
    for seed in range(10):  # not every run leaves what the fault is about
        if await driven(faulty(seed=seed, providers=PROVIDERS), seed=seed):
            return
    pytest.fail("ten runs, and nothing seen")
