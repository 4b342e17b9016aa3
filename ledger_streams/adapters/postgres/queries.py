"""Named queries: SQL is written and reviewed as SQL, in `sql/*.sql`, and found here by name.

In a file, a line `-- name: set_positions` begins a query, and the comments after it are its description.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def sql_folder() -> Traversable:
    """Return the folder of all SQL."""
    return files("ledger_streams.adapters.postgres") / "sql"


@cache
def queries(name: str) -> dict[str, str]:
    """Return the queries of `sql/<name>.sql` by name."""
    return named((sql_folder() / f"{name}.sql").read_text(encoding="utf-8"))


def named(text: str) -> dict[str, str]:
    """Return the queries of such a file by name."""
    _, *parts = _NAME.split(text)
    return {query: sql.strip() for query, sql in zip(parts[::2], parts[1::2], strict=True)}
