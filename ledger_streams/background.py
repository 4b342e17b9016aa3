"""Background tasks: starts and supervises all tasks beside requests and cycles.

No failure is silent.  An exception that a task does not handle is logged with its traceback and
counted (`ledger_background_task_failures`), and then, by the task's policy,

    RESTART   the task restarts, after a wait that doubles up to 30 s
    END       the process ends with code 70: without the task correctness would be in doubt

A broken invariant ends the process under either policy.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final, TypeVar

from ledger_streams.errors import InvariantBroken
from ledger_streams.metrics import BACKGROUND_TASK_FAILURES
from ledger_streams.process_exit import exit_now

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_WAIT_S: Final = 0.1
WAIT_S_MAX: Final = 30.0
WELL_S: Final = 60.0
"""A task that ran for so long was healthy: its next failure starts with the first wait."""

Run = Callable[[], Awaitable[None]]
"""Runs the task's work from its start."""


class Policy(Enum):
    """The consequence of a task's failure."""

    RESTART = auto()
    END = auto()


def start(
    name: str,
    run: Run,
    *,
    policy: Policy = Policy.RESTART,
    on_failure: Callable[[Exception], object] | None = None,
) -> asyncio.Task[None]:
    """Start a task that runs until `run` returns or the task is cancelled.

    `on_failure` is called first at each failure, so that it can fail the futures that wait for
    the task.
    """
    return asyncio.create_task(kept_up(name, run, policy=policy, on_failure=on_failure), name=name)


async def kept_up(
    name: str,
    run: Run,
    *,
    policy: Policy = Policy.RESTART,
    on_failure: Callable[[Exception], object] | None = None,
) -> None:
    """Supervise `run` in the caller's task: for a Faust service, which starts its tasks itself."""
    wait_s = FIRST_WAIT_S
    while True:
        began_s = time.monotonic()
        try:
            await run()
            return
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            failure: Exception = RuntimeError(f"cancelled by nobody: {error!r}")
        except Exception as error:  # noqa: BLE001  # any error: the task has ended
            failure = error
        if time.monotonic() - began_s >= WELL_S:
            wait_s = FIRST_WAIT_S
        _tell(name, failure, policy, on_failure)
        log.error("Background task %s failed; it begins anew in %.1f s.", name, wait_s, exc_info=failure)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, WAIT_S_MAX)


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return the result of `work`; raise TimeoutError in time, even if its cancellation takes longer.

    A silent connection delays the end of a cancelled task; the caller does not wait for it.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_ended_late)
    raise TimeoutError


def _ended_late(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("Task %s failed after its time limit: %r", task.get_name(), error)


def _tell(
    name: str, failure: Exception, policy: Policy, on_failure: Callable[[Exception], object] | None
) -> None:
    """Count a failure, call `on_failure`, and end the process if the policy or the error demands it."""
    BACKGROUND_TASK_FAILURES.labels(name).inc()
    if on_failure is not None:
        on_failure(failure)
    if policy is Policy.END or isinstance(failure, InvariantBroken):
        exit_now(f"Background task {name} failed", failure)


def _is_cancelled() -> bool:
    """Tell whether this task itself is cancelled, and not a future that it awaits."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
