"""Cost: CPU time of payments by component, also extrapolated to a million payments.

One worker and one projector process a backlog; opening the wallets and warming up are
excluded.  The figures include the idle load of each component, so more payments give
better figures.
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
    """CPU time of the payments."""

    payments: int
    seconds: float
    payments_per_s: float
    cpu_us: dict[str, float]
    """CPU time per payment, by component."""
    cpu_s_a_million: dict[str, float]
    total_s_a_million: float
    """Total without the load generator and without other processes of the machine."""


async def cost(live: LiveSystem, *, payments: int = 100_000, wallets: int = 2_000) -> Cost:
    """Process `payments` payments; read the CPU time of every component before and after."""
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
