"""Ports: what the application asks of the outside, in its own words.

Each port has one adapter for the real technology and, where tests profit, an
in-memory twin; one contract suite runs against both.  Every call raises
`Unavailable` when the technology behind it is away, and nothing else.
Money in these shapes is decimal strings, as on the wire.
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
    """One currency of a wallet; balance = available + held, the overdraft is in none of them."""

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
    """Money that a wallet has set aside: `amount` is what is left of it, `payment_id` null in a caller's."""

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
    """Of the first request's content (domain/payment); tells a repetition from a mismatch."""
    steps: tuple[StepView, ...] = ()
    refunded: str | None = None
    """By all refunds together; None before the first."""
    provider: str | None = None
    """Whom it goes by; of a refund, once the refunded payment has said so and if steps are asked for."""
    archived_month: str | None = None
    """Of its request, like 2024-11, where events of that month, its first steps among them, are archived."""
    detail: str | None = None
    """Why it failed, in words, where the reason does not say all."""
    user_id: str | None = None
    requested_at: str | None = None
    ended_at: str | None = None
    refund_of: str | None = None
    """This, hold_id and metadata are in its first step: not known once that is archived."""
    hold_id: str | None = None
    metadata: msgspec.Raw | None = None


class ParkedView(msgspec.Struct, frozen=True):
    """A record of a payment or wallet that the projections do not have: the read side is behind by it."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    parked_at: str


class Outcome(msgspec.Struct, frozen=True):
    """An ended payment all of whose wallets the read model has reached."""

    payment: PaymentView
    wallets: tuple[WalletView, ...]
    """The wallets it touched, at the version of its last step or later."""


class UnderWay(msgspec.Struct, frozen=True):
    """How many payments have not ended, and when the oldest of them was requested."""

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
        """Return what the wallet holds, payments' and callers', ordered by hold_id."""

    async def hold_event(self, wallet_id: str, hold_id: str) -> Mapping[str, Any] | None:
        """Return the envelope of the FundsHeld of a caller's hold, whether it has ended or not."""

    async def parked(self, aggregate_id: str) -> Sequence[ParkedView]:
        """Return the first few parked records of a payment or wallet, oldest first; none as a rule."""

    async def payment(self, payment_id: str) -> PaymentView | None:
        """Return the payment with its steps in order."""

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those of the payments that are projected, each with its steps in order."""

    async def payments_listed(self, asked: PaymentsAsked) -> Sequence[PaymentView]:
        """Return the payments asked for, the newest first, without steps; metadata up to 4 KiB."""

    async def known_payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected, ended or not, without steps and what requests say beside them."""

    async def under_way(self, requested_before: datetime) -> UnderWay:
        """Return what has not ended of the payments requested before then."""

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return those of the payments that have ended and whose wallets are projected, without steps."""


class BalanceCache(Protocol):
    """The cache of wallets; it never puts an older version over a newer one.

    An epoch is a time in which the cache has lost no write.  A wallet is put with the epoch that the
    writer had seen before it read the wallet in the read model, or before it committed it there; in
    another epoch the entry is no answer.  So a cache that comes back older than it was answers nothing
    that has been overwritten since.
    """

    @property
    def epoch(self) -> str:
        """The epoch as of the last answer, empty before the first; an older one is always safe to use."""

    async def learn_epoch(self) -> str:
        """Ask for the epoch of now."""

    async def get(self, wallet_id: str) -> WalletView | None:
        """Return the cached wallet, or None."""

    async def put(self, wallets: Sequence[WalletView], epoch: str | None = None) -> None:
        """Store the wallets that are not older than what is cached, and renew their time to live.

        Without `epoch` they are taken for the newest of now.
        """


class Message(msgspec.Struct, frozen=True):
    """A record to be sent: the topic's full name, the key's text, the value's bytes."""

    topic: str
    key: str
    value: bytes


class Publisher(Protocol):
    """Sends records; returning means that all in-sync replicas have acknowledged."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all and wait for all acknowledgements; records of one key keep their order."""


class ProviderOrder(msgspec.Struct, frozen=True):
    """What a provider is to do once: `kind` is deposit (collect) or withdrawal (pay out)."""

    key: str
    """The idempotency key, a UUID as text: the same key is the same payment, however often it is sent."""
    payment_id: str
    kind: str
    amount: str
    currency: str


class ProviderAnswer(msgspec.Struct, frozen=True):
    """A known outcome; `detail` is the provider's reference when approved, its reason when declined."""

    status: Literal["approved", "declined", "cancelled"]
    detail: str | None = None


class Unsettled(Unavailable):
    """The provider has answered, and its answer tells no outcome of this payment, such as a 409.

    It is there, so its breaker takes the call for a success; for the payment nothing is known.
    """


class Providers(Protocol):
    """The services that collect from and pay out to the outside world, by name.

    `Unavailable` means that the outcome is unknown: it may have been carried out, or still be.
    Details are text that an event can carry, whatever the provider has sent.
    """

    def knows(self, provider: str) -> bool:
        """Say whether there is a provider of this name; calls of another one are Unavailable."""

    async def carry_out(self, provider: str, order: ProviderOrder) -> ProviderAnswer:
        """Have the order carried out and return approved or declined; safe to repeat with the same order."""

    async def cancel(self, provider: str, key: str) -> ProviderAnswer:
        """Return cancelled: the key, seen before or not, has for ever no effect; safe to repeat."""


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
