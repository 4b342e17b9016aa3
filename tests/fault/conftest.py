"""Prints the table of injected faults at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from ledger_streams.settings import Settings
from tests.conftest import stack_settings
from tests.fault.fault_scenario import HEAD, Row
from tests.fault.testbed import own_servers

ROWS: Final = pytest.StashKey[list[Row]]()


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """Take the rows of the table."""
    return request.config.stash.setdefault(ROWS, [])


@pytest.fixture(scope="session")
def stack(stack: Settings) -> Settings:
    """The stack, and processes that fetch as often as in production: times to recover are measured here."""
    return stack_settings(home=stack.home)


@pytest.fixture(scope="module")
def servers() -> Iterator[Settings]:
    """A stack of the module's own, which may be killed and cut off."""
    with own_servers() as settings:
        yield settings


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, if there is one, before pytest's last line."""
    found = terminalreporter.config.stash.get(ROWS, [])
    if found:
        terminalreporter.section("nemeses")
        for line in (HEAD, *(row.text() for row in found)):
            terminalreporter.write_line(line)
