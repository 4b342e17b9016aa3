"""The four kinds of error and their handling.

    LedgerError
     |- Rejected         the API answers 4xx; the error never crosses a topic
     |- Unreadable       the record goes to the dead letters; the batch continues
     |- Unavailable      the call is retried in order, with back-off and a log line
     `- InvariantBroken  the process ends before it acknowledges the record

A refusal of a wallet is not an error: it is an event.
"""

from __future__ import annotations


class LedgerError(Exception):
    """Base class of the four kinds; the code raises only its subclasses."""


class Rejected(LedgerError):
    """The API rejects a request: `status` is the HTTP status, `field` the invalid input, if there is one."""

    def __init__(self, *, status: int, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field


class Unreadable(LedgerError):
    """A record that is invalid and cannot be processed.

    `reason` is one of the contract's reasons, `detail` names the field, and `payment_id` is
    the payment of the record, if it is readable.
    """

    def __init__(self, *, reason: str, detail: str, payment_id: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.payment_id = payment_id


class Unavailable(LedgerError):
    """A dependency (`kafka`, `postgres`, `redis`, ...) is unavailable; a later call may succeed."""

    def __init__(self, *, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} is not available: {detail}")
        self.dependency = dependency
        self.detail = detail


class InvariantBroken(LedgerError):
    """The ledger has reached an impossible state; continuing would corrupt it."""
