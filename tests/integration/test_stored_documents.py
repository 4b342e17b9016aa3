"""Documents: PostgreSQL stores every accepted document, within the computed size."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from ledger_streams import wire
from ledger_streams.settings import Settings
from tests.unit.test_documents import SENDABLE


@pytest.fixture
async def connection(database_only: Settings) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database_only.postgres)
    yield connection
    await connection.close()


TEXTS: dict[str, bytes] = {
    **{case: msgspec.json.encode(metadata) for case, metadata in SENDABLE.items()},
    "the smallest and the largest number": b'{"n":[1e-998,-1E+308,0e-990,0.%s1]}' % (b"0" * 990),
    "as many wide numbers as there is room for": b'{"n":[%s]}' % b",".join([b"1e-990"] * 990),
    "an escaped pair": b'{"n":"\\ud83d\\ude00\\u0001\\\\u0000"}',
}


@pytest.mark.parametrize("case", TEXTS)
async def test_postgresql_stores_every_accepted_document(
    case: str, connection: asyncpg.Connection[Any]
) -> None:
    read = wire.read_document(TEXTS[case])
    wire.check_sendable(read)
    for text in (TEXTS[case], msgspec.json.encode(read)):
        stored = await connection.fetchval("SELECT $1::jsonb::text", text.decode())
        assert json.loads(stored, parse_int=Decimal, parse_float=Decimal) == json.loads(
            text, parse_int=Decimal, parse_float=Decimal
        )
        blanks = stored.count(" ")
        assert len(stored.encode()) - blanks <= wire.DATA_BYTES_MAX
