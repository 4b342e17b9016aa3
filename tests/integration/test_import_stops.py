"""`import` with unavailable servers and with Ctrl-C: exit codes and reports."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.live import LiveSystem, eventually

FILE = "trans_id,account_id,date,direction,amount\n1,7,2026-01-31,credit,10.00\n2,7,2026-01-31,debit,1.00\n"


async def started(settings: Settings, *arguments: str) -> asyncio.subprocess.Process:
    """Start `import -` with the file on its standard input."""
    command = (sys.executable, "-m", "ledger_streams", "import", "-", "--json", *arguments)
    pipe = asyncio.subprocess.PIPE
    environment = LiveSystem(settings).environment()
    child = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert child.stdin is not None
    child.stdin.write(FILE.encode())
    child.stdin.close()
    return child


async def ended(child: asyncio.subprocess.Process) -> tuple[int | None, dict[str, Any]]:
    out, error = await child.communicate()
    assert b"Traceback" not in error, error.decode()
    report: dict[str, Any] = json.loads(out)
    return child.returncode, report


async def test_an_import_without_kafka_reports_within_its_timeout(migrated: Settings) -> None:
    away = migrated.model_copy(update={"kafka": "127.0.0.1:1"})
    code, report = await ended(await started(away, "--wait", "2"))
    assert (code, report["sent"], report["unknown"], report["not_sent"]) == (1, 0, 0, 2)
    assert report["stopped"].startswith("kafka is not available")


async def test_an_import_into_a_database_without_the_schema_reports(
    database_only: Settings, tmp_path: Path
) -> None:
    code, report = await ended(await started(database_only, "--wait", "2"))
    assert (code, report["sent"], report["not_sent"]) == (1, 0, 2)
    assert report["stopped"]


async def test_ctrl_c_during_an_import_reports_the_sent_payments(
    migrated: Settings,
) -> None:
    child = await started(migrated)
    async with AIOKafkaConsumer(bootstrap_servers=migrated.kafka) as consumer:

        async def wallet_is_asked_for() -> bool:
            topic = migrated.topic(topics.WALLET_COMMANDS)
            (count,) = (each.partitions for each in topics.TOPICS if each.name == topics.WALLET_COMMANDS)
            parts = [TopicPartition(topic, number) for number in range(count)]
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
            return any(ends.values())

        await eventually(wallet_is_asked_for, what="the import asks for a wallet")
    child.send_signal(signal.SIGINT)
    code, report = await ended(child)
    assert (code, report["stopped"], report["file"]) == (130, "interrupted", "standard input")
    assert (report["wallets_sent"], report["wallets_opened"]) == (1, 0)
    assert (report["sent"], report["unknown"], report["not_sent"]) == (0, 0, 2)
