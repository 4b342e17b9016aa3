"""Outcome poller: waits for payments to end by polling the read model.

One query per tick serves all waiters, and one more reads the steps of the ended payments.  The poller
does not query while there are no waiters.  A waiter gets its outcome within one interval, or None
after its timeout.  While the read model is unavailable the ticks slow down and waiters keep waiting.
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
"""Final steps of a saga; their topic may be projected after that of the outcome."""
AWAY_MS: Final = 500
"""Time between two ticks while the read model is unavailable."""
LONE_INTERVAL_MS_MAX: Final = 120
"""Upper bound of the growing interval at which one caller polls a wallet."""


class OutcomePoller:
    """Polls once for many waiters; use it as `async with`, or call `start` and `stop`."""

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
        """Start polling."""
        self._ticking = background.start("outcome-poller", self._poll_forever, on_failure=self._give_up)

    async def stop(self) -> None:
        """Stop polling; remaining waiters get None."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
            self._ticking = None
        for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, payment_id: str, timeout_s: float) -> Outcome | None:
        """Return the outcome once the whole payment is projected, or None after `timeout_s`.

        Raises Unavailable when polling fails with an unexpected error.
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
        """Raise Unavailable in all waiters: the next poll may fail likewise within their timeouts."""
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
        """Return None after a longer wait when the read model is unavailable."""
        try:
            return await looked
        except Unavailable as error:
            log.warning("Polling for outcomes failed: %s. Retrying in %d ms.", error, AWAY_MS)
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
    """Tell whether all steps of an ended payment are projected; archived payments show none."""
    return payment.archived_month is not None or any(step.event_type in LAST_STEPS for step in payment.steps)
