"""`bench` runs the checkout's benchmarks from any folder; without a checkout it fails with a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ledger_streams
from tests.conftest import ROOT


def bench(
    *arguments: str, packages: Path = ROOT, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "ledger_streams", "bench", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_case_all_are_listed_also_beside_tests_of_others(tmp_path: Path) -> None:
    (tmp_path / "tests" / "bench").mkdir(parents=True)
    (tmp_path / "tests" / "bench" / "__main__.py").write_text("raise SystemExit('of others')")
    listed = bench(cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "rebuild " in listed.stdout


def test_a_case_prints_its_options() -> None:
    asked = bench("wallets", "--help")
    assert asked.returncode == 0
    assert "--contenders" in asked.stdout


def test_an_unknown_case_is_an_error_of_usage() -> None:
    refused = bench("no-such-case")
    assert refused.returncode == 2
    assert "invalid choice: 'no-such-case'" in refused.stderr


def test_a_table_is_of_the_caller_s_folder(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    made = bench("table", "results", cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("| case ")


def test_a_package_without_its_checkout_refuses(tmp_path: Path) -> None:
    installed = Path(ledger_streams.__file__).parent
    shutil.copytree(installed, tmp_path / "ledger_streams", ignore=shutil.ignore_patterns("__pycache__"))
    refused = bench("sink", packages=tmp_path, cwd=tmp_path)
    assert refused.returncode == 1
    assert (
        refused.stderr == f"Error: the benchmarks need a checkout of the project, and {tmp_path} is not one\n"
    )
