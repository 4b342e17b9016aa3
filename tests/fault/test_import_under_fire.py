"""A real import while workers and projector are killed and paused: the balances are exact.

Each fault waits for further progress of the import, so the system has recovered from the
fault before and is at work.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.bank_file import carried_out
from tests.e2e.outside import read
from tests.live import LiveSystem, eventually, running
from tests.own_system import own_system

ROWS: Final = 29_465
STRETCH_ROWS: Final = 1_700
"""Between two faults; all of them together are less than the file."""
STRETCH_S_MAX: Final = 120.0

Fault = Callable[["Fire"], Awaitable[None]]


class Fire:
    """Kills and pauses processes of a system, starts again what has ended, and counts."""

    def __init__(self, live: LiveSystem) -> None:
        self.live = live
        self.counts: Counter[str] = Counter()

    async def kill(self, *names: str) -> None:
        """Kill -9 at one moment, and start again at once."""
        for name in names:
            self.live.processes[name].kill()
        for name in names:
            self.counts[f"kills of a {name.partition('-')[0]}"] += 1
            self.live.start(*name.split("-"))

    async def kill_twice(self, name: str) -> None:
        """Kill it again as soon as it answers, while it takes its partitions over."""
        await self.kill(name)
        worker_id = name.partition("-")[2]

        async def answers() -> bool:
            with suppress(aiohttp.ClientConnectionError):
                await self.live.request("GET", "/health/live", worker_id=worker_id)
                return True
            return False

        await eventually(answers, what=f"{name} answers", every_s=0.01)
        await self.kill(name)

    async def pause(self, name: str) -> None:
        """Stop it until the group has put it out and the others have got on without it; then let it go on."""
        process, worker_id = self.live.processes[name], name.partition("-")[2]
        await self.live.ready(worker_id)
        process.signal(signal.SIGSTOP)
        self.counts["pauses beyond the session timeout"] += 1
        await eventually(partial(self.live.is_out, worker_id), what=f"{name} is out of the group")
        await self.further(300)
        process.signal(signal.SIGCONT)
        await self._ready_or_again(name)

    async def further(self, rows: int) -> None:
        """Return when so many more payments have ended."""
        goal = await self.live.ended_payments() + rows

        async def is_there() -> bool:
            self.start_again_what_ended()
            return await self.live.ended_payments() >= goal

        await eventually(is_there, what=f"{rows} more payments", seconds=STRETCH_S_MAX, every_s=0.2)

    def start_again_what_ended(self) -> None:
        """Do as `ledger-streams run` does with what ends by itself."""
        for name, process in self.live.processes.items():
            if process.exit_code is not None:
                self.counts["ended by itself"] += 1
                self.live.start(*name.split("-"))

    async def _ready_or_again(self, name: str) -> None:
        async def is_ready() -> bool:
            self.start_again_what_ended()
            with suppress(aiohttp.ClientConnectionError):
                answer = await self.live.request("GET", "/health/ready", worker_id=name.partition("-")[2])
                return answer[0] == 200
            return False

        await eventually(is_ready, what=f"{name} is ready again")


FIRE: Final[tuple[Fault, ...]] = (
    lambda fire: fire.kill("worker-1"),
    lambda fire: fire.kill("worker-2"),
    lambda fire: fire.kill("projector-1"),
    lambda fire: fire.pause("worker-1"),
    lambda fire: fire.kill("worker-1"),
    lambda fire: fire.kill_twice("worker-2"),
    lambda fire: fire.kill("worker-1", "worker-2"),
    lambda fire: fire.kill("projector-1"),
    lambda fire: fire.pause("worker-2"),
    lambda fire: fire.kill_twice("worker-1"),
    lambda fire: fire.kill("worker-1", "projector-1"),
)


async def under_fire(fire: Fire, importing: Coroutine[Any, Any, Any]) -> Any:
    """Return the import's report, once it has got through."""
    task = asyncio.create_task(importing)
    try:
        for fault in FIRE:
            await fire.further(STRETCH_ROWS)
            assert not task.done(), "the import was over before the fire"
            await fault(fire)
        await fire.further(ROWS - await fire.live.ended_payments())
        return await task
    finally:
        task.cancel()


