"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ledger_streams.settings import Settings
from tests.engine_app.group import Group, group_of
from tests.engine_app.harness import EngineWorkers, engine_workers


@pytest.fixture
async def workers(alone: Settings) -> AsyncIterator[EngineWorkers]:
    """Workers with topics of their own, not started."""
    async with engine_workers(alone) as workers:
        yield workers


@pytest.fixture
async def group(workers: EngineWorkers) -> AsyncIterator[Group]:
    """A group with one member, and the transactions of a worker in its name."""
    async with group_of(workers.settings) as group:
        yield group
