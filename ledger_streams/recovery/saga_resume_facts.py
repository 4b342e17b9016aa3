"""What is known of a payment once its topics are lost: events of three topics, each known up to some point.

Each list is a prefix of what there was, and nothing orders them: a wallet's event may be
known whose saga is not, and the other way round.  A wallet's event names its command, and a
command's id is made of payment, step and version, so every leg can be told.
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
"""As many steps of a saga are tried to find a leg's: a provider that is asked every 30 s for three days."""


class PaymentFacts(msgspec.Struct):
    """What the projections have of a payment, each list in the order of its log."""

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
    """What the refunded payment was told of this one, which is a refund that has completed."""
    is_refunded: bool = False
    """Whether a refund of it must have been granted: then it has completed."""
    granted: list[RefundGranted] = msgspec.field(default_factory=list)
    """What its saga has granted its refunds; it says whose money went where."""

    @property
    def end(self) -> PaymentCompleted | PaymentFailed | None:
        """How payment-events say that it ended."""
        ends = (read.outcome for read in self.outcomes)
        return next((end for end in ends if not isinstance(end, PaymentRefunded)), None)

    @property
    def refunds_told(self) -> list[PaymentRefunded]:
        """What it was told of its refunds."""
        return [read.outcome for read in self.outcomes if isinstance(read.outcome, PaymentRefunded)]

    def is_granted(self) -> bool:
        """Tell whether something known of this refund can only have come after it was granted."""
        return self.grant() is not None or bool(self.wallet_events) or isinstance(self.end, PaymentCompleted)

    def grant(self) -> RefundGranted | None:
        """Return how this refund was granted."""
        events = (read.event for read in self.saga_events)
        return next((event for event in events if isinstance(event, RefundGranted)), None)

    def legs(self) -> dict[str, list[wire.WalletRecord]]:
        """Return the events of each leg that a wallet has carried out, by the command's id."""
        found: dict[str, list[wire.WalletRecord]] = {}
        for read in self.wallet_events:
            found.setdefault(read.envelope.causation_id or "", []).append(read)
        return found


class LostLeg(msgspec.Struct, frozen=True):
    """A leg that was carried out, as others say, while the wallet's own event of it is lost."""

    command: LegCommand
    wallet_version: int
    """The wallet's version after it, as the saga was told; 0 when nobody says."""
    at_ms: int
    is_half_known: bool = False
    """Whether the BalanceDeducted of a capture is known, and the HoldCaptured after it is lost."""


class OutgoingRecord(msgspec.Struct, frozen=True):
    """A record to be written: the topic by its name in the contract."""

    topic: str
    key: str
    value: bytes


def is_half(leg: Sequence[wire.WalletRecord]) -> bool:
    """Tell whether a capture's second event is lost; a projector may have come between the two."""
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
    """Return the saga's version that a leg's command bears; 0 when it is none of this payment."""
    for version in range(2, VERSIONS_MAX):
        if command_id in _ids(payment_id, version):
            return version
    return 0


def _ids(payment_id: str, version: int) -> Iterator[str]:
    for name in ("DeductFunds", "AddFunds", "HoldFunds", "CaptureHold", "ReleaseHold"):
        yield derived_id(f"{payment_id}:{name}:{version}")
