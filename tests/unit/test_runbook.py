"""RUNBOOK.md names existing commands and tests."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from ledger_streams.cli import FAUST_COMMANDS, OWN_COMMANDS, own_command
from tests.unit.test_tidy import ROOT

TEXT = (ROOT / "RUNBOOK.md").read_text()
CALLS = sorted(
    {call.split("#")[0].strip() for call in re.findall(r"^.*?ledger-streams (.+)$", TEXT, re.MULTILINE)}
)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_in_the_runbook_is_a_valid_command(call: str) -> None:
    name, *arguments = shlex.split(call.replace("|", "-"))
    if name in FAUST_COMMANDS:
        return
    assert name in OWN_COMMANDS
    command = own_command(name)
    while isinstance(command, click.Group):
        command = command.commands[arguments.pop(0)]
    command.make_context(name, arguments, resilient_parsing=False)


def test_every_case_has_a_test() -> None:
    cases = TEXT.split("\n## ")[1:]
    for case in cases:
        tests = re.findall(r"\]\((tests/\S+\.py)\)", case)
        assert tests, case.splitlines()[0]
        assert all((ROOT / test).is_file() for test in tests)
