"""Logs: a repeated line of a library is logged once per interval, with the number of omitted ones."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from ledger_streams.logs import RATE_LIMITED, REPEAT_S, RateLimitFilter, quiet_libraries


class Wall:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def log(wall: Wall) -> Iterator[logging.Logger]:
    """A logger of no library, spared."""
    logger, sparing = logging.getLogger("tests.spared"), RateLimitFilter(wall)
    logger.addFilter(sparing)
    yield logger
    logger.removeFilter(sparing)


def test_an_error_is_logged_once_per_interval(
    log: logging.Logger, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    for port in range(300):
        log.error("Unable connect to node with id %s: %s", port, "refused")
    log.error("Connection lost, buffer 100 % full")
    wall.at_s += REPEAT_S
    log.error("Unable connect to node with id %s: %s", 7, "refused")
    assert caplog.messages == [
        "Unable connect to node with id 0: refused",
        "Connection lost, buffer 100 % full",
        "Unable connect to node with id 7: refused (and 299 times before)",
    ]


def test_lines_below_the_level_have_no_rate_limit(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        log.warning("Consumer rejoined its group")
    assert caplog.messages == ["Consumer rejoined its group"] * 3


def test_a_logger_of_the_project_has_a_rate_limit_from_warnings_on(
    wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    ours, sparing = logging.getLogger("tests.ours"), RateLimitFilter(wall, level=logging.WARNING)
    ours.addFilter(sparing)
    for _ in range(3):
        ours.warning("Cache unavailable, reading the balance from PostgreSQL: %s", "redis is away")
    wall.at_s += REPEAT_S
    ours.warning("Cache unavailable, reading the balance from PostgreSQL: %s", "redis is away")
    assert caplog.messages == [
        "Cache unavailable, reading the balance from PostgreSQL: redis is away",
        "Cache unavailable, reading the balance from PostgreSQL: redis is away (and 2 times before)",
    ]


@pytest.mark.parametrize(
    "name", [name for name in RATE_LIMITED if name.startswith(("ledger_streams.", "web."))]
)
def test_a_rate_limited_logger_is_that_of_a_module(name: str) -> None:
    assert find_spec(name) is not None


def test_postgresql_lost_during_a_command_is_reported_without_a_traceback() -> None:
    told = "import logging; logging.getLogger('asyncpg.pool').warning('Failed', exc_info=OSError('gone'))"
    code = f"from ledger_streams.cli import main\ntry: main(['db', 'tune'])\nexcept SystemExit: {told}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "shared_buffers" in ran.stdout
    assert not ran.stderr


def test_repeated_set_up_adds_one_rate_limit_to_the_libraries() -> None:
    quiet_libraries()
    quiet_libraries()
    kept = logging.getLogger("aiokafka").filters
    assert sum(isinstance(one, RateLimitFilter) for one in kept) == 1
