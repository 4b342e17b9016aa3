"""Drive: sends a workload through a system, while an auditor records the steps."""

from __future__ import annotations

from tests.model.auditor import Auditor
from tests.model.system import System
from tests.model.workload import Payment, Workload


async def audited(system: System, workload: Workload, *, steps: int) -> list[str]:
    """Run the workload and return what the auditor finds wrong afterwards."""
    auditor = Auditor(providers=workload.providers)
    for command in workload.opening():
        auditor.administered(command)
        await system.administer(command)
    await system.settle()
    for step in workload.steps(steps):
        if isinstance(step, Payment):
            auditor.sent(step)
            await system.submit([step.sent])
        else:
            auditor.administered(step)
            await system.administer(step)
    await system.settle()
    return await auditor.faults(system)
