"""A broker that accepts transactional records without AddPartitionsToTxn (no KIP-890 verification)."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from ledger_streams.settings import Settings

VERIFICATION: Final = "transaction.partition.verification.enable"
"""With it the broker asks the coordinator about each partition that it has not been told of."""


@asynccontextmanager
async def unverified(stack: Settings) -> AsyncIterator[None]:
    """Switch the verification off on the stack's broker.

    Test runs that share the broker hold a lock together; the last of them switches it on again.
    """
    with (stack.home / "unverified").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        await _verify(stack, "false")
        yield
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await _verify(stack, "true")


async def _verify(stack: Settings, value: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    try:
        broker = ConfigResource(ConfigResourceType.BROKER, "1", configs={VERIFICATION: value})
        await admin.alter_configs([broker])
    finally:
        await admin.close()
