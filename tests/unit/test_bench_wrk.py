"""Figures that the benchmarks parse from wrk's output."""

from __future__ import annotations

import pytest

from benchmarks.wrk import called
from ledger_streams.errors import Unavailable

FIGURES = (
    '{"calls":3000,"duration_us":2000000,"p50_us":20500,"p99_us":91200,"max_us":120000,'
    '"statuses":{"202":2990,"503":10},"hits":7,"batches_refused":0,"connect":0,"read":4,"write":0,"timeout":0}'
)
PRINTED = f"""\
Running 2s test @ http://127.0.0.1:6066
  1 threads and 32 connections
  2990 requests in 2.00s, 1.10MB read
  Non-2xx or 3xx responses: 10
Requests/sec:   1500.00
{FIGURES}
"""


def test_figures_are_in_the_last_line() -> None:
    found = called(PRINTED, connections=32)
    assert (found.connections, found.calls, found.calls_per_s) == (32, 3_000, 1_500.0)
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (20.5, 91.2, 120.0)
    assert (found.statuses, found.good) == ({"202": 2_990, "503": 10}, 2_990)
    assert found.errors == {"read": 4}
    assert found.hits == 7


def test_wrk_s_connection_error_is_reported_verbatim() -> None:
    with pytest.raises(Unavailable, match="unable to connect"):
        called("unable to connect to 127.0.0.1:1 Connection refused\n", connections=32)
