"""Payments: time from the request on payment-events until PostgreSQL shows the payment completed.

Saturation sends all requests at once to one worker and one projector.  Then payments are
timed at given rates, and at parts of the measured saturation.  The sending process also
samples Kafka and PostgreSQL; its CPU use is reported with the others'.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.final_state import check_reconciliation, count_payments, wait_for_final_state
from benchmarks.load import KafkaLoad, wallet_ids
from benchmarks.transfers import send_all, send_paced, transfers
from benchmarks.usage import Components, shares, since
from benchmarks.visibility import outcomes, sample_positions
from benchmarks.wallet_distribution import DISTRIBUTIONS
from tests.live import LiveSystem

WARM_PAYMENTS: Final = 2_000
RATES_PER_S: Final = (200.0, 1_000.0)
PARTS: Final = (0.1, 0.5, 0.8)
"""Parts of the saturation rate."""
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class SaturationRate(msgspec.Struct):
    """Throughput at saturation."""

    payments: int
    kafka_per_s: float
    """Rate until the last outcome was committed on Kafka."""
    postgres_per_s: float
    """Rate until the last payment was visible in PostgreSQL."""
    cores: dict[str, float]
    """CPU use of each component, in cores."""
    to_uniform: float = 1.0
    """Ratio of `postgres_per_s` to the uniform distribution's."""


class PacedTiming(msgspec.Struct):
    """Times of payments at a rate, from when each was due."""

    rate_per_s: float
    payments: int
    sent_per_s: float
    """Below the rate if the generator could not keep up."""
    kafka_ms: dict[str, float]
    postgres_ms: dict[str, float]
    cores: dict[str, float]


class PaymentTimings(msgspec.Struct):
    """The result of the case."""

    wallets: int
    saturated: dict[str, SaturationRate]
    paced: dict[str, PacedTiming]


async def payments(
    live: LiveSystem,
    *,
    count: int = 20_000,
    wallets: int = 2_000,
    distributions: Sequence[str] = tuple(DISTRIBUTIONS),
    rates_per_s: Sequence[float] = RATES_PER_S,
    parts: Sequence[float] = PARTS,
    seconds: float = 30.0,
) -> PaymentTimings:
    """Saturate with `count` payments per distribution (uniform first), then send at each rate."""
    ids = await start_system(live, wallets)
    saturated = {name: await saturate(live, ids, count=count, distribution=name) for name in distributions}
    first_per_s = saturated[distributions[0]].postgres_per_s
    for figures in saturated.values():
        figures.to_uniform = round(figures.postgres_per_s / first_per_s, 2)
    rates = {f"{rate:g}/s": rate for rate in rates_per_s}
    rates |= {f"{part:.0%}": part * first_per_s for part in parts}
    timed = {
        name: await send_at_rate(live, ids, rate_per_s=rate, seconds=seconds) for name, rate in rates.items()
    }
    await check_reconciliation(live)
    return PaymentTimings(wallets, saturated, timed)


async def start_system(live: LiveSystem, wallets: int) -> list[str]:
    """Start a worker and a projector, open wallets, and warm up; return the wallets' ids."""
    await live.start_all()
    ids = wallet_ids(wallets)
    await KafkaLoad(live.settings).open_wallets(ids)
    await send_all(live.settings, transfers(WARM_PAYMENTS, ids, seed=0))
    await wait_for_final_state(live, WARM_PAYMENTS)
    return ids


async def saturate(
    live: LiveSystem, wallets: Sequence[str], *, count: int, distribution: str
) -> SaturationRate:
    """Send `count` payments at once and wait until PostgreSQL has all of them."""
    before, components = await count_payments(live), Components(live)
    requests = transfers(count, wallets, distribution=distribution, seed=before.known)
    async with sample_positions(live.settings) as sampler:
        began_s, used_s = time.perf_counter(), components.cpu_s()
        await send_all(live.settings, requests)
        await wait_for_final_state(live, before.known + count)
        seconds, used_s = time.perf_counter() - began_s, since(used_s, components.cpu_s())
    kafka_s, postgres_s = sampler.committed_s() - began_s, sampler.projected_s() - began_s
    cores = shares(used_s, seconds)
    return SaturationRate(count, round(count / kafka_s, 1), round(count / postgres_s, 1), cores)


async def send_at_rate(
    live: LiveSystem, wallets: Sequence[str], *, rate_per_s: float, seconds: float
) -> PacedTiming:
    """Send at a steady rate and time every payment."""
    before, components = await count_payments(live), Components(live)
    requests = transfers(max(1, round(rate_per_s * seconds)), wallets, seed=before.known)
    async with outcomes(live.settings) as read, sample_positions(live.settings) as sampler:
        used_s, began_s = components.cpu_s(), time.perf_counter()
        reading = asyncio.create_task(read.read(len(requests)))
        due_s = await send_paced(live.settings, requests, rate_per_s)
        sent_s = time.perf_counter() - began_s
        await reading
        used_s = since(used_s, components.cpu_s())
        ended_s = time.perf_counter() - began_s
        await wait_for_final_state(live, before.known + len(requests))
    assert read.failed == 0, f"{read.failed} payments have failed"
    placed = list(read.completed.items())
    visible = sampler.visible_s([place for _, place in placed])
    return PacedTiming(
        round(rate_per_s, 1),
        len(requests),
        round(len(requests) / sent_s, 1),
        quantiles([place.at_s - due_s[key] for key, place in placed]),
        quantiles([at_s - due_s[key] for (key, _), at_s in zip(placed, visible, strict=True)]),
        shares(used_s, ended_s),
    )


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p90 and p99 in milliseconds."""
    ordered = sorted(seconds)
    at = {name: ordered[min(len(ordered) - 1, int(len(ordered) * q))] for name, q in QUANTILES.items()}
    return {name: round(1_000 * took_s, 1) for name, took_s in at.items()}
