"""Waiting for payments to end and for commands to show, by looking at the read model.

However many wait for a payment, one look a tick is for all of them, and so is one at the steps of
those that have ended; none is taken while nobody waits.  A waiter is told within one interval, or
gets None when its time is up.  While the read model is away the ticks slow down and everybody keeps
waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Self, TypeVar

import msgspec

from ledger_streams import background
from ledger_streams.errors import Unavailable
from ledger_streams.ports import Outcome, PaymentView, ReadModel, WalletView

log = logging.getLogger(__name__)
T = TypeVar("T")
LAST_STEPS: Final = frozenset({"SagaCompleted", "SagaFailed"})
"""Of a saga; they come with the outcome, but on another topic, and that may be projected later."""
AWAY_MS: Final = 500
"""Between two ticks while the read model is away."""
LONE_INTERVAL_MS_MAX: Final = 120
"""Whoever waits alone, for a command, asks less and less often, down to this."""


class OutcomePoller:
    """Many waiters, one look; use as `async with`, or `start` and `stop`."""

    def __init__(self, read_model: ReadModel, *, interval_ms: float = 15) -> None:
        self._read_model = read_model
        self._interval_s = interval_ms / 1000
        self._waiting: dict[str, set[asyncio.Future[Outcome | None]]] = {}
        self._has_waiters = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begin to tick."""
        self._ticking = background.start("outcome-poller", self._poll_forever, on_failure=self._give_up)

    async def stop(self) -> None:
        """End; whoever still waits for a payment is told that its time is up."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
            self._ticking = None
        for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, payment_id: str, timeout_s: float) -> Outcome | None:
        """Return how the payment ended once all of it is projected, or None after `timeout_s`.

        Raises Unavailable when looking for outcomes has failed in a way that nobody foresaw.
        """
        waiter: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(payment_id, set()).add(waiter)
        self._has_waiters.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return None
        finally:
            self._forget(payment_id, waiter)

    async def wait_for_wallet(
        self, wallet_id: str, reached: Callable[[WalletView], bool], timeout_s: float
    ) -> WalletView | None:
        """Return the projected wallet as soon as it is `reached`, or None after `timeout_s`."""

        async def look() -> WalletView | None:
            wallet = await self._read_model.wallet(wallet_id)
            return wallet if wallet is not None and reached(wallet) else None

        return await self._poll_until(look, timeout_s)

    async def _poll_until(self, look: Callable[[], Awaitable[T | None]], timeout_s: float) -> T | None:
        wait_s = self._interval_s
        try:
            async with asyncio.timeout(timeout_s):
                while (found := await self._ask_read_model(look())) is None:
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 1.5, LONE_INTERVAL_MS_MAX / 1000)
                return found
        except TimeoutError:
            return None

    async def _poll_forever(self) -> None:
        while True:
            await self._has_waiters.wait()
            outcomes = await self._ask_read_model(self._outcomes())
            for payment_id, outcome in (outcomes or {}).items():
                for waiter in self._waiting.get(payment_id, ()):
                    if not waiter.done():
                        waiter.set_result(outcome)
            await asyncio.sleep(self._interval_s)

    def _give_up(self, failure: Exception) -> None:
        """Answer all who wait: the next look may fail likewise, and their time runs out."""
        for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
            if not waiter.done():
                error = Unavailable(
                    dependency="read model", detail=f"looking for outcomes failed: {failure!r}"
                )
                waiter.set_exception(error)

    async def _outcomes(self) -> Mapping[str, Outcome]:
        outcomes = await self._read_model.outcomes(list(self._waiting))
        payments = await self._read_model.payments(list(outcomes)) if outcomes else {}
        return {
            key: msgspec.structs.replace(outcomes[key], payment=payment)
            for key, payment in payments.items()
            if _is_whole(payment)
        }

    async def _ask_read_model(self, looked: Awaitable[T]) -> T | None:
        """Take `Unavailable` for "nothing yet", after a longer wait."""
        try:
            return await looked
        except Unavailable as error:
            log.warning("waiting for outcomes: %s", error)
            await asyncio.sleep(AWAY_MS / 1000)
            return None

    def _forget(self, payment_id: str, waiter: asyncio.Future[Outcome | None]) -> None:
        waiters = self._waiting[payment_id]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[payment_id]
        if not self._waiting:
            self._has_waiters.clear()


def _is_whole(payment: PaymentView) -> bool:
    """Whether no step of an ended payment is still to be projected; archived ones are not shown."""
    return payment.archived_month is not None or any(step.event_type in LAST_STEPS for step in payment.steps)
