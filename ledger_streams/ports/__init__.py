"""Ports: the interfaces of the application to PostgreSQL, Redis, Kafka and providers.

Each port has an adapter and, for tests, an in-memory twin; one contract suite runs against both.
Every call raises `Unavailable` while its technology is unavailable, and no other error.  Money
is decimal strings here, as on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from ledger_streams.errors import Unavailable
from ledger_streams.ports.history import History
from ledger_streams.ports.payment_lists import PaymentsAsked


class BalanceView(msgspec.Struct, frozen=True):
    """One currency of a wallet; balance = available + held, all without the overdraft."""

    available: str
    held: str
    balance: str
    overdraft_limit: str


class WalletView(msgspec.Struct, frozen=True):
    """A wallet as of its event `version`; `as_of` is that event's occurred_at (RFC 3339, UTC)."""

    wallet_id: str
    user_id: str
    status: str
    version: int
    balances: dict[str, BalanceView]
    as_of: str


class HoldView(msgspec.Struct, frozen=True):
    """A hold of a wallet: `amount` is the rest, `payment_id` is null in a caller's hold."""

    wallet_id: str
    hold_id: str
    amount: str
    currency: str
    payment_id: str | None
    expires_at: str | None


class StepView(msgspec.Struct, frozen=True):
    """One event in a payment's life."""

    event_type: str
    occurred_at: str


class PaymentView(msgspec.Struct, frozen=True):
    """A payment as the read model knows it; status is one of domain/statuses."""

    payment_id: str
    kind: str
    status: str
    reason: str | None
    amount: str
    currency: str
    source_wallet_id: str | None
    target_wallet_id: str | None
    fingerprint: str
    """Fingerprint of the first request (domain/payment): distinguishes repetition and mismatch."""
    steps: tuple[StepView, ...] = ()
    refunded: str | None = None
    """Sum of all refunds; None before the first."""
    provider: str | None = None
    """The payment's provider; of a refund, known after the grant and only with steps."""
    archived_month: str | None = None
    """Month of its request, like 2024-11, if that month's events, its first steps too, are archived."""
    detail: str | None = None
    """Text beside the reason of a failure."""
    user_id: str | None = None
    requested_at: str | None = None
    ended_at: str | None = None
    refund_of: str | None = None
    """refund_of, hold_id and metadata are in the first step: unknown once it is archived."""
    hold_id: str | None = None
    metadata: msgspec.Raw | None = None


class ParkedView(msgspec.Struct, frozen=True):
    """A parked record of a payment or wallet: the projections lack it and those behind it."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    parked_at: str


class Outcome(msgspec.Struct, frozen=True):
    """An ended payment whose wallets are all projected."""

    payment: PaymentView
    wallets: tuple[WalletView, ...]
    """The changed wallets, at the version of the payment's last step or later."""


class UnderWay(msgspec.Struct, frozen=True):
    """The number of payments in flight, and the request time of the oldest."""

    payments: int
    oldest: datetime | None


