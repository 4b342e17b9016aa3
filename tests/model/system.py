"""System: what a workload drives and an auditor asks, pure model and live system alike.

`submit` puts a record on payment-events as a gateway would; nothing is known of it until
`settle` returns, when every payment submitted has ended.  The rest is what an outsider
can see, by the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ledger_streams.domain.commands import AdministrativeCommand


class Sent(msgspec.Struct, frozen=True):
    """A record for payment-events, as bytes."""

    key: bytes | None
    value: bytes | None


class Ended(msgspec.Struct, frozen=True):
    """A payment's outcome: PaymentCompleted has no reason."""

    event_type: str
    reason: str | None


class Parked(msgspec.Struct, frozen=True):
    """A dead letter of payment-events."""

    key: bytes | None
    value: bytes | None
    reason: str


class System(Protocol):
    """The ledger from outside."""

    async def administer(self, command: AdministrativeCommand) -> None:
        """Send an administrative command; those of one wallet are carried out in order."""

    async def submit(self, records: Sequence[Sent]) -> None:
        """Put records on payment-events, those of one key in order."""

    async def settle(self) -> None:
        """Wait until nothing is under way."""

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        """Return all outcomes there are of each payment; more than one is a fault."""

    async def dead_letters(self) -> Sequence[Parked]:
        """Return the dead letters of payment-events, in no order."""

    async def balances(self) -> Mapping[str, Mapping[str, int]]:
        """Return available minor units by wallet and currency."""

    async def postings(self) -> Mapping[str, int]:
        """Return the sum of all postings by `<account>:<currency>`, minor units."""
