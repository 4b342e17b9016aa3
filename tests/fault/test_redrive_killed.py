"""A redrive killed repeatedly at any point: every letter goes back once."""

from __future__ import annotations

import sys

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.integration.test_dlq_redrive import check_each_went_back_once, committed, park
from tests.live import LiveSystem, Process, eventually

LETTERS = 3_000
KILLS = 4


async def test_a_redrive_killed_and_repeated_sends_each_letter_once(
    topics_only: Settings,
) -> None:
    await park(topics_only, LETTERS)
    live = LiveSystem(topics_only)
    command = [sys.executable, "-m", "ledger_streams", "dlq", "redrive", topics.PAYMENT_EVENTS]
    process = Process("redrive", command, live.environment(), topics_only.home / "redrive.log")
    gone = 0
    for _ in range(KILLS):
        process.start()

        async def has_begun(before: int = gone) -> int | None:
            marks = len(await committed(topics_only, topics.REDRIVES))
            return marks if marks > before or process.exit_code is not None else None

        gone = await eventually(has_begun, what="more letters have gone back", every_s=0.01)
        process.kill()
    assert 0 < gone <= LETTERS
    code, said, _ = await live.command("dlq", "redrive", topics.PAYMENT_EVENTS)
    assert (code, "Nothing to do" in said or "went back" in said) == (0, True)
    assert len(await committed(topics_only, topics.REDRIVES)) == LETTERS
    await check_each_went_back_once(topics_only)