class ReadModel(History, Protocol):
    """Queries on the projections."""

    async def wallet(self, wallet_id: str) -> WalletView | None:
        """Return the wallet's newest projected state."""

    async def wallet_at(self, wallet_id: str, at: datetime) -> WalletView | None:
        """Return the wallet before the first event after `at`, in order; None when it was not open yet."""

    async def wallets_of_user(self, user_id: str, *, after: str, limit: int) -> Sequence[WalletView]:
        """Return the user's first `limit` wallets with ids above `after` (empty: all), by wallet_id."""

    async def wallet_events(
        self, wallet_id: str, *, after_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return up to `limit` envelopes (with `wallet`) of versions above `after_version`, in order."""

    async def wallet_event_of(self, wallet_id: str, command_id: str) -> Mapping[str, Any] | None:
        """Return the envelope of the wallet event that the command caused, once it is projected."""

    async def holds(self, wallet_id: str) -> Sequence[HoldView]:
        """Return the wallet's holds, of payments and callers, ordered by hold_id."""

    async def hold_event(self, wallet_id: str, hold_id: str) -> Mapping[str, Any] | None:
        """Return the envelope of the FundsHeld of a caller's hold, whether it has ended or not."""

    async def parked(self, aggregate_id: str) -> Sequence[ParkedView]:
        """Return the first few parked records of a payment or wallet, oldest first; usually none."""

    async def payment(self, payment_id: str) -> PaymentView | None:
        """Return the payment with its steps in order."""

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return the projected ones of the payments, each with its steps in order."""

    async def payments_listed(self, asked: PaymentsAsked) -> Sequence[PaymentView]:
        """Return a page of payments, newest first, without steps; metadata up to 4 KiB."""

    async def known_payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return the projected ones of the payments, without steps, refund_of, hold_id and metadata."""

    async def under_way(self, requested_before: datetime) -> UnderWay:
        """Return the count of payments in flight that were requested before then."""

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return the ended ones of the payments whose wallets are projected, without steps."""


class BalanceCache(Protocol):
    """The cache of wallets; it never puts an older version over a newer one.

    An epoch is a period in which the cache has lost no write.  A writer puts a wallet with the epoch
    that it saw before it read or committed the wallet in the read model; an entry of another epoch is
    a miss.  So a cache restored from an older state never serves overwritten entries.
    """

    @property
    def epoch(self) -> str:
        """The epoch of the last response, empty before the first; an older one is always safe."""

    async def learn_epoch(self) -> str:
        """Read the current epoch."""

    async def get(self, wallet_id: str) -> WalletView | None:
        """Return the cached wallet, or None."""

    async def put(self, wallets: Sequence[WalletView], epoch: str | None = None) -> None:
        """Store the wallets unless the cache has newer versions; renew their time to live.

        Without `epoch` the current epoch is used.
        """


class Message(msgspec.Struct, frozen=True):
    """A record to be sent: the topic's full name, the key's text, the value's bytes."""

    topic: str
    key: str
    value: bytes


class Publisher(Protocol):
    """Sends records; `publish` returns after all in-sync replicas have acknowledged."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all and wait for all acknowledgements; records of one key keep their order."""


class ProviderOrder(msgspec.Struct, frozen=True):
    """An order that a provider executes once: `kind` is deposit (collect) or withdrawal (pay out)."""

    key: str
    """The idempotency key, a UUID as text: all calls with one key are one payment."""
    payment_id: str
    kind: str
    amount: str
    currency: str


class ProviderAnswer(msgspec.Struct, frozen=True):
    """A known outcome; `detail` is the provider's reference when approved, its reason when declined."""

    status: Literal["approved", "declined", "cancelled"]
    detail: str | None = None


class Unsettled(Unavailable):
    """The provider's response contains no outcome of this payment, such as a 409.

    The provider is up, so its breaker counts a success; the payment's outcome is unknown.
    """


class Providers(Protocol):
    """The services that collect from and pay out to the outside world, by name.

    `Unavailable` means that the outcome is unknown: the provider may have executed the order, or may
    still do it.  Details are valid text for an event, whatever bytes the provider sends.
    """

    def knows(self, provider: str) -> bool:
        """Tell whether a provider of this name is configured; calls of others are Unavailable."""

    async def carry_out(self, provider: str, order: ProviderOrder) -> ProviderAnswer:
        """Execute the order and return approved or declined; safe to repeat with the same order."""

    async def cancel(self, provider: str, key: str) -> ProviderAnswer:
        """Return cancelled: the key, seen before or not, never has an effect; safe to repeat."""


class Breakers(Protocol):
    """A circuit breaker a provider, shared by all workers; unlike other ports it never raises.

    CLOSED lets calls through; failures in a row open it.  OPEN refuses them for a while, then becomes
    HALF_OPEN: one trial call decides.  Every call that was allowed is reported as one of the two ends.
    """

    async def allow_call(self, provider: str) -> bool:
        """Say whether a call may be made now; True may have made the caller the one on trial."""

    async def record_success(self, provider: str) -> None:
        """Report that the provider has answered, whatever the answer."""

    async def record_failure(self, provider: str) -> None:
        """Report that no answer came, or one that says that the provider cannot answer now."""
