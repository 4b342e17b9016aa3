"""The sink alone: batches as a projector writes them, into an empty database with all indexes.

Transfers between many wallets, whole payments in one batch.  The batches are told
before the clock starts, so the figure is of the sink and of PostgreSQL.
"""

from __future__ import annotations

import time
from random import Random
from typing import Final

import msgspec

from ledger_streams.adapters.postgres_pool import create_pool
from ledger_streams.adapters.postgres_sink import PostgresSink
from ledger_streams.settings import Settings
from tests.bench.history import migrated
from tests.projected import Story

WALLETS: Final = 2_000
PAYMENTS_A_BATCH: Final = 500
STEPS: Final = ("SagaStarted", "WalletDeducted", "WalletCredited", "SagaCompleted")


class Written(msgspec.Struct):
    """How fast batches went in."""

    payments: int
    seconds: float
    payments_per_s: float


async def sink(stack: Settings, *, payments: int) -> Written:
    """Write so many transfers into a database of its own."""
    story, random = Story(), Random(payments)
    wallets = [story.open() for _ in range(WALLETS)]
    batches = [story.batch()]
    for _ in range(payments // PAYMENTS_A_BATCH):
        for _ in range(PAYMENTS_A_BATCH):
            source, target = random.sample(wallets, 2)
            payment_id = story.transfer(source, target, 1025)
            for version, step in enumerate(STEPS, start=1):
                story.payment_event(payment_id, step, version, {"payment_id": payment_id, "amount": "10.25"})
        batches.append(story.batch())
    async with migrated(stack) as dsn, await create_pool(dsn) as pool:
        writer = PostgresSink(pool)
        await writer.write(batches[0])
        began = time.perf_counter()
        for batch in batches[1:]:
            await writer.write(batch)
        seconds = time.perf_counter() - began
    written = (len(batches) - 1) * PAYMENTS_A_BATCH
    return Written(written, round(seconds, 2), round(written / seconds, 1))
