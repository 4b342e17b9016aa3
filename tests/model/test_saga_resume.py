"""A lost log, with projections cut anywhere: no known payment is lost or carried out twice."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from tests.model.auditor import Auditor
from tests.model.pure import PureSystem
from tests.model.resumed import ResumedSystem, cut
from tests.model.workload import Payment, Workload

PROVIDERS = ("acme", "zenith")


async def lost(seed: int, *, steps: int = 120) -> tuple[ResumedSystem, list[str]]:
    """Run a workload, lose the log at some moment, go on, and return what is wrong afterwards."""
    random = Random(seed)
    system, workload = PureSystem(seed=seed, providers=PROVIDERS), Workload(seed=seed, providers=PROVIDERS)
    auditor, sent = Auditor(providers=PROVIDERS), []
    for command in workload.opening():
        auditor.administered(command)
        await system.administer(command)
    await system.settle()
    whole = len(system.log)
    for step in workload.steps(random.randint(1, steps)):
        if isinstance(step, Payment):
            sent.append(step)
            await system.submit([step.sent])
        else:
            auditor.administered(step)
            await system.administer(step)
    resumed = ResumedSystem(system, cut(system.log, random, whole=whole), seed=seed, providers=PROVIDERS)
    await resumed.settle()
    outcomes = await resumed.outcomes()
    untold = {p for p in resumed.orphans if outcomes.get(p, [])[:1] and outcomes[p][0].reason}
    for step in sent:
        if step.data["payment_id"] in outcomes and step.data["payment_id"] not in untold:
            auditor.sent(step)
    for payment_id in resumed.gathered.payments:
        assert payment_id in outcomes, f"{payment_id} has not ended"
    faults = [fault for fault in await auditor.faults(resumed) if not excused(fault, resumed, sent)]
    faults += [f"event {event_id} is written twice" for event_id in resumed.written_twice()]
    return resumed, faults


def excused(fault: str, resumed: ResumedSystem, sent: Sequence[Payment]) -> bool:
    """Tell whether this may be, since something is lost: dead letters, credits, requests, reasons.

    A refund of all that is left may be of another sum now than its provider was told.
    """
    refunds = {step.data["payment_id"] for step in sent if step.data.get("refund_of") in resumed.orphans}
    may_differ = {step.data["payment_id"] for step in sent if "amount" not in step.data}
    return (
        fault.startswith("dead letter")
        or "is overdrawn by" in fault
        or "ended PaymentFailed invalid" in fault
        or any(payment_id in fault for payment_id in refunds | resumed.orphans)
        or (fault.startswith("the provider has") and any(payment_id in fault for payment_id in may_differ))
    )


@pytest.mark.parametrize("seed", range(60))
async def test_every_known_payment_ends_once_with_projections_cut_at_any_point(seed: int) -> None:
    _, faults = await lost(seed)
    assert faults == []
