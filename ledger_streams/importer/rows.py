"""Rows of an import file: a payment, or a refused row with its reason.

An unreadable row is a result, not an exception: the report has its line, field and
reason, and the import continues.  Only the file as a whole can be unusable (not
readable, no header, a missing column); the import then ends before it sends anything.
Accepted rows pass the same checks as in the workers.
"""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from ledger_streams import wire
from ledger_streams.domain.payment import fingerprint, read_request
from ledger_streams.errors import Unreadable

RECORD_BYTES_MAX: Final = 900_000
"""Maximum size of a row in the file; a Kafka record with its envelope is at most 1 MiB."""
REASON_INVALID: Final = "invalid"


class UnusableFile(click.ClickException):
    """The file as a whole cannot be imported; the command prints this message and exits with 1."""

    exit_code = 1

    def format_message(self) -> str:
        """Return the message for stderr."""
        return f"unusable file: {self.message}"


class RefusedRow(msgspec.Struct, frozen=True):
    """A row that was not imported: its first line, the offending field if there is one, the reason."""

    line: int
    field: str | None
    reason: str
    detail: str


class PaymentRow(msgspec.Struct, frozen=True, gc=False):
    """A row as a payment; `data` is the checked content of PaymentRequested.

    Rows of one `lane` are sent one after the other, in the order of the file.
    """

    line: int
    lane: str
    payment_id: str
    data: dict[str, Any]
    fingerprint: str


Row = PaymentRow | RefusedRow


def payment_row(line: int, data: dict[str, Any], *, lane: str | None = None) -> Row:
    """Return `data` as a checked payment, or as a refused row; without a lane it is sent independently."""
    try:
        request = read_request(data, at="")
        wire.check_sendable(data)
        content = fingerprint(data)
    except Unreadable as error:
        return refused_row(line, error)
    return PaymentRow(line, lane or request.payment_id, request.payment_id, data, content)


def refused_row(line: int, error: Unreadable) -> RefusedRow:
    """Return the refused row for a field's error; the field `value` stands for the whole row."""
    field, _, problem = error.detail.partition(": ")
    return RefusedRow(line, None if field == "value" else field, error.reason, problem)


def oversized_row(line: int) -> RefusedRow:
    """Return the refused row for a row that does not fit into a Kafka record."""
    return RefusedRow(line, None, REASON_INVALID, f"longer than {RECORD_BYTES_MAX:,} bytes")
