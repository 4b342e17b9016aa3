"""The model's workload under each nemesis alone: the auditor finds no difference."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from ledger_streams.settings import Settings
from tests.fault.fault_scenario import Row, stood
from tests.fault.nemeses import NEMESES, Nemesis, name_of

SEED: Final = 1_993


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("number", "nemesis"), [*enumerate(NEMESES)], ids=[name_of(nemesis) for nemesis in NEMESES]
)
async def test_no_payment_is_lost_or_repeated_under_a_nemesis(
    servers: Settings, rows: list[Row], tmp_path: Path, number: int, nemesis: Nemesis
) -> None:
    row = await stood(servers, tmp_path, nemesis, seed=SEED + number)
    rows.append(row)
    assert row.faults == []
    assert (row.lost, row.duplicated, row.differences) == (0, 0, 0)
