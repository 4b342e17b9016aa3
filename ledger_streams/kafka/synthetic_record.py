"""A record in the shape of a consumed one, made from another source (loopback, PostgreSQL)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class SyntheticRecord(msgspec.Struct, gc=False):
    """A record as aiokafka would hand it over; `timestamp` is its append time in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
