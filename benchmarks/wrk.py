"""wrk: many connections call the API as fast as it answers, each with one call at a time.

wrk.lua makes the calls and prints the figures as a line of JSON after wrk's own output.  A
slower server gets fewer calls (closed loop), so the latencies are those at the rate that it
reaches with these connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.contenders import quiet
from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.install import program

SCRIPT: Final = Path(__file__).with_name("wrk.lua")
TIMEOUT_S: Final = 40
"""Timeout of a call, longer than the wait for a payment."""


class WrkReport(msgspec.Struct):
    """The JSON that the script prints."""

    calls: int
    duration_us: int
    p50_us: int
    p99_us: int
    max_us: int
    statuses: dict[str, int]
    hits: int
    batches_refused: int
    connect: int
    read: int
    write: int
    timeout: int


class CallTiming(msgspec.Struct):
    """Rate, latencies and statuses of the calls."""

    connections: int
    calls: int
    calls_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]
    errors: dict[str, int]
    """Errors of connections, and batches in which a payment was not accepted."""
    hits: int
    """Responses from the cache."""

    @property
    def good(self) -> int:
        """Number of successful calls."""
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))


def called(output: str, *, connections: int) -> CallTiming:
    """Parse the output of wrk; raises Unavailable if it has no figures."""
    line = output.strip().rpartition("\n")[2]
    try:
        found = msgspec.json.decode(line, type=WrkReport)
    except msgspec.DecodeError as error:
        raise Unavailable(dependency="wrk", detail=f"no figures: {output[-1_500:]}") from error
    kinds = ("connect", "read", "write", "timeout", "batches_refused")
    return CallTiming(
        connections=connections,
        calls=found.calls,
        calls_per_s=round(found.calls / found.duration_us * 1e6, 1),
        p50_ms=round(found.p50_us / 1_000, 2),
        p99_ms=round(found.p99_us / 1_000, 2),
        max_ms=round(found.max_us / 1_000, 2),
        statuses=found.statuses,
        errors={kind: getattr(found, kind) for kind in kinds if getattr(found, kind)},
        hits=found.hits,
    )


async def call(
    base: str,
    kind: str,
    wallets: Sequence[str],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    run: int = 0,
    query: str = "",
    batch: int = 0,
) -> CallTiming:
    """Run wrk for `seconds`; `kind` is payment, batch or balance, and `run` is part of the payment ids."""
    found = program("wrk", package="wrk", dependency="wrk", say=quiet)
    ids = folder / "wallets.txt"
    ids.write_text("\n".join(wallets))
    limits = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_S}s"]
    arguments = [*limits, "-s", str(SCRIPT), base, "--", kind, str(ids), str(run), query, str(batch)]
    child = await asyncio.create_subprocess_exec(
        found, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise Unavailable(dependency="wrk", detail=output.decode(errors="replace")[-1_500:])
    return called(output.decode(), connections=connections)
