"""DataLoader: coalesces the loads of one turn of the event loop into one query.

A round trip costs about the same for one key as for fifty, and a busy server has many callers at
a time.  A load never waits for others: a single load is sent in the loop's next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


class DataLoader(Generic[Key, Result]):
    """Loads the keys of one turn of the event loop in one batch; each caller gets its own result."""

    def __init__(self, load_batch: Callable[[list[Key]], Awaitable[Sequence[Result | Exception]]]) -> None:
        """`load_batch` returns a result per key, in order; an exception among them fails that key only.

        An exception that `load_batch` raises fails all keys of the batch.
        """
        self._load_batch = load_batch
        self._pending: list[tuple[Key, asyncio.Future[Result]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, key: Key) -> Result:
        """Return the result for this key.

        Cancelling one caller does not affect the others in the batch.
        """
        loop = asyncio.get_running_loop()
        if not self._pending:
            loop.call_soon(self._start)
        future: asyncio.Future[Result] = loop.create_future()
        self._pending.append((key, future))
        return await future

    def _start(self) -> None:
        batch, self._pending = self._pending, []
        task = asyncio.create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[tuple[Key, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._load_batch([key for key, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(results)} results for {len(batch)} keys")
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # any error of the batch fails its callers
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # its caller was cancelled
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
