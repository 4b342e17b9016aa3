from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ledger_streams.settings import Settings
from tests.live import LiveSystem


@pytest.fixture
async def live(migrated: Settings) -> AsyncIterator[LiveSystem]:
    """A system of the test's own, nothing of it started yet."""
    system = LiveSystem(migrated)
    try:
        yield system
    finally:
        await system.close()
