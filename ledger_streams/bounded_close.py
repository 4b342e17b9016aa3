"""Closes a client within a bounded time.

aiokafka's consumer may lose the cancellation by which its close ends a fetch, and then waits for
ever; a silent server blocks any client in the same way.  A close that takes too long is cancelled
and abandoned: its sockets end with the process, and the caller continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final

log = logging.getLogger(__name__)

CLOSE_S_MAX: Final = 5.0
"""Longer than any close that makes progress takes."""
CANCELLATIONS_MAX: Final = 3
"""The client can lose a cancellation; the next one reaches it at another await."""
CANCELLATION_S_MAX: Final = 0.5


async def close_within(name: str, closing: Awaitable[object], *, within_s: float = CLOSE_S_MAX) -> bool:
    """Await `closing` for `within_s` at most; return whether the client named `name` closed cleanly.

    An error of a close is logged, never raised: it must not hide the error that led here.
    """
    task = asyncio.ensure_future(closing)
    await asyncio.wait({task}, timeout=within_s)
    is_late = not task.done()
    for _ in range(CANCELLATIONS_MAX):
        if task.done():
            break
        task.cancel()
        await asyncio.wait({task}, timeout=CANCELLATION_S_MAX)
    if is_late:
        task.add_done_callback(_noted)
        log.warning("%s did not close within %g s; its connections are abandoned", name, within_s)
        return False
    if task.cancelled() or task.exception() is not None:
        problem = "cancelled" if task.cancelled() else repr(task.exception())
        log.info("%s did not close cleanly: %s", name, problem)
        return False
    return True


def _noted(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
