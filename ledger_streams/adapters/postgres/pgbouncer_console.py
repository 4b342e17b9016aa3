"""PgBouncer's console: what it says of its pools, in the few messages that it needs.

The console is a database named `pgbouncer` that understands simple queries only, which
asyncpg sends without reading their rows.  It is asked as a user of `stats_users` whom
PgBouncer trusts: no password is ever sent.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ledger_streams import metrics
from ledger_streams.errors import Unavailable

ANSWER_S_MAX: Final = 3.0
"""The console answers from memory."""
PORT: Final = 6432
"""PgBouncer's, unless it is told otherwise."""
ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
TLS_REQUEST: Final = 80877103
"""PostgreSQL's SSLRequest."""
PROTOCOL: Final = 3 << 16
"""Version 3.0 of PostgreSQL's protocol."""


async def show(
    what: str, *, host: str, port: int, user: str, context: ssl.SSLContext | None = None
) -> list[dict[str, str]]:
    """Return the rows of `SHOW <what>` by column; raises Unavailable when there is no answer.

    With a context TLS is asked for first, as PostgreSQL's protocol has it.
    """
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                if context is not None:
                    await _start_tls(reader, writer, context, host)
                return await _ask(reader, writer, user=user, query=f"SHOW {what}")
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise Unavailable(dependency="pgbouncer", detail=detail) from error


async def measure(dsn: str) -> None:
    """Put into the metrics what PgBouncer says of the DSN's database; raises Unavailable."""
    parts = urlsplit(dsn)
    user, database = unquote(parts.username or "postgres"), unquote(parts.path.lstrip("/"))
    context = _context(parts.query)
    pools, stats, databases = [
        await show(what, user=user, host=parts.hostname or "", port=parts.port or PORT, context=context)
        for what in ("POOLS", "STATS", "DATABASES")
    ]
    ours = [row for row in pools if row["database"] == database]
    for gauge, column in (
        (metrics.PGBOUNCER_CLIENTS.labels("active"), "cl_active"),
        (metrics.PGBOUNCER_CLIENTS.labels("waiting"), "cl_waiting"),
        (metrics.PGBOUNCER_SERVERS.labels("active"), "sv_active"),
        (metrics.PGBOUNCER_SERVERS.labels("idle"), "sv_idle"),
    ):
        gauge.set(sum(int(row[column]) for row in ours))
    limits = [int(row["max_connections"]) for row in databases if row["name"] == database]
    metrics.PGBOUNCER_SERVERS.labels("limit").set(sum(limits))
    waits_us = [int(row["maxwait"]) * 1_000_000 + int(row["maxwait_us"]) for row in ours]
    metrics.PGBOUNCER_WAIT_SECONDS.set(max(waits_us, default=0) / 1_000_000)
    for row in stats:
        if row["database"] == database:
            metrics.PGBOUNCER_TRANSACTIONS.set(int(row["total_xact_count"]))
            metrics.PGBOUNCER_WAITED_SECONDS.set(int(row["total_wait_time"]) / 1_000_000)


def _context(query: str) -> ssl.SSLContext | None:
    """Return the TLS that a DSN asks for by sslmode and sslrootcert; None if it leaves that open."""
    parameters = dict(parse_qsl(query))
    mode = parameters.get("sslmode", "prefer")
    if mode not in ENCRYPTED:
        return None
    context = ssl.create_default_context(cafile=parameters.get("sslrootcert"))
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


async def _start_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str
) -> None:
    writer.write(struct.pack("!ii", 8, TLS_REQUEST))
    if await reader.readexactly(1) != b"S":
        raise ConnectionError("PgBouncer does not speak TLS, and sslmode of LEDGER_POSTGRES wants it")
    await writer.start_tls(context, server_hostname=host)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, user: str, query: str
) -> list[dict[str, str]]:
    parameters = b"".join(word.encode() + b"\0" for word in ("user", user, "database", "pgbouncer", ""))
    writer.write(struct.pack("!ii", len(parameters) + 8, PROTOCOL) + parameters)
    await _until_ready(reader)
    text = query.encode() + b"\0"
    writer.write(b"Q" + struct.pack("!i", len(text) + 4) + text)
    messages = await _until_ready(reader)
    names = next((_names(body) for kind, body in messages if kind == b"T"), [])
    return [dict(zip(names, _values(body), strict=True)) for kind, body in messages if kind == b"D"]


async def _until_ready(reader: asyncio.StreamReader) -> list[tuple[bytes, bytes]]:
    """Read messages until the console is ready for the next query."""
    messages: list[tuple[bytes, bytes]] = []
    while True:
        kind, length = struct.unpack("!ci", await reader.readexactly(5))
        body = await reader.readexactly(length - 4)
        if kind == b"E":
            fields = (field.decode(errors="replace") for field in body.split(b"\0"))
            detail = next((field[1:] for field in fields if field.startswith("M")), "an error")
            raise Unavailable(dependency="pgbouncer", detail=detail)
        if kind == b"R" and body != b"\0\0\0\0":
            raise Unavailable(dependency="pgbouncer", detail="it asks for a password")
        if kind == b"Z":
            return messages
        messages.append((kind, body))


def _names(body: bytes) -> list[str]:
    """Read a row description: names end in a zero byte, and 18 bytes on their types follow each."""
    names, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode())
        at = end + 19
    return names


def _values(body: bytes) -> list[str]:
    """Read a row: each value after its length, which is -1 for null."""
    values, at = [], 2
    while at < len(body):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(body[at : at + max(length, 0)].decode())
        at += max(length, 0)
    return values
