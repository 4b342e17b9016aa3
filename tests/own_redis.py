"""A Redis of a test's own: killed, started again, and given older files.

It listens where nobody else does and keeps an append-only file and a snapshot in its folder.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from ledger_streams.local.stack.redis import _program
from tests.live import eventually
from tests.ports import free_port


class OwnRedis:
    """One server at a time on one port, on whatever files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._running: subprocess.Popen[bytes] | None = None

    async def start(self, *options: str) -> None:
        """Start it on the files of its folder and wait until it answers."""
        self._folder.mkdir(exist_ok=True)
        words = ["--port", str(self.port), "--dir", str(self._folder), "--save", "", "--bind", "127.0.0.1"]
        command = [str(_program()), *words, *(options or ("--appendonly", "yes"))]
        with (self._folder / "log").open("ab") as log:
            self._running = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220

        async def answers() -> bool:
            async with aioredis.Redis.from_url(self.url) as redis:
                try:
                    return bool(await redis.ping())
                except (RedisError, OSError):
                    return False

        await eventually(answers, what="redis answers", every_s=0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._running is not None, "it does not run"
        self._running.send_signal(signal.SIGKILL)
        self._running.wait()
        self._running = None

    def keep_files(self) -> None:
        """Copy its files as they are now."""
        shutil.copytree(self._folder, self._kept, dirs_exist_ok=False)

    def older_files(self) -> None:
        """Put back the files that were kept: what was written since is lost."""
        shutil.rmtree(self._folder)
        shutil.move(self._kept, self._folder)

    @property
    def _kept(self) -> Path:
        return self._folder.with_name(f"{self._folder.name}-kept")

    def close(self) -> None:
        """End it if it runs."""
        if self._running is not None:
            self.kill()


@asynccontextmanager
async def own_redis(folder: Path) -> AsyncIterator[OwnRedis]:
    """A server that runs, ended afterwards."""
    redis = OwnRedis(folder)
    try:
        await redis.start()
        yield redis
    finally:
        await asyncio.to_thread(redis.close)
