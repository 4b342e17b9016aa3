"""Classification of PostgreSQL errors: caused by a record's data, or by anything else.

An error is caused by the data when the same rows fail on every attempt: text that jsonb cannot hold,
numbers out of range, an index entry too large, a constraint.  Errors of connections, locks, disks and
of this program are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
import msgspec

from ledger_streams.errors import Unreadable

NOT_STORABLE: Final = "not_storable"
"""Reason of a record that could be read, and whose rows PostgreSQL refuses."""
_DATA: Final = (
    asyncpg.DataError,  # class 22: untranslatable characters, numbers and times out of range, texts too long
    asyncpg.ProgramLimitExceededError,  # class 54: index entries, strings and nesting beyond its limits
    asyncpg.NotNullViolationError,
    asyncpg.CheckViolationError,
    asyncpg.ForeignKeyViolationError,
    asyncpg.ExclusionViolationError,
    ValueError,  # of the driver, or of hashing: it cannot be written down
    ArithmeticError,
    RecursionError,
    msgspec.MsgspecError,
)
_TOO_LARGE: Final = "invalid memory alloc request size"
"""An internal error to PostgreSQL, of a value that it cannot hold in one piece."""
_DETAIL_CHARACTERS_MAX: Final = 300


@contextmanager
def translate_data_errors() -> Iterator[None]:
    """Turn errors caused by the rows into `Unreadable`; all others pass unchanged."""
    try:
        yield
    except _DATA as error:
        raise _refusal(error) from error
    except asyncpg.InternalServerError as error:
        if _TOO_LARGE not in str(error):
            raise
        raise _refusal(error) from error


def _refusal(error: Exception) -> Unreadable:
    said = f"{type(error).__name__}: {error}".encode(errors="replace").decode().replace("\0", "")
    return Unreadable(reason=NOT_STORABLE, detail=" ".join(said.split())[:_DETAIL_CHARACTERS_MAX])


def is_of_constraint(error: asyncpg.CheckViolationError) -> bool:
    """Tell whether a table's CHECK failed, not a trigger and not a missing partition."""
    return getattr(error, "constraint_name", None) is not None
