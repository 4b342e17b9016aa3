"""The owner's statements by name, to be run as a person at psql would: with values put into their text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ledger_streams.adapters.postgres.queries import named

OWNERS_SQL: Final = named(Path(__file__).with_name("owners_sql.sql").read_text(encoding="utf-8"))
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)


def owners(name: str, *values: str) -> str:
    """Return a statement with literals in place of $1, $2 and so on."""
    statement = _COMMENT.sub("", OWNERS_SQL[name])
    for number, value in enumerate(values, start=1):
        quoted = value.replace("'", "''")
        statement = statement.replace(f"${number}", f"'{quoted}'")
    return statement.strip()
