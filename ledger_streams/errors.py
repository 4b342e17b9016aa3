"""The four kinds of error, and what becomes of each.

    LedgerError
     |- Rejected         an answer 4xx; never crosses a topic
     |- Unreadable       the record is parked with the dead letters; the frame goes on
     |- Unavailable      retried in order, with back-off, visibly
     `- InvariantBroken  ends the process before anything is acknowledged

There is no fifth.  A refusal of a wallet is not an error at all: it is an event.
"""

from __future__ import annotations


class LedgerError(Exception):
    """Base of the four kinds; never raised itself."""


class Rejected(LedgerError):
    """The API says no: `status` is the HTTP status, `field` names the offending input, if one does."""

    def __init__(self, *, status: int, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field


class Unreadable(LedgerError):
    """A record that cannot be carried out as it is.

    `reason` is one of the contract's reasons, `detail` names the field, and
    `payment_id` is the payment it speaks of where that much could be read.
    """

    def __init__(self, *, reason: str, detail: str, payment_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.payment_id = payment_id


class Unavailable(LedgerError):
    """A dependency (`kafka`, `postgres`, `redis`, ...) is away; the same call may work later."""

    def __init__(self, *, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is not available: {detail}")
        self.dependency = dependency
        self.detail = detail


class InvariantBroken(LedgerError):
    """Something that cannot be has happened; going on would corrupt the ledger."""
