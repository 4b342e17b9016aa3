"""A killed worker's partitions stand still for little more than its session timeout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest

from benchmarks.rebuild import fill
from benchmarks.takeover import TakeoverTiming, take_over
from ledger_streams.settings import Settings
from tests.live import LiveSystem, running
from tests.own_system import own_system

RATE_PER_S: Final = 200
BEYOND_SESSION_S_MAX: Final = 3.0
TABLES: Final = 100_000
"""Wallets, payments and sagas each; half of them are the killed worker's."""
TAIL_RECORDS_MAX: Final = 5_000
"""More than a second's load writes, and a thirtieth of what the killed worker had."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("tables", [0, TABLES], ids=["small tables", "large tables"])
async def test_payments_go_on_within_three_seconds_of_the_session(
    stack: Settings, tmp_path: Path, tables: int
) -> None:
    async with own_system(stack, tmp_path) as own, running(own) as live:
        await fill(live, tables, payments=tables)
        recovered = await measured(live)
        assert recovered.first_commit_s < recovered.session_timeout_s + BEYOND_SESSION_S_MAX, recovered
        assert recovered.completed == recovered.payments, recovered
        assert recovered.restored_records < TAIL_RECORDS_MAX, recovered
        live.start("worker", "1")
        live.start("projector")
        await live.ready("1")
        reconciled = await live.document("reconcile", "--rocksdb", "--wait", "60")
        assert reconciled["differences"] == []


async def measured(live: LiveSystem) -> TakeoverTiming:
    """Kill a worker and print what its successor took, part by part."""
    recovered = await take_over(live, rate_per_s=RATE_PER_S)
    print(msgspec.json.format(msgspec.json.encode(recovered)).decode())
    return recovered
