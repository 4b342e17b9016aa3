"""The pure ledger under the workload, in many orders; and that the auditor would see a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ledger_streams import wire
from ledger_streams.domain.saga import ENDS, SagaStatus
from ledger_streams.domain.wallet import Wallet, evolve
from tests.model.drive import audited
from tests.model.pure import PureSystem
from tests.model.system import Ended, Parked
from tests.model.workload import Workload

STEPS = 400


@pytest.mark.parametrize("seed", range(25))
async def test_the_auditor_finds_nothing_wrong_with_the_pure_ledger(seed: int) -> None:
    system = PureSystem(seed=seed)
    assert await audited(system, Workload(seed=seed), steps=STEPS) == []
    assert all(saga.status in ENDS for saga in system.sagas.values())
    for wallet_id, values in system.wallet_events.items():
        folded: Wallet | None = None
        for value in values:
            folded = evolve(folded, wire.read_wallet_event(value, key=wallet_id.encode()).event)
        assert folded == system.wallets[wallet_id]


async def test_the_workload_reaches_every_end_of_a_saga_and_every_reason_it_can() -> None:
    statuses: set[SagaStatus] = set()
    reasons: set[str | None] = set()
    for seed in range(25):
        system = PureSystem(seed=seed)
        await audited(system, Workload(seed=seed), steps=STEPS)
        statuses |= {saga.status for saga in system.sagas.values()}
        reasons |= {end.reason for ends in (await system.outcomes()).values() for end in ends}
    assert statuses == ENDS
    assert reasons == {
        None,
        "insufficient_funds",
        "wallet_not_found",
        "wallet_frozen",
        "wallet_closed",
        "currency_mismatch",
        "same_wallet",
        "provider_unavailable",
        "invalid",
    }


async def test_the_same_seed_is_the_same_run() -> None:
    first, second = PureSystem(seed=7), PureSystem(seed=7)
    for system in (first, second):
        await audited(system, Workload(seed=7), steps=STEPS)
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

    async def balances(self) -> Mapping[str, Mapping[str, int]]:
        balances = {wallet_id: dict(held) for wallet_id, held in (await super().balances()).items()}
        held = next(iter(balances.values()))
        held[next(iter(held))] += 1
        return balances


class LegLost(PureSystem):
    """Leaves a cent on its way."""

    async def postings(self) -> Mapping[str, int]:
        return {**await super().postings(), "transit:EUR:EUR": 1}


@pytest.mark.parametrize("faulty", [OutcomeTwice, OutcomeLost, DeadLetterLost, CentMade, LegLost])
async def test_the_auditor_sees_a_fault(faulty: type[PureSystem]) -> None:
    assert await audited(faulty(seed=3), Workload(seed=3), steps=STEPS) != []
