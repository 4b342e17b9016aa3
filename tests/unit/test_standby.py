"""Standing back: a takeover waits for it, so it ends whatever the client of the followed log does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from aiokafka.errors import KafkaError

from ledger_streams.engine.state.standby import Standby
from ledger_streams.engine.state.takeover_progress import Place
from ledger_streams.errors import InvariantBroken


class Stubborn(Standby):
    """Follows with a consumer that fails to stop: its error comes instead of the cancellation."""

    cancel_again_s = 0.01
    begun = 0

    async def _follow(self, owned: Collection[Place]) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            raise KafkaError("did not stop")


async def test_a_cancellation_that_is_lost_is_said_again(tmp_path: Path) -> None:
    stubborn = Stubborn(bootstrap="", group_id="", tables_dir=tmp_path, specs=(), changelog_topics={})
    stubborn.follow(())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await stubborn.pause()
    assert stubborn.begun == 1
    stubborn.follow(())
    async with asyncio.timeout(5):
        await stubborn.close()


class Broken(Standby):
    """Follows a log that is not its tables'."""

    async def _follow(self, owned: Collection[Place]) -> None:
        raise InvariantBroken("the table holds states but no position")


async def test_what_it_cannot_follow_ends_it_and_not_the_worker(tmp_path: Path) -> None:
    broken = Broken(bootstrap="", group_id="", tables_dir=tmp_path, specs=(), changelog_topics={})
    broken.follow(())
    assert broken._following is not None
    async with asyncio.timeout(5):
        await broken._following
    await broken.close()
