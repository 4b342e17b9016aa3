"""The model's workload on three brokers: whatever happens to one, or two, the auditor finds nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ledger_streams.settings import Settings
from tests.fault.broker_nemeses import BROKER_NEMESES
from tests.fault.nemeses import Nemesis, name_of
from tests.fault.ordeal import HEAD, Row, stood
from tests.fault.stage import own_servers

SEED: Final = 3_993


@pytest.fixture(scope="module")
def servers() -> Iterator[Settings]:
    """A stack of three brokers that may be killed."""
    with own_servers(brokers=3) as settings:
        yield settings


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """The rows of the table that is printed at the end."""
    found: list[Row] = []
    yield found
    print("\n".join(["", HEAD, *(row.text() for row in found)]))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "nemesis"), [*enumerate(BROKER_NEMESES)], ids=[name_of(nemesis) for nemesis in BROKER_NEMESES]
)
async def test_nothing_is_lost_nor_done_twice_under_a_nemesis_of_the_brokers(
    servers: Settings, rows: list[Row], tmp_path: Path, number: int, nemesis: Nemesis
) -> None:
    row = await stood(servers, tmp_path, nemesis, seed=SEED + number)
    rows.append(row)
    assert row.faults == []
    assert (row.lost, row.duplicated, row.differences) == (0, 0, 0)
