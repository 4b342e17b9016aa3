"""Back-off: only `Unavailable` is retried, in order and visibly."""

from __future__ import annotations

import pytest

from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.resilience import Backoff, retried


class Dependency:
    """Is away for its first calls; notes the waits between them."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.calls = 0
        self.waits_s: list[float] = []

    async def answer(self) -> str:
        self.calls += 1
        if self.calls <= self.away:
            raise Unavailable(dependency="postgres", detail="in a test")
        return "here"

    async def sleep(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)


async def test_a_call_succeeds_after_its_dependency_has_recovered(caplog: pytest.LogCaptureFixture) -> None:
    dependency = Dependency(away=8)
    assert await retried(dependency.answer, purpose="a test", sleep=dependency.sleep) == "here"
    assert dependency.waits_s == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert len(caplog.records) == 9


async def test_a_bounded_back_off_gives_up_with_the_last_error() -> None:
    dependency = Dependency(away=99)
    with pytest.raises(Unavailable):
        await retried(
            dependency.answer, purpose="a test", backoff=Backoff(attempts_max=3), sleep=dependency.sleep
        )
    assert dependency.calls == 3


async def test_any_other_error_is_raised_at_once() -> None:
    async def broken() -> None:
        raise InvariantBroken("in a test")

    with pytest.raises(InvariantBroken):
        await retried(broken, purpose="a test")
