"""The model's workload under each nemesis alone: whatever happened, the auditor finds nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

import pytest

from ledger_streams.settings import Settings
from tests.fault.nemeses import NEMESES, Nemesis, name_of
from tests.fault.ordeal import HEAD, Ordeal, Row
from tests.fault.stage import own_servers, staged
from tests.model.live_system import LiveModel

SEED: Final = 1_993


@pytest.fixture(scope="module")
def servers() -> Iterator[Settings]:
    """A stack that may be killed."""
    with own_servers() as settings:
        yield settings


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "nemesis"), [*enumerate(NEMESES)], ids=[name_of(nemesis) for nemesis in NEMESES]
)
async def test_nothing_is_lost_nor_done_twice_under_a_nemesis(
    servers: Settings, rows: list[Row], tmp_path: Path, number: int, nemesis: Nemesis
) -> None:
    seed = SEED + number
    async with staged(servers, tmp_path) as stage, aclosing(LiveModel(stage.live)) as model:
        ordeal = Ordeal(stage, model, seed)
        await ordeal.open()
        row = await ordeal.under(nemesis)
        rows.append(row)
        print(f"\nseed {seed}, ended by itself: {dict(stage.ended_by_itself)}\n{HEAD}\n{row.text()}")
        assert row.faults == []
        assert (row.lost, row.duplicated, row.differences) == (0, 0, 0)
