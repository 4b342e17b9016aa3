"""What the tests of the engine share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ledger_streams.settings import Settings
from tests.engine_app.group import Group, group_of
from tests.engine_app.harness import Toys, toys_of


@pytest.fixture
async def toys(alone: Settings) -> AsyncIterator[Toys]:
    """Toys with topics of their own; none runs yet."""
    async with toys_of(alone) as toys:
        yield toys


@pytest.fixture
async def group(toys: Toys) -> AsyncIterator[Group]:
    """A group with one member, and the transactions of a worker in its name."""
    async with group_of(toys.settings) as group:
        yield group
