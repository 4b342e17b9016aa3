"""Services: the external dependencies of the views, passed in as one value.

Views keep no state and use no clock or randomness of their own.  A worker's web server
starts before its connections are open, so each request asks for the `Services` anew.
Until they exist the call raises `Unavailable`, and the client gets a 503 with Retry-After.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from ledger_streams.ports import BalanceCache, Outcome, Publisher, ReadModel, WalletView


class Outcomes(Protocol):
    """Waits until a payment or wallet change is projected; also waits for an unavailable read model."""

    async def wait(self, payment_id: str, timeout_s: float) -> Outcome | None:
        """Return the outcome once the payment's wallets are projected, or None after `timeout_s`."""

    async def wait_for_wallet(
        self, wallet_id: str, reached: Callable[[WalletView], bool], timeout_s: float
    ) -> WalletView | None:
        """Return the projected wallet as soon as `reached` accepts it, or None after `timeout_s`."""


class Claims(Protocol):
    """Reserves payment ids for the first request, until the payment is projected."""

    async def claim(self, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
        """Claim ids with their fingerprints; return the fingerprint that holds each id.

        A free id gets the given fingerprint; a claimed id keeps the earlier one.  Raises
        `Unavailable` when the store is unavailable.
        """


Readiness = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns `ok` or a description of the failure for each dependency."""


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Full names of the topics that the API writes."""

    payment_events: str
    wallet_commands: str


@dataclass(frozen=True, kw_only=True)
class Services:
    """Dependencies of the views; `now` returns UTC, `new_id` a new canonical UUID."""

    read_model: ReadModel
    cache: BalanceCache
    publisher: Publisher
    outcomes: Outcomes
    claims: Claims
    topics: Topics
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    providers: Collection[str]
    """Names of the configured providers, the same as in the workers."""
    projection_wait_s: float = 10.0
    """Time for a wallet command to be projected into the read model; then the request fails with 503."""
    body_wait_s: float = 30.0
    """Time to receive a body, then 408; a body shorter than its Content-Length would never end."""


SERVICES: Final[web.AppKey[Callable[[], Services]]] = web.AppKey("services")
"""Key of the aiohttp application for the function that returns its services."""

DOCUMENT: Final[web.AppKey[bytes]] = web.AppKey("document")
"""Key of the aiohttp application for the OpenAPI document, encoded as JSON."""

READINESS: Final[web.AppKey[Readiness]] = web.AppKey("readiness")
"""Key of the aiohttp application for the readiness check, which works before the services exist."""
