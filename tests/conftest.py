"""What all tests share: one real stack, and in it a corner of each test's own.

The stack is started once, in .ledger/test with ports of its own, and left running so
that the next run starts at once.  A test asks for as much of it as it needs:
`alone` (Settings only) < `topics_only`, `database_only` < `system` (both) < `migrated`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ledger_streams import topics
from ledger_streams.local.stack import up
from ledger_streams.settings import Settings, settings

ROOT = Path(__file__).resolve().parents[1]
PORTS_UP = int(os.environ.get("TEST_PORTS_UP", "0"))
"""How far this checkout's ports are above the usual ones, so that two can be tested on one machine."""
KAFKA_PORT = 29192 + PORTS_UP
POSTGRES = f"postgresql://ledger@127.0.0.1:{25532 + PORTS_UP}"


def stack_settings(**changes: object) -> Settings:
    """Return the Settings of the tests' stack; the Makefile's test-stack starts the same."""
    addresses: dict[str, object] = {
        "home": ROOT / ".ledger" / "test",
        "kafka": f"127.0.0.1:{KAFKA_PORT}",
        "postgres": f"{POSTGRES}/ledger",
        "redis": f"redis://127.0.0.1:{26479 + PORTS_UP}/0",
    }
    return Settings.model_validate(addresses | changes)


@pytest.fixture(scope="session")
def stack() -> Settings:
    """The stack, up; its own topics and database are nobody's."""
    started = stack_settings()
    up(started)
    return started


@pytest.fixture(autouse=True)
def settings_unread() -> Iterator[None]:
    """Let each test read the environment anew."""
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Make ids that no other test has."""
    return lambda: str(uuid.uuid4())


@pytest.fixture
def alone(stack: Settings, tmp_path: Path) -> Settings:
    """Settings nobody else uses, for a system that notices a dead worker quickly; nothing is created."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return stack_settings(
        home=tmp_path,
        postgres=f"{POSTGRES}/{name}",
        app_id=name,
        topic_prefix=f"{name}-",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        drain_s=0,
    )


@pytest.fixture
async def topics_only(alone: Settings) -> AsyncIterator[Settings]:
    """`alone` with its topics, deleted afterwards."""
    await topics.apply(alone)
    yield alone
    admin = AIOKafkaAdminClient(bootstrap_servers=alone.kafka)
    await admin.start()
    try:
        ours = [name for name in await admin.list_topics() if name.startswith(alone.topic_prefix)]
        await admin.delete_topics(ours)
    finally:
        await admin.close()


@pytest.fixture
async def database_only(alone: Settings, stack: Settings) -> AsyncIterator[Settings]:
    """`alone` with an empty database, dropped afterwards."""
    name = alone.postgres.rpartition("/")[2]
    connection = await asyncpg.connect(stack.postgres)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
        yield alone
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@pytest.fixture
def system(topics_only: Settings, database_only: Settings) -> Settings:
    """Topics and an empty database of the test's own."""
    assert topics_only is database_only
    return topics_only


@pytest.fixture
async def migrated(system: Settings) -> Settings:
    """`system` with the schema in its database."""
    from ledger_streams.adapters.postgres import migrations  # noqa: PLC0415  only where it is needed

    await migrations.upgrade(system.postgres)
    return system


@pytest.fixture(scope="session")
def bank_data() -> Path:
    """The file of a bank's real transactions of 1993, or a skip where it is not at hand."""
    folder = ROOT / Settings().data  # an absolute one stays as it is
    path = folder / "bank-transactions-1993.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {folder}: set LEDGER_DATA to the folder that has it")
    return path
