"""System: the interface of pure model and live system for the workload and the auditor.

`submit` puts a record on payment-events as a gateway would; nothing is known of it until
`settle` returns, when every payment submitted has ended.  The rest is what an outsider
can see, by the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ledger_streams.domain.commands import AdministrativeCommand, HoldFunds, ReleaseHold

Administration = AdministrativeCommand | HoldFunds | ReleaseHold
"""Callers' commands to a wallet without a payment; their holds belong to the caller."""


class Sent(msgspec.Struct, frozen=True):
    """A record for payment-events, as bytes."""

    key: bytes | None
    value: bytes | None


class Ended(msgspec.Struct, frozen=True):
    """A payment's outcome: PaymentCompleted has no reason, PaymentFailed no amount."""

    event_type: str
    reason: str | None
    amount_minor: int = 0


class Refunded(msgspec.Struct, frozen=True):
    """A PaymentRefunded of a payment."""

    refund_id: str
    amount_minor: int
    refunded_minor: int
    paid_minor: int


class Funds(msgspec.Struct, frozen=True):
    """A wallet's money of one currency."""

    available_minor: int
    held_minor: int


class Held(msgspec.Struct, frozen=True):
    """The remaining amount of a hold."""

    wallet_id: str
    amount_minor: int
    currency: str


class Booked(msgspec.Struct, frozen=True):
    """The final effects at a provider."""

    provider: str
    kind: str
    amount_minor: int
    currency: str


class Parked(msgspec.Struct, frozen=True):
    """A dead letter of payment-events."""

    key: bytes | None
    value: bytes | None
    reason: str


class System(Protocol):
    """The ledger from outside."""

    async def administer(self, command: Administration) -> None:
        """Send a command to a wallet; those of one wallet are carried out in order."""

    async def submit(self, records: Sequence[Sent]) -> None:
        """Put records on payment-events, those of one key in order."""

    async def settle(self) -> None:
        """Wait until nothing is under way; a caller's hold is not."""

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        """Return all outcomes there are of each payment; more than one is a fault."""

    async def refunds(self) -> Mapping[str, Sequence[Refunded]]:
        """Return what each payment was told of its refunds, in order."""

    async def dead_letters(self) -> Sequence[Parked]:
        """Return the dead letters of payment-events, in no order."""

    async def balances(self) -> Mapping[str, Mapping[str, Funds]]:
        """Return each wallet's money by currency."""

    async def holds(self) -> Mapping[str, Held]:
        """Return the holds there are, by id."""

    async def booked(self) -> Mapping[str, Booked]:
        """Return what has an effect in the providers' books, by payment."""

    async def postings(self) -> Mapping[str, int]:
        """Return the sum of all postings by `<account>:<currency>`, minor units."""

    async def versions(self) -> Mapping[str, Sequence[int]]:
        """Return the versions of each wallet's events, in order; they have no gap."""

    async def repeated_events(self) -> Sequence[str]:
        """Return the ids of events that were written more than once."""
