"""Services: all that the views need from outside, passed in as one value.

The views keep no state and know no clock and no randomness of their own.  A worker's
web server is up before its connections are, so `Services` are asked for at each
request; until they exist, asking raises `Unavailable` and the caller is told to retry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from ledger_streams.ports import BalanceCache, Outcome, Publisher, ReadModel, WalletView


class Outcomes(Protocol):
    """Waits for what was sent to show in the read model; an absent read model is waited for too."""

    async def wait(self, payment_id: str, timeout_s: float) -> Outcome | None:
        """Return how the payment ended once its wallets are projected, or None when time is up."""

    async def wait_for_wallet(
        self, wallet_id: str, reached: Callable[[WalletView], bool], timeout_s: float
    ) -> WalletView | None:
        """Return the projected wallet as soon as it is `reached`, or None when time is up."""


class Claims(Protocol):
    """First come, first served on a payment's id, for the time until the payment is projected."""

    async def claim(self, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
        """Claim ids with their fingerprints, and return the fingerprint that holds each id.

        It is the one given where the id was free, else the earlier one.  Raises `Unavailable`
        when the store is away.
        """


Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""Says of each dependency `ok` or what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The topics the API writes to, by their full names."""

    payment_events: str
    wallet_commands: str


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the views get; `now` is UTC, `new_id` a fresh canonical UUID."""

    read_model: ReadModel
    cache: BalanceCache
    publisher: Publisher
    outcomes: Outcomes
    claims: Claims
    topics: Topics
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    providers: Collection[str]
    """The names of the providers that are configured, as the workers have them."""
    projection_wait_s: float = 10.0
    """How long a wallet's command may take to be seen in the read model, before 503."""
    body_wait_s: float = 30.0
    """How long a body may be on its way, before 408: one shorter than its Content-Length never ends."""


SERVICES: Final[web.AppKey[Callable[[], Services]]] = web.AppKey("services")
"""Where the aiohttp application keeps the way to its services."""

DOCUMENT: Final[web.AppKey[bytes]] = web.AppKey("document")
"""Where it keeps the OpenAPI document, as JSON."""

READINESS: Final[web.AppKey[Readiness]] = web.AppKey("readiness")
"""Where it keeps the question whether the process is ready: it is answered before there are services, too."""
