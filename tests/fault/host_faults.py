"""Nemeses of a process' host: its disk, its clock, its provider, the topics it restores from.

As in `nemeses`, each returns when its fault is removed and the recovery begins.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ledger_streams import topics
from ledger_streams.local.stack.install import program
from tests.e2e.outside import read
from tests.fault.testbed import STRETCH, Testbed
from tests.live import eventually

DISK_BYTES: Final = 256 << 20
"""The size of the tables and of RocksDB's logs, plus a margin."""
BLOCK_BYTES: Final = 1 << 20
WRONG_BY: Final = "-3600s"
CLOCK: Final = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
COMPACTED_AT_ONCE: Final = {
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
}
COMPACTED_RECORDS_MAX: Final = 2
"""Records a saga, on average, that are left: its last one, and what is not compacted yet."""
CHANGELOGS: Final = (topics.PAYMENTS_CHANGELOG, topics.SAGAS_CHANGELOG)
"""wallet-events is whole for 30 days, for its readers; these two have the table's worker alone."""


async def provider_slow(testbed: Testbed) -> None:
    """Answer each call beyond the gateway's time-out: half of them are carried out when it has given up."""
    await testbed.stop("provider-1")
    testbed.provide(slow_share="0.9", error_share="0", lost_share="0", slow_ms="2000")
    await testbed.further(STRETCH)
    await testbed.stop("provider-1")
    testbed.provide()


async def clock_set_back(testbed: Testbed) -> None:
    """Set a worker's and a gateway's clock back by an hour; what measures time goes on evenly."""
    program("faketime", package="faketime", dependency="clock", say=print)
    wrong = {"LD_PRELOAD": CLOCK, "FAKETIME": WRONG_BY, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await testbed.stop("worker-1", "gateway-1")
    testbed.start("worker-1", "gateway-1", **wrong)
    await testbed.live.ready("1")
    await testbed.further(2 * STRETCH)
    await testbed.stop("worker-1", "gateway-1")
    testbed.start("worker-1", "gateway-1")


async def disk_full(testbed: Testbed) -> None:
    """Fill the disk of a worker's tables, which is a small one of its own for that time."""
    tables = testbed.tables("worker-1")
    await testbed.stop("worker-1")
    shutil.rmtree(tables)
    tables.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(tables))
    try:
        testbed.start("worker-1")
        await testbed.live.ready("1")
        ended = testbed.ended_by_itself["worker-1"]
        _fill(tables / "ballast")
        await testbed.out_of_the_group("worker-1")  # it ends, and does not come back before there is room
        assert testbed.ended_by_itself["worker-1"] > ended
        await testbed.further(STRETCH)
        testbed.kill("worker-1")
        (tables / "ballast").unlink()
        testbed.start("worker-1")
        await testbed.live.ready("1")
        await testbed.stop("worker-1")
    finally:
        testbed.kill("worker-1")
        _run("umount", str(tables))
    testbed.start("worker-1")


async def changelogs_compacted(testbed: Testbed) -> None:
    """Have the changelogs compacted while they are written, and all tables read back from what is left."""
    await _compact_at_once(testbed)

    async def is_compacted() -> bool:
        left = await read(testbed.live, topics.SAGAS_CHANGELOG)  # half a dozen records a saga, at first
        return len(left) < COMPACTED_RECORDS_MAX * len({kept.key for kept in left})

    await eventually(is_compacted, what="the sagas' changelog is compacted", seconds=120, every_s=1)
    for name in ("worker-1", "worker-2"):
        testbed.kill(name)
        shutil.rmtree(testbed.tables(name))
        testbed.start(name)
        await testbed.live.ready(name.rpartition("-")[2])


async def letters_redriven_while_workers_are_killed(testbed: Testbed) -> None:
    """Send the poison back, which is parked once more, while the workers that park it are killed."""
    code, out, err = await testbed.live.command("dlq", "redrive", topics.PAYMENT_EVENTS)
    assert code == 0, out + err
    for name in ("worker-1", "worker-2"):
        testbed.kill(name)
        testbed.start(name)
    code, out, err = await testbed.live.command("dlq", "redrive", topics.PAYMENT_EVENTS)
    assert code == 0, out + err


async def _compact_at_once(testbed: Testbed) -> None:
    config = testbed.live.settings
    wanted = {name: topics.spec(name).configs(config) | COMPACTED_AT_ONCE for name in CHANGELOGS}
    admin = AIOKafkaAdminClient(bootstrap_servers=testbed.live.settings.kafka)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, config.topic(name), configs=configs)
                for name, configs in wanted.items()
            ]
        )
    finally:
        await admin.close()


def _fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as ballast:
        try:
            while ballast.write(b"\0" * BLOCK_BYTES):
                os.fsync(ballast.fileno())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
