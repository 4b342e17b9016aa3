"""Cost: the processor time of payments, by component, and what a million of them would take.

One worker and one projector carry out a backlog; opening the wallets and warming up are not
in it.  What a component takes when idle is in the figures, so many payments tell more.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from benchmarks.final_state import check_reconciliation, count_payments, wait_for_final_state
from benchmarks.payments import start_system
from benchmarks.transfers import send_all, transfers
from benchmarks.usage import GENERATOR, OTHERS, Components, since
from tests.live import LiveSystem

MILLION: Final = 1_000_000


class Cost(msgspec.Struct):
    """Processor time of so many payments."""

    payments: int
    seconds: float
    payments_per_s: float
    cpu_us: dict[str, float]
    """A payment's, by component."""
    cpu_s_a_million: dict[str, float]
    total_s_a_million: float
    """Without the generator, and without what is not of this system."""


async def cost(live: LiveSystem, *, payments: int = 100_000, wallets: int = 2_000) -> Cost:
    """Carry out so many payments and look at every component before and after."""
    ids = await start_system(live, wallets)
    before, components = await count_payments(live), Components(live)
    requests = transfers(payments, ids, seed=before.known)
    cpu_s, began_s = components.cpu_s(), time.perf_counter()
    await send_all(live.settings, requests)
    await wait_for_final_state(live, before.known + payments)
    seconds = time.perf_counter() - began_s
    used_s = since(cpu_s, components.cpu_s())
    await check_reconciliation(live)
    return _cost(payments, seconds, used_s)


def _cost(payments: int, seconds: float, used_s: dict[str, float]) -> Cost:
    million = {name: round(used / payments * MILLION, 1) for name, used in used_s.items()}
    ours = sum(used for name, used in million.items() if name not in (GENERATOR, OTHERS))
    each = {name: round(used / payments * 1e6, 1) for name, used in used_s.items()}
    return Cost(payments, round(seconds, 2), round(payments / seconds, 1), each, million, round(ours, 1))
