from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ledger_streams.settings import Settings
from tests.live import LiveSystem, running
from tests.own_system import own_system


@pytest.fixture
async def live(migrated: Settings) -> AsyncIterator[LiveSystem]:
    """A system of the test's own, nothing of it started yet."""
    async with running(migrated) as system:
        yield system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveSystem]:
    """Two workers and a projector for all tests of a module, which tell their payments apart by fresh ids.

    Such a module has to say `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    async with (
        own_system(stack, tmp_path_factory.mktemp("system")) as settings,
        running(settings, workers=2) as system,
    ):
        yield system
