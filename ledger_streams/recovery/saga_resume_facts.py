"""Facts of a payment after the loss of its topics: projected events of three topics.

Each list is a prefix of its log.  The lists have no common order: a wallet event may be known without
its saga event, or the reverse.  A wallet event names its command, and a command's id is derived from
payment, step and version, so each event's leg can be identified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain.answers import RefundGranted
from ledger_streams.domain.commands import LegCommand
from ledger_streams.domain.events import PaymentCompleted, PaymentFailed, PaymentRefunded
from ledger_streams.domain.ids import PaymentId, derived_id
from ledger_streams.domain.payment import PaymentRequested
from ledger_streams.domain.wallet_events import BalanceAdded, FundsHeld, HoldReleased

VERSIONS_MAX: Final = 10_000
"""Saga versions tried to identify a leg: enough for a provider asked every 30 s for three days."""


class PaymentFacts(msgspec.Struct):
    """Projected facts of a payment; each list is in the order of its log."""

    payment_id: PaymentId
    fingerprint: str | None = None
    """None: no request is known; FINGERPRINT_INVALID: the first one could not be read."""
    request: PaymentRequested | None = None
    request_id: str | None = None
    """The request's event id, as the saga's start names it."""
    saga_events: list[wire.SagaRecord] = msgspec.field(default_factory=list)
    wallet_events: list[wire.WalletRecord] = msgspec.field(default_factory=list)
    outcomes: list[wire.OutcomeRecord] = msgspec.field(default_factory=list)
    told: PaymentRefunded | None = None
    """PaymentRefunded event of the refunded payment: this payment is a completed refund."""
    is_refunded: bool = False
    """True when a refund of it was granted, which implies that it completed."""
    granted: list[RefundGranted] = msgspec.field(default_factory=list)
    """Refunds granted by its saga; they name the wallets and the provider."""

    @property
    def end(self) -> PaymentCompleted | PaymentFailed | None:
        """The payment's outcome on payment-events."""
        ends = (read.outcome for read in self.outcomes)
        return next((end for end in ends if not isinstance(end, PaymentRefunded)), None)

    @property
    def refunds_told(self) -> list[PaymentRefunded]:
        """PaymentRefunded events of the payment."""
        return [read.outcome for read in self.outcomes if isinstance(read.outcome, PaymentRefunded)]

    def is_granted(self) -> bool:
        """Tell whether a known fact of this refund can only have followed its grant."""
        return self.grant() is not None or bool(self.wallet_events) or isinstance(self.end, PaymentCompleted)

    def grant(self) -> RefundGranted | None:
        """Return the grant of this refund."""
        events = (read.event for read in self.saga_events)
        return next((event for event in events if isinstance(event, RefundGranted)), None)

    def legs(self) -> dict[str, list[wire.WalletRecord]]:
        """Return the events of each leg that a wallet has carried out, by the command's id."""
        found: dict[str, list[wire.WalletRecord]] = {}
        for read in self.wallet_events:
            found.setdefault(read.envelope.causation_id or "", []).append(read)
        return found


class LostLeg(msgspec.Struct, frozen=True):
    """A leg that other records prove, while the wallet's own event is lost."""

    command: LegCommand
    wallet_version: int
    """The wallet's version after the leg, from the saga's reply; 0 when unknown."""
    at_ms: int
    is_half_known: bool = False
    """True when a capture's BalanceDeducted is known and its HoldCaptured is lost."""


class OutgoingRecord(msgspec.Struct, frozen=True):
    """A record to be written: the topic by its name in the contract."""

    topic: str
    key: str
    value: bytes


def is_half(leg: Sequence[wire.WalletRecord]) -> bool:
    """Tell whether a capture's second event is lost: the projector may have stopped between the two."""
    (first, *rest) = leg
    return getattr(first.event, "hold_id", None) is not None and kind_of(leg) == "deducted" and not rest


def kind_of(leg: Sequence[wire.WalletRecord]) -> str:
    """Return what a leg did to its wallet: added, deducted, held or released."""
    match leg[0].event:
        case BalanceAdded():
            return "added"
        case FundsHeld():
            return "held"
        case HoldReleased():
            return "released"
        case _:
            return "deducted"


def version_of(payment_id: str, command_id: str) -> int:
    """Return the saga version of a leg's command; 0 when the command is not of this payment."""
    for version in range(2, VERSIONS_MAX):
        if command_id in _ids(payment_id, version):
            return version
    return 0


def _ids(payment_id: str, version: int) -> Iterator[str]:
    for name in ("DeductFunds", "AddFunds", "HoldFunds", "CaptureHold", "ReleaseHold"):
        yield derived_id(f"{payment_id}:{name}:{version}")
