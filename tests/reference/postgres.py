"""The page of PostgreSQL: tables, views and functions of a migrated database, and the named queries."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.queries import named, queries, sql_folder
from tests.reference.markdown import code, document, one_line, prose, table

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CATALOG: Final = named(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
KINDS: Final = {"r": "Table", "p": "Partitioned table", "v": "View", "m": "Materialized view"}

CREATED: Final = re.compile(
    r"((?:^--.*\n)+)^CREATE (?:OR REPLACE )?(?:TABLE|FUNCTION) (?:\w+\.)?(\w+)", re.MULTILINE
)
"""A comment of a migration, and the name of the table or function that comes after it."""

INTRO: Final = """\
`ledger-streams db upgrade` makes this schema from the migrations below. The projector writes it; the API,
commands and analysts read it. Money is in minor units (`.._minor`) or in decimal strings within `jsonb`,
times are `timestamptz`. Partitions are left out here: each partitioned table has one a month or more."""
MEANINGS: Final = {
    "archived_events": "an archived row of `events`: its place, event id, time and hash; from `archive now`",
    "archives": "a file of a month of `events` whose rows are not in the table; from `archive now`",
    "audit_roots": "a closed day: root, boundaries in the topics, seal; from a projector, once a day",
    "event_repeats": "a record of payment-events or saga-events whose event id and time were there already",
    "events": "a record of payment-events or saga-events",
    "parked_records": "a record that could not be projected, or that waits behind one; from the projector",
    "payments": "a payment as it stands: kind, amount, status, reason, versions of its wallets, sum refunded",
    "postings": "a leg of an event that moves money; the legs of an event sum to zero in each currency",
    "projection_positions": "a partition of a topic: up to which offset it is projected, and cached in Redis",
    "schema_migrations": "a migration that was applied, and its checksum; from `db upgrade`",
    "wallet_balances_refreshed": "a single row: when `wallet_balances` was refreshed, under which snapshot",
    "wallet_events": "a record of wallet-events with the wallet after it; a wallet's versions have no gap",
    "wallet_snapshots": "a wallet after its last event",
}
"""The meaning of a table's row, where the database has no comment on it."""
QUERIES: Final = """\
SQL that the programs run stands in `ledger_streams/adapters/postgres/sql`, one file a purpose, each query
under its name."""


async def page(dsn: str) -> str:
    """Return the page of the schema that the database has."""
    connection: Connection = await asyncpg.connect(dsn)
    try:
        parts = [part async for part in _schemas(connection)]
    finally:
        await connection.close()
    return document(
        "PostgreSQL",
        "a migrated database and `ledger_streams/adapters/postgres/sql`",
        INTRO,
        [*parts, "## Migrations", _migrations(), "## Named queries", QUERIES, *_queries()],
    )


async def _schemas(connection: Connection) -> AsyncIterator[str]:
    for schema in await connection.fetch(CATALOG["schemas"]):
        yield f"## Schema {schema['name']}"
        yield "" if schema["name"] == "public" else prose(schema["comment"])
        relations = await connection.fetch(CATALOG["relations"], schema["name"])
        yield table(["table or view", "meaning"], map(_overview, relations))
        for relation in relations:
            async for part in _relation(connection, relation):
                yield part
        functions = await connection.fetch(CATALOG["functions"], schema["name"])
        if functions:
            yield f"### Functions of {schema['name']}"
            yield table(["function", "returns", "meaning"], map(_function, functions))


def _overview(relation: Any) -> list[str]:
    name = relation["name"]
    return [f"[{name}](#{name})", MEANINGS.get(name) or relation["comment"].partition(";")[0]]


def _function(row: Any) -> list[str]:
    return [
        code(f"{row['name']}({row['arguments']})"),
        code(row["result"]),
        row["comment"] or _comments().get(row["name"], ""),
    ]


async def _relation(connection: Connection, relation: Any) -> AsyncIterator[str]:
    yield f"### {relation['name']}"
    by = f", partitioned by {code(relation['partition_key'])}" if relation["partition_key"] else ""
    yield f"{KINDS[relation['kind']]}{by}."
    yield prose(relation["comment"] or _comments().get(relation["name"], ""))
    columns = await connection.fetch(CATALOG["columns"], relation["oid"])
    yield _columns(columns, is_view=relation["kind"] in "vm")
    for title in ("constraints", "indexes", "triggers"):
        rows = await connection.fetch(CATALOG[title], relation["oid"])
        yield table([title, "definition"], [[code(row["name"]), code(row["definition"])] for row in rows])


@cache
def _comments() -> dict[str, str]:
    """Return the comment before each CREATE TABLE and CREATE FUNCTION of the migrations, by name."""
    found = {}
    folder = sql_folder() / "migrations"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        for comment, name in CREATED.findall(file.read_text(encoding="utf-8")):
            found[name] = _text(comment)
    return found


def _columns(columns: list[Any], *, is_view: bool) -> str:
    """Return the table of columns, with a column of comments only if there are any."""
    head = ["column", "type", *([] if is_view else ["null", "default"])]
    if has_comments := any(column["comment"] for column in columns):
        head.append("meaning")
    rows = []
    for column in columns:
        shape = ["" if column["not_null"] else "yes", _default(column)]
        cells = [code(column["name"]), column["type"], *([] if is_view else shape)]
        rows.append([*cells, column["comment"]] if has_comments else cells)
    return table(head, rows)


def _default(column: Any) -> str:
    if column["is_identity"]:
        return "identity"
    return f"{'generated: ' if column['is_generated'] else ''}{code(column['default'])}"


def _migrations() -> str:
    return "\n".join(f"- {code(step.name)}" for step in migrations.migrations())


def _queries() -> Iterator[str]:
    for file in sorted(sql_folder().iterdir(), key=lambda each: each.name):
        name = file.name.removesuffix(".sql")
        if file.is_file() and queries(name):
            yield f"### {file.name}"
            rows = [[code(query), _description(sql)] for query, sql in queries(name).items()]
            yield table(["query", "meaning"], rows)


def _description(sql: str) -> str:
    """Return the comment that a query begins with, or else its first line as code."""
    comment = re.match(r"(--.*\n)+", sql)
    if comment is not None:
        return _text(comment[0])
    return code(one_line(sql.partition("\n")[0]))


def _text(comment: str) -> str:
    """Return the text of a comment in SQL as one line."""
    return one_line(re.sub(r"^-- ?", "", comment, flags=re.MULTILINE))
