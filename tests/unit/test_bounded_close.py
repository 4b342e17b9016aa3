"""A close ends within its time, even if the client ignores cancellations."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from ledger_streams.bounded_close import close_within

ROOT = Path(__file__).resolve().parents[2]
CLOSE = re.compile(r"await ([\w.]+)\.(?:stop|aclose|close|wait_closed)\(\)|async with await create_pool")
BOUNDED_THEMSELVES = {
    "opened",
    "publisher",
    "self",
    "self._scan",
    "self._standby",
    "self.app._fetcher",
    "self.app.committer",
    "self.outcomes",
    "self.publisher",
    "site",
    "super",
}
"""Ours, which close their own clients within bounds, and aiohttp's site, which has nothing open then."""


async def quick() -> None:
    await asyncio.sleep(0)


async def deaf(cancellations: int) -> None:
    """Wait for ever, and lose so many cancellations, as aiokafka's fetcher does."""
    for _ in range(cancellations):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def broken() -> None:
    raise ConnectionResetError("gone")


async def cancelled_inside() -> None:
    raise asyncio.CancelledError


async def test_a_close_that_ends_is_clean() -> None:
    assert await close_within("it", quick())


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_a_close_that_hangs_is_given_up_in_time(lost: int) -> None:
    began_s = time.monotonic()
    assert not await close_within("it", deaf(lost), within_s=0.01)
    assert time.monotonic() - began_s < 4


async def test_a_close_that_hangs_leaves_nothing_running() -> None:
    others = asyncio.all_tasks()
    await close_within("it", deaf(1), within_s=0.01)
    assert asyncio.all_tasks() == others


@pytest.mark.parametrize("closing", [broken, cancelled_inside])
async def test_an_error_of_a_close_does_not_hide_the_error_before_it(closing: object) -> None:
    with pytest.raises(ValueError, match="before"):
        try:
            raise ValueError("before")
        finally:
            assert not await close_within("it", closing())  # type: ignore[operator]


def test_a_close_has_a_time_out_everywhere() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("ledger_streams", "agents", "tables", "web")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for match in CLOSE.finditer(path.read_text())
        if match[1] not in BOUNDED_THEMSELVES
    ]
    assert found == []
