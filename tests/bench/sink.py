"""The sink alone: rows of whole payments, made beforehand, into an empty database with all its indexes.

And what comes after it: a day with all of them closed, and every chain and root verified.
"""

from __future__ import annotations

import gc
import time

import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres_migrations import upgrade
from ledger_streams.adapters.postgres_pool import create_pool
from ledger_streams.adapters.postgres_rows import SinkBatch
from ledger_streams.adapters.postgres_sink import PostgresSink
from ledger_streams.cli.audit import verified
from ledger_streams.closing_wiring import close_and_publish
from ledger_streams.settings import Settings
from tests.projected import Story

WALLETS = 500
STEPS = ("SagaStarted", "WalletDeducted", "WalletCredited", "SagaCompleted")
PAYMENTS_A_BATCH = 400
"""A projector's cycle under load: some 4,000 records."""


class Sunk(msgspec.Struct):
    """How fast the sink took what it was given."""

    payments: int
    rows: int
    """Of events, wallet_events and postings."""
    seconds: float
    payments_per_s: float
    rows_per_s: float


async def sink(settings: Settings, *, payments: int) -> Sunk:
    """Write so many transfers among wallets that are open, and return how fast it went."""
    await upgrade(settings.postgres)
    async with await create_pool(settings.postgres) as pool:
        target, story = PostgresSink(pool), Story()
        story.name_wallet_topic(settings.topic(topics.WALLET_EVENTS))
        await target.ensure_partitions()
        wallets = [story.open() for _ in range(WALLETS)]
        await target.write(story.batch())
        batches = [told(story, wallets, first) for first in range(0, payments, PAYMENTS_A_BATCH)]
        gc.collect()
        gc.freeze()  # the collector of a projector has no such heap of rows to go through
        began_s = time.perf_counter()
        for batch in batches:
            await target.write(batch)
        seconds = time.perf_counter() - began_s
    rows = sum(len(batch.events) + len(batch.wallet_events) + len(batch.postings) for batch in batches)
    count = sum(len(batch.payments) for batch in batches)
    return Sunk(count, rows, round(seconds, 3), round(count / seconds, 1), round(rows / seconds, 1))


class Audited(msgspec.Struct):
    """How long history takes to be closed and verified."""

    rows: int
    """Of events and wallet_events."""
    closing_s: float
    verify_s: float
    rows_per_s: float
    """Verified."""


async def audited(settings: Settings, *, payments: int) -> Audited:
    """Write so many transfers, close the day, verify all of it."""
    await sink(settings, payments=payments)
    began_s = time.perf_counter()
    await close_and_publish(settings)
    closing_s = time.perf_counter() - began_s
    result = await verified(settings, None, None)
    assert (result.findings, result.days) == ([], 1)
    rows = result.events + result.wallet_events
    return Audited(rows, round(closing_s, 3), result.seconds, round(rows / result.seconds, 1))


def told(story: Story, wallets: list[str], first: int) -> SinkBatch:
    """Tell one batch of transfers, each with a saga's steps."""
    for number in range(first, first + PAYMENTS_A_BATCH):
        source, other = wallets[number % WALLETS], wallets[(number * 7 + 1) % WALLETS]
        payment_id = story.transfer(source, other, 1)
        for version, step in enumerate(STEPS, 1):
            data = {"payment_id": payment_id, "wallet_id": source, "amount": "0.01", "currency": "EUR"}
            story.payment_event(payment_id, step, version, data)
    return story.batch()
