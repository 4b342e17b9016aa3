"""Faust's own commands on an app of the engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("agents", {"@adder", "toy-in", "toy-in -> sums -> toy-changelog, toy-out."}),
        ("tables", {"sums", "the sum of each key's numbers"}),
    ],
)
def test_fausts_commands_list_agents_and_tables(command: str, words: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine_app", "--json", command],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {word for word in words if word not in done.stdout} == set(), done.stdout
