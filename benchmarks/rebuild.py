"""Rebuild: a worker with an empty data folder restores all wallets from wallet-events.

The time is from the start of the process to its first poll: start, join, restore.  The
rate is that of the restore alone, from the worker's log.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from ledger_streams import topics, wire
from ledger_streams.domain.ids import UserId, WalletId, derived_id
from ledger_streams.domain.wallet import evolve
from ledger_streams.domain.wallet_events import WalletOpened
from ledger_streams.engine.state.restore import source_header
from ledger_streams.settings import Settings
from tests.conftest import ROOT
from tests.live import LiveSystem

BATCH_BYTES = 900_000
FINGERPRINT = b'{"fingerprint": "dddf4fb88748f830afe16a9e5ae0144a"}'
SAGA = ROOT / "tests" / "golden" / "states" / "Saga.v1.json"
_restored = re.compile(r"table partitions are up to their changelogs: (\d+) records in ([\d.]+) s").findall


class RebuildTiming(msgspec.Struct):
    """Time of a worker to restore its tables."""

    wallets: int
    restore_s: float
    """Duration of the largest restore, from its first record to its last."""
    records_per_s: float
    ready_s: float
    """Time from the start of the process until it is ready."""


async def rebuild(live: LiveSystem, *, wallets: int) -> RebuildTiming:
    """Fill wallet-events with `wallets` wallets, then start a worker with an empty data folder."""
    await fill(live, wallets)
    began_s = time.monotonic()
    worker = live.start("worker")
    await live.ready()
    ready_s = time.monotonic() - began_s
    records, seconds = max(restores_in(worker.log.read_text()))
    assert records == wallets, f"{records} records were read back"
    return RebuildTiming(wallets, seconds, round(records / seconds, 1), round(ready_s, 2))


class Restore(NamedTuple):
    """Records and seconds of one takeover's restore, from the worker's log."""

    records: int
    seconds: float


def restores_in(log: str) -> list[Restore]:
    """Return the restores in a log."""
    return [Restore(int(count), float(seconds)) for count, seconds in _restored(log)]


async def fill(live: LiveSystem, wallets: int, *, payments: int = 0) -> None:
    """Write the first event of each wallet, and for each payment the records of all tables."""
    settings, headers = live.settings, ((source_header(None), b"0"),)
    await write(settings, topics.WALLET_EVENTS, wallet_records(wallets), headers=headers)
    saga = SAGA.read_bytes().strip()
    ids = [derived_id(f"bench payment {number}").encode() for number in range(payments)]
    await write(settings, topics.PAYMENTS_CHANGELOG, ((key, FINGERPRINT) for key in ids), headers=headers)
    await write(settings, topics.SAGAS_CHANGELOG, ((key, saga) for key in ids), headers=headers)


async def write(
    settings: Settings,
    name: str,
    pairs: Iterable[tuple[bytes, bytes]],
    *,
    headers: Sequence[tuple[str, bytes]] = (),
) -> None:
    """Write in batches of the maximum size, each record to its key's partition."""
    topic, partitions = settings.topic(name), topics.spec(name).partitions
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka, compression_type="lz4", max_batch_size=BATCH_BYTES
    ) as producer:
        batches = [producer.create_batch() for _ in range(partitions)]
        for key, value in pairs:
            number = (int(murmur2(key)) & 0x7FFFFFFF) % partitions
            event = {"key": key, "value": value, "timestamp": None, "headers": list(headers)}
            if batches[number].append(**event) is None:
                await producer.send_batch(batches[number], topic, partition=number)
                batches[number] = producer.create_batch()
                batches[number].append(**event)
        for number, batch in enumerate(batches):
            await producer.send_batch(batch, topic, partition=number)
        await producer.flush()


def wallet_records(wallets: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of each wallet's first event."""
    for number in range(wallets):
        wallet_id = bench_wallet(number)
        event = WalletOpened(wallet_id, 1, UserId(wallet_id), ("EUR",), {"EUR": 10_000})
        state = evolve(None, event)
        command_id = derived_id(f"bench command {number}")
        value = wire.encode_wallet_event(event, state, command_id=command_id, append_ms=1_795_557_600_000)
        yield wallet_id.encode(), value


def bench_wallet(number: int) -> WalletId:
    """Return the id of the n-th of these wallets."""
    return WalletId(derived_id(f"bench wallet {number}"))
