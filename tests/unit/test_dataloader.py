"""DataLoader: simultaneous calls share one query, and each caller gets its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ledger_streams.dataloader import DataLoader
from ledger_streams.errors import Unavailable


class Doubler:
    """Doubles numbers, and refuses those below zero; with a zero among them it answers nobody."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.is_asked = asyncio.Event()

    async def __call__(self, numbers: list[int]) -> Sequence[int | Exception]:
        self.asked.append(numbers)
        self.is_asked.set()
        await asyncio.sleep(0.001)
        if 0 in numbers:
            raise Unavailable(dependency="doubler", detail="zero")
        return [ValueError(number) if number < 0 else 2 * number for number in numbers]


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


@pytest.fixture
def doubled(doubler: Doubler) -> DataLoader[int, int]:
    return DataLoader(doubler)


async def test_simultaneous_calls_share_one_query(doubler: Doubler, doubled: DataLoader[int, int]) -> None:
    assert await asyncio.gather(*map(doubled.load, (3, 1, 3))) == [6, 2, 6]
    assert doubler.asked == [[3, 1, 3]]


async def test_a_later_call_has_its_own_query(doubler: Doubler, doubled: DataLoader[int, int]) -> None:
    first = asyncio.create_task(doubled.load(1))
    await doubler.is_asked.wait()
    assert await doubled.load(2) == 4
    assert await first == 2
    assert doubler.asked == [[1], [2]]


async def test_an_error_of_one_key_reaches_its_caller_alone(doubled: DataLoader[int, int]) -> None:
    wrong, right = await asyncio.gather(doubled.load(-1), doubled.load(1), return_exceptions=True)
    assert isinstance(wrong, ValueError)
    assert right == 2


async def test_an_error_of_the_query_reaches_all_callers(doubled: DataLoader[int, int]) -> None:
    said = await asyncio.gather(*map(doubled.load, (0, 1)), return_exceptions=True)
    assert [type(one) for one in said] == [Unavailable, Unavailable]


async def test_a_cancelled_caller_does_not_affect_the_others(
    doubler: Doubler, doubled: DataLoader[int, int]
) -> None:
    impatient, patient = (asyncio.create_task(doubled.load(number)) for number in (1, 2))
    await doubler.is_asked.wait()
    impatient.cancel()
    assert await patient == 4
    assert impatient.cancelled()


async def test_a_missing_result_is_an_error_for_all_callers() -> None:
    async def answer_one(asked: list[int]) -> list[int]:
        return asked[:1]

    said = await asyncio.gather(*map(DataLoader(answer_one).load, (1, 2)), return_exceptions=True)
    assert [type(one) for one in said] == [ValueError, ValueError]


async def test_no_caller_waits_for_a_cancelled_query() -> None:
    async def cancelled(asked: list[int]) -> list[int]:
        raise asyncio.CancelledError

    together = DataLoader[int, int](cancelled)
    with pytest.raises(asyncio.CancelledError):
        await together.load(1)
