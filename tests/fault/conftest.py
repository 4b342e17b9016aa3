"""The table of what the system has stood, printed at the end of a run."""

from __future__ import annotations

from typing import Final

import pytest

from tests.fault.ordeal import HEAD, Row

ROWS: Final = pytest.StashKey[list[Row]]()


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest) -> list[Row]:
    """Take the rows of the table."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, if there is one, before pytest's last line."""
    found = terminalreporter.config.stash.get(ROWS, [])
    if found:
        terminalreporter.section("nemeses")
        for line in (HEAD, *(row.text() for row in found)):
            terminalreporter.write_line(line)
