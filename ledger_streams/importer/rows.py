"""Rows: the content of an import file, each row readable or refused with its reason.

A row that cannot be read is a result like any other, never an exception: it is
reported with line, field and reason, and the rows after it go on.  Only a file as a
whole can be unusable (not readable, no header, a column missing), which ends the
import before anything is sent.  A row that is taken passes the checks of the workers.
"""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from ledger_streams import wire
from ledger_streams.domain.payment import fingerprint, read_request
from ledger_streams.errors import Unreadable

RECORD_BYTES_MAX: Final = 900_000
"""Of a row as it is written; a record of Kafka is at most 1 MiB, the envelope included."""
REASON_INVALID: Final = "invalid"


class UnusableFile(click.ClickException):
    """The file as a whole cannot be imported; the command ends with exit code 1 and this sentence."""

    exit_code = 1

    def format_message(self) -> str:
        """Return the sentence for stderr."""
        return f"unusable file: {self.message}"


class RefusedRow(msgspec.Struct, frozen=True):
    """A row of the file that was not taken; `line` is its first, `field` the offending one, if one is."""

    line: int
    field: str | None
    reason: str
    detail: str


class PaymentRow(msgspec.Struct, frozen=True, gc=False):
    """A row of the file as a payment: `data` is PaymentRequested's content, checked.

    Rows of one `lane` are sent strictly one after the other, in the file's order.
    """

    line: int
    lane: str
    payment_id: str
    data: dict[str, Any]
    fingerprint: str


Row = PaymentRow | RefusedRow


def payment_row(line: int, data: dict[str, Any], *, lane: str | None = None) -> Row:
    """Check `data` as a payment's content; without a lane it is independent of all others."""
    try:
        request = read_request(data, at="")
        wire.check_sendable(data)
        content = fingerprint(data)
    except Unreadable as error:
        return refused_row(line, error)
    return PaymentRow(line, lane or request.payment_id, request.payment_id, data, content)


def refused_row(line: int, error: Unreadable) -> RefusedRow:
    """Return the refusal that an error about one field stands for; `value` is the row as a whole."""
    field, _, problem = error.detail.partition(": ")
    return RefusedRow(line, None if field == "value" else field, error.reason, problem)


def oversized_row(line: int) -> RefusedRow:
    """Return the refusal of a row that would not fit into a record."""
    return RefusedRow(line, None, REASON_INVALID, f"longer than {RECORD_BYTES_MAX:,} bytes")
