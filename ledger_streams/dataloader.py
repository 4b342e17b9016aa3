"""Together: those who ask in the same moment are answered by one question.

A round trip costs much the same for one as for fifty, and a busy server's callers come in crowds.
Nobody waits for others to come: who asks alone is asked for alone, in the loop's next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class DataLoader(Generic[Asked, Answer]):
    """Asks for all who came in one turn of the event loop; each is told what is said to it alone."""

    def __init__(self, answers: Callable[[list[Asked]], Awaitable[Sequence[Answer | Exception]]]) -> None:
        """`answers` returns one for each, in order; an exception among them is raised to whom it answers.

        What it raises itself is raised to all.
        """
        self._answers = answers
        self._coming: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def load(self, asked: Asked) -> Answer:
        """Return the answer; who gives up waiting takes it from nobody else."""
        loop = asyncio.get_running_loop()
        if not self._coming:
            loop.call_soon(self._begin)
        waiting: asyncio.Future[Answer] = loop.create_future()
        self._coming.append((asked, waiting))
        return await waiting

    def _begin(self) -> None:
        coming, self._coming = self._coming, []
        asking = asyncio.create_task(self._ask(coming))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask(self, coming: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._answers([asked for asked, _ in coming])
            if len(answers) != len(coming):
                raise ValueError(f"{len(answers)} answers for {len(coming)}")
        except asyncio.CancelledError:
            for _, waiting in coming:
                waiting.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, those who wait are told
            answers = [error] * len(coming)
        for (_, waiting), answer in zip(coming, answers, strict=True):
            if waiting.done():
                continue  # it has given up
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
