"""The list of the slowest tests is read from pytest's own reports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.times import SLOWEST, main, times

TESTS = "".join(f"def test_{number}():\n    pass\n" for number in range(SLOWEST + 1))


def test_a_report_of_pytest_gives_file_test_and_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    report = tmp_path / "times.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", str(report), "."]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = list(times(report))
    assert [(file, name) for file, name, _ in found[:2]] == [
        ("test_some.py", "test_0"),
        ("test_some.py", "test_1"),
    ]
    assert all(0 <= seconds < 60 for _, _, seconds in found)

    main([str(report)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"The slowest tests of {SLOWEST + 1}, ")
    assert len(lines) == 1 + SLOWEST + 1 + 1
    assert lines[-1].endswith(" s  test_some.py")


def test_a_missing_report_is_explained_with_the_command_that_makes_it() -> None:
    with pytest.raises(SystemExit, match="run `make test` or `make test-slow` first"):
        main([])
