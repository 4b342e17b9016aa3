"""Fixtures of all tests: one shared stack of real servers, with topics and databases per test.

The stack is started once, in .ledger/test with ports of its own, and left running so
that the next run starts at once.  A test requests only the parts that it needs:
`alone` (Settings only) < `topics_only`, `database_only`, `schema_only` (a database with the schema) <
`system` (topics and an empty database), `migrated` (topics and the schema).
"""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ledger_streams.local.stack import up
from ledger_streams.settings import Settings
from tests.databases import own_database
from tests.fsync import without_fsync
from tests.own_topics import own_topics

# A script's background ignores Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
PORTS_UP = int(os.environ.get("TEST_PORTS_UP", "0"))
"""How far this checkout's ports are above the usual ones, so that two can be tested on one machine."""
KAFKA_PORT = 29192 + PORTS_UP
FETCH_WAIT_MS = 100
"""An idle process asks ten times a second; with the 10 ms of the default it takes four times the CPU."""
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
    """The stack, up; no test uses the stack's own topics and database."""
    started = stack_settings(fetch_wait_ms=FETCH_WAIT_MS)
    up(started)
    asyncio.run(without_fsync(started))
    return started


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
        fetch_wait_ms=FETCH_WAIT_MS,
    )


@pytest.fixture
async def topics_only(alone: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Settings]:
    """`alone` with its topics, deleted afterwards: all, or those that `@pytest.mark.topics` names."""
    marked = request.node.get_closest_marker("topics")
    async with own_topics(alone, marked.args if marked else ()):
        yield alone


@pytest.fixture
async def database_only(alone: Settings, stack: Settings) -> AsyncIterator[Settings]:
    """`alone` with an empty database, dropped afterwards."""
    async with own_database(stack, alone.app_id, migrated=False):
        yield alone


@pytest.fixture
async def schema_only(alone: Settings, stack: Settings) -> AsyncIterator[Settings]:
    """`alone` with a database that has the schema, dropped afterwards."""
    async with own_database(stack, alone.app_id):
        yield alone


@pytest.fixture
def system(topics_only: Settings, database_only: Settings) -> Settings:
    """Topics and an empty database of the test's own."""
    assert topics_only is database_only
    return topics_only


@pytest.fixture
def migrated(topics_only: Settings, schema_only: Settings) -> Settings:
    """Topics and a database with the schema, of the test's own."""
    assert topics_only is schema_only
    return topics_only


@pytest.fixture(scope="session")
def bank_data() -> Path:
    """The file of a bank's real transactions of 1993, or a skip where it is not at hand."""
    folder = ROOT / Settings().data  # an absolute one stays as it is
    path = folder / "bank-transactions-1993.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {folder}: set LEDGER_DATA to the folder that has it")
    return path
