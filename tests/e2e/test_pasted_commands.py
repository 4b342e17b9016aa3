"""The commands of README, tour and how-tos, pasted into a shell beside a running system."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.live import LiveSystem

ROOT = Path(__file__).resolve().parents[2]
DEMO_URL = "http://127.0.0.1:6066"
SHELL_S_MAX = 120.0


def block(document: str, heading: str) -> str:
    """Return the first code block below a heading, or of a whole document for an empty one."""
    text = (ROOT / document).read_text(encoding="utf-8")
    _, _, below = text.partition(heading)
    found = re.search(r"^```\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{document} has a block below {heading!r}"
    return found[1]


@pytest.fixture
async def paste(live: LiveSystem, tmp_path: Path) -> Paste:
    """Return a shell beside a running system."""
    await live.start_all()
    return Paste(live, tmp_path)


class Paste:
    """A shell in which the demo's address is that of the system under test."""

    def __init__(self, live: LiveSystem, folder: Path) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{live.ports['worker-1']}"
        self._path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | live.environment() | {"PATH": self._path}

    async def __call__(self, commands: str) -> str:
        """Run the commands in bash and return what they print."""
        child = await asyncio.create_subprocess_exec(
            *("bash", "-e", "-c", commands.replace(DEMO_URL, self._url)),
            env=self._environment,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(child.communicate(), SHELL_S_MAX)
        assert child.returncode == 0, err.decode()
        return out.decode()


async def test_the_payment_of_the_readme_moves_the_money_once(paste: Paste) -> None:
    out = await paste(block("README.md", "## One payment"))
    assert re.findall(r'"currency":"EUR","available":"([\d.]+)"', out)[-2:] == ["89.75", "10.25"]
    steps = re.findall(r'"event_type": ?"(\w+)"', out.rpartition('"as_of"')[2])
    assert steps == ["SagaStarted", "WalletDeducted", "WalletCredited", "SagaCompleted"]


async def test_the_calls_of_the_tour_and_the_how_to_are_answered(paste: Paste) -> None:
    tour = block("docs/tour.md", "# Follow one payment")
    out = await paste(tour + block("docs/howto/call-the-api.md", "# Call the API"))
    assert re.findall(r'"reason":"(\w+)"', out) == ["invalid", "duplicate_mismatch", "released"]
    assert re.search(r'"refunded":"4\.25"|"amount":"4\.25"', out)
    assert '"status":"frozen"' in out


async def test_the_file_of_the_import_how_to_is_imported(paste: Paste, tmp_path: Path) -> None:
    await paste(block("docs/howto/import.md", "# Import payments from a file"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["completed"] == 2, report
