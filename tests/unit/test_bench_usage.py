"""CPU and memory figures that the benchmarks read from /proc."""

from __future__ import annotations

import os
import socket

import pytest

from benchmarks.backlog import TICK_S
from benchmarks.usage import busy_s, listener, memory, memory_of, shares, since, stat_of

STAT = "4711 (a (strange) name) S 42 4711 4711 0 -1 4194560 100 0 0 0 310 90 7 3 20 0 9 0 1 2 3"
ROLLUP = """\
55d0c0000000-7ffc00000000 ---p 00000000 00:00 0                          [rollup]
Rss:              304144 kB
Pss:              299000 kB
Pss_Dirty:        280000 kB
"""


def test_a_process_s_stat_is_read_past_a_name_with_parentheses() -> None:
    stat = stat_of(STAT)
    assert stat.parent == 42
    assert stat.own_s == pytest.approx(400 * TICK_S)
    assert stat.ended_children_s == pytest.approx(10 * TICK_S)


def test_idle_waiting_and_stolen_time_is_not_work() -> None:
    assert busy_s("cpu  100 1 50 9000 800 5 6 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0") == pytest.approx(162 * TICK_S)


def test_memory_is_reported_in_millions_of_bytes() -> None:
    found = memory_of(ROLLUP)
    assert (found.rss_mb, found.pss_mb) == (311.4, 306.2)


def test_a_process_has_no_more_of_its_own_than_it_has() -> None:
    found = memory(os.getpid())
    assert 0 < found.pss_mb <= found.rss_mb


def test_the_process_that_listens_on_a_port_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listener(port) == os.getpid()
    with pytest.raises(AssertionError, match=str(port)):
        listener(port)


def test_usage_is_the_difference_of_two_readings() -> None:
    used = since({"worker": 2.0}, {"worker": 5.0, "projector": 1.0})
    assert used == {"worker": 3.0, "projector": 1.0}
    assert shares(used, 2.0) == {"worker": 1.5, "projector": 0.5}
