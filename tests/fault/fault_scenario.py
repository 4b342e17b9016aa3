"""FaultScenario: the model's workload through a live system under a nemesis, then the audit.

Steps are sent before, during and after the fault, at a steady rate, so payments are in flight at each
critical moment.  One system may run many scenarios in turn: its auditor remembers all steps.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger_streams.settings import Settings
from tests.fault.nemeses import Nemesis, name_of
from tests.fault.testbed import Testbed, open_testbed
from tests.live import eventually
from tests.model.auditor import Auditor
from tests.model.live_system import LiveModel
from tests.model.system import Administration
from tests.model.workload import Payment, Workload

STEPS_MIN: Final = 1_000
"""Some 650 payments; the others are repetitions, poison and what is asked of wallets."""
STEPS_MAX: Final = 12_000
"""Five minutes: the workload has to outlast the fault, or no payment would end after it."""
RATE_PER_S: Final = 40
"""Little enough for two cores to keep up beside a restart, so that a fault meets work in every stage."""
BEFORE: Final = 300
RECOVERED_S_MAX: Final = 120.0


class Row(msgspec.Struct, frozen=True):
    """Result of one scenario; `recover_s` is from the fault's end to the next payment's end."""

    fault: str
    payments: int
    lost: int
    duplicated: int
    differences: int
    recover_s: float
    faults: Sequence[str]

    def text(self) -> str:
        """Return the row of a table."""
        counts = f"{self.payments:8,} {self.lost:5} {self.duplicated:10} {self.differences:11}"
        return f"{self.fault:34} {counts} {self.recover_s:9.1f}"


HEAD: Final = (
    f"{'fault':34} {'payments':>8} {'lost':>5} {'duplicated':>10} {'differences':>11} {'recover_s':>9}"
)


class FaultScenario:
    """A seeded workload and the auditor of one system."""

    def __init__(self, testbed: Testbed, model: LiveModel, seed: int) -> None:
        self._testbed, self._model = testbed, model
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._workload = Workload(seed=seed, at=at, providers=("acme",))
        self._auditor = Auditor(providers=("acme",))

    async def open(self) -> None:
        """Open the wallets."""
        for command in self._workload.opening():
            self._auditor.administered(command)
            await self._model.administer(command)
        await self._model.settle()

    async def under(self, nemesis: Nemesis) -> Row:
        """Send the workload under the nemesis; return the audit's result."""
        before, is_over = set(await self._model.outcomes()), False
        async with asyncio.TaskGroup() as group:  # a feed that fails ends the nemesis too
            group.create_task(self._feed(lambda: is_over))
            await self._testbed.further(BEFORE)
            await nemesis(self._testbed)
            recover_s = await self._next_end()
            is_over = True
        await self._model.settle()
        return await self._row(name_of(nemesis), before, recover_s)

    async def send(self, steps: int) -> None:
        """Send some of the workload and wait until all of it has ended."""
        for step in self._workload.steps(steps):
            await self._send(step)
        await self._model.settle()

    async def _feed(self, is_over: Callable[[], bool]) -> None:
        began_s, number = time.monotonic(), 0
        steps = self._workload.steps(STEPS_MAX)
        while number < STEPS_MIN or (number < STEPS_MAX and not is_over()):
            step = next(steps)  # a step that the workload has made counts as sent, so none is left over
            await asyncio.sleep(began_s + number / RATE_PER_S - time.monotonic())
            await self._send(step)
            number += 1

    async def _send(self, step: Payment | Administration) -> None:
        if isinstance(step, Payment):
            self._auditor.sent(step)
            await self._model.submit([step.sent])
        else:
            self._auditor.administered(step)
            await self._model.administer(step)
        self._testbed.sent += 1

    async def _next_end(self) -> float:
        """Return how long it took until PostgreSQL saw one more payment end, in seconds."""
        over_s, ended = time.monotonic(), await self._testbed.live.ended_payments()

        async def has_ended() -> bool:
            return await self._testbed.live.ended_payments() > ended

        await eventually(has_ended, what="a payment ends after the fault", seconds=RECOVERED_S_MAX)
        return time.monotonic() - over_s

    async def _row(self, fault: str, before: set[str], recover_s: float) -> Row:
        outcomes, faults = await self._model.outcomes(), await self.faults()
        return Row(
            fault=fault,
            payments=len(outcomes.keys() - before),
            lost=len(self._model.named - outcomes.keys()),
            duplicated=sum(len(ends) - 1 for ends in outcomes.values()),
            differences=len(faults),
            recover_s=recover_s,
            faults=faults,
        )

    async def faults(self) -> list[str]:
        """Return the faults of the settled system, by the auditor and the system's own checks."""
        faults = await self._auditor.faults(self._model)
        faults += [f"dead letter of the ledger's own: {v!r}" for v in await self._model.letters_elsewhere()]
        faults += self._unlike(self._model.reconciled)
        places = Counter(await self._model.sent_back())
        faults += [f"letter {place} came back {count} times" for place, count in places.items() if count > 1]
        under_way = await self._testbed.live.document("sagas", "list")
        return faults + [f"saga under way: {saga}" for saga in under_way]

    @staticmethod
    def _unlike(reconciled: dict[str, Any]) -> list[str]:
        found = [f"reconcile: {difference}" for difference in reconciled["differences"]]
        return found + [f"reconcile lags: {lag}" for lag in reconciled["lagging"].items()]


async def stood(servers: Settings, home: Path, nemesis: Nemesis, *, seed: int) -> Row:
    """Put a new system through the scenario under one nemesis; print and return its row."""
    async with open_testbed(servers, home) as testbed, aclosing(LiveModel(testbed.live)) as model:
        scenario = FaultScenario(testbed, model, seed)
        await scenario.open()
        try:
            row = await scenario.under(nemesis)
        finally:
            await testbed.servers_up()  # or the model's producer would wait for ever
        print(f"\nseed {seed}, ended by itself: {dict(testbed.ended_by_itself)}\n{HEAD}\n{row.text()}")
        return row