@pytest.mark.timeout(1_200)
async def test_a_real_import_is_exact_through_ten_kills_of_workers_and_two_pauses(
    stack: Settings, tmp_path: Path, bank_data: Path
) -> None:
    balances, _ = carried_out(bank_data, overdraft=True)
    assert (len(balances), sum(balances.values())) == (725, Decimal("23042073.00"))
    arguments = ("import", str(bank_data), "--overdraft", "unlimited", "--wait", str(STRETCH_S_MAX))
    async with own_system(stack, tmp_path) as settings, running(settings, workers=2) as live:
        fire, began_s = Fire(live), time.monotonic()
        report = await under_fire(fire, live.document(*arguments))
        counted = ", ".join(f"{count} {what}" for what, count in fire.counts.items())
        print(f"\n{counted}; {ROWS:,} payments in {time.monotonic() - began_s:.0f} s")
        assert (fire.counts["kills of a worker"], fire.counts["kills of a projector"]) == (10, 3)

        assert (report["rows"], report["taken"], report["not_ended"], report["reasons"]) == (
            ROWS,
            ROWS,
            0,
            {},
        )
        assert report["totals"][0]["net"] == "23042073.00"
        await check_exact(live, balances)
        again = await live.document(*arguments)
        assert (again["taken"], again["already_completed"], again["wallets_opened"]) == (0, ROWS, 0)
        await check_exact(live, balances)


async def check_exact(live: LiveSystem, balances: dict[str, Decimal]) -> None:
    """Check the log, the tables, PostgreSQL and HTTP against the file, to the cent and to the record."""
    reconciled = await live.document("reconcile", "--rocksdb", "--wait", "60")
    assert (reconciled["differences"], reconciled["lagging"], reconciled["table_partitions"]) == ([], {}, 8)
    assert (reconciled["wallets"], reconciled["totals"]) == (725, {"CZK": "23042073.00"})
    await check_log(live, balances)
    await check_postgres(live, balances)
    for number, (wallet_id, balance) in enumerate(balances.items()):
        path = f"/v1/wallets/{wallet_id}/balance"
        status, answer, _ = await live.request("GET", path, worker_id="12"[number % 2])
        assert (status, Decimal(answer["balances"][0]["balance"])) == (200, balance)


async def check_log(live: LiveSystem, balances: dict[str, Decimal]) -> None:
    wallets: dict[str, list[Any]] = {}
    for kept in await read(live, topics.WALLET_EVENTS):
        wallets.setdefault(kept.key.decode(), []).append(msgspec.json.decode(kept.value))
    for own in wallets.values():
        assert [event["event_version"] for event in own] == list(range(1, len(own) + 1))
    last = {wallet_id: own[-1]["wallet"]["balances"]["CZK"]["balance"] for wallet_id, own in wallets.items()}
    assert {wallet_id: Decimal(text) for wallet_id, text in last.items()} == balances
    assert sum(map(len, wallets.values())) == ROWS + len(balances)
    for topic, records in ((topics.PAYMENT_EVENTS, 2 * ROWS), (topics.SAGA_EVENTS, 3 * ROWS)):
        ids = [msgspec.json.decode(kept.value)["event_id"] for kept in await read(live, topic)]
        assert (len(ids), len(set(ids))) == (records, records)
        assert await read(live, topics.dead_letters(topic)) == []


async def check_postgres(live: LiveSystem, balances: dict[str, Decimal]) -> None:
    rows = await live.rows(
        "SELECT wallet_id::text, sum(CASE event_type WHEN 'BalanceAdded' THEN 1 ELSE -1 END"
        " * (event_data->>'amount')::numeric) AS balance, count(*) AS moves"
        " FROM wallet_events WHERE event_type <> 'WalletOpened' GROUP BY wallet_id"
    )
    assert {row["wallet_id"]: row["balance"] for row in rows} == balances
    assert sum(row["moves"] for row in rows) == ROWS
    (counts,) = await live.rows(
        "SELECT (SELECT count(*) FROM events) AS events,"
        " (SELECT count(DISTINCT event_id) FROM events) AS ids,"
        " (SELECT count(*) FROM event_repeats) AS repeats, (SELECT count(*) FROM postings) AS postings,"
        " (SELECT count(*) FROM payments WHERE status = 'completed') AS completed"
    )
    assert dict(counts) == {
        "events": 5 * ROWS,
        "ids": 5 * ROWS,
        "repeats": 0,
        "postings": 2 * ROWS,
        "completed": ROWS,
    }
