"""A flood of unreadable records stops the worker, and the worker reports it again after a restart.

With a raised limit the worker parks each record once, and once more after a redrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams import topics
from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.e2e.outside import (
    KeyValue,
    new_id,
    parked_by_offset,
    partition_of,
    read,
    record,
    requested,
    send_as_one_batch,
)
from tests.live import LiveSystem, eventually, running

pytestmark = pytest.mark.slow

PARTITION: Final = 5
LIMIT: Final = 20
DLQ: Final = topics.dead_letters(topics.PAYMENT_EVENTS)


@pytest.fixture
async def limited(migrated: Settings) -> AsyncIterator[LiveSystem]:
    """A system whose workers end beyond `LIMIT` dead letters in a row."""
    async with running(migrated.model_copy(update={"dead_letters_in_a_row_max": LIMIT})) as system:
        yield system


def deposit(amount: str) -> KeyValue:
    """Return a request for a wallet that does not exist, in the partition of the flood."""
    while partition_of(payment_id := new_id()) != PARTITION:
        pass
    data = {"payment_id": payment_id, "kind": "deposit", "target_wallet_id": new_id(), "amount": amount}
    return record(requested(data | {"currency": "EUR"}))


def bad(count: int) -> list[KeyValue]:
    """Return so many records that cannot be read, each of which names a payment that fails of it."""
    return [deposit("-1.00") for _ in range(count)]


async def failed(live: LiveSystem) -> Counter[str]:
    """Return how often each payment is said to have failed."""
    kept = [(record.key.decode(), record.value) for record in await read(live, topics.PAYMENT_EVENTS)]
    return Counter(key for key, value in kept if b'"PaymentFailed"' in value)


async def all_failed(live: LiveSystem, records: Sequence[KeyValue]) -> None:
    """Wait until the payment of each record has failed, and of no other, once."""
    expected = Counter(key.decode() for key, _ in records if key is not None)

    async def are() -> bool:
        return await failed(live) == expected

    await eventually(are, what=f"{len(records)} payments have failed", every_s=0.2)


async def parked(live: LiveSystem) -> list[int]:
    """Return the offsets of payment-events that dead letters name, in order; twice what is there twice."""
    return sorted(offset for offset, letters in (await parked_by_offset(live)).items() for _ in letters)


async def committed_offset(live: LiveSystem) -> int | None:
    """Return how far the workers' group has come in the partition of the flood."""
    consumer = AIOKafkaConsumer(bootstrap_servers=live.settings.kafka, group_id=live.settings.app_id)
    async with consumer:
        name = live.settings.topic(topics.PAYMENT_EVENTS)
        offset: int | None = await consumer.committed(TopicPartition(name, PARTITION))
        return offset


async def check_stopped(live: LiveSystem, worker_id: str, letters: Sequence[int], *, at: int) -> None:
    """Start a worker and see it end before the record at this offset, with these letters and no more."""
    process = live.start("worker", worker_id)
    assert process.wait(60) == EXIT_SOFTWARE, process.tail()
    said = f"payment-events[{PARTITION}]@{at} would be dead letter {LIMIT + 1} in a row"
    assert said in process.log.read_text()
    assert "LEDGER_DEAD_LETTERS_IN_A_ROW_MAX" in process.tail()
    assert await parked(live) == letters
    assert await committed_offset(live) == at


async def parked_again(live: LiveSystem, count: int) -> dict[str, Any]:
    """Wait until there are so many letters that were redriven before; return them by what they repeat."""

    async def are() -> list[Any] | None:
        found = [letter for letter in await listed(live) if letter["repeats"]]
        return found if len(found) >= count else None

    found = await eventually(are, what=f"{count} letters are parked again")
    assert len(found) == count
    return {letter["repeats"]: letter for letter in found}


async def listed(live: LiveSystem) -> list[Any]:
    letters: list[Any] = await live.document("dlq", "list", "--topic", topics.PAYMENT_EVENTS)
    return letters


async def test_a_flood_stops_the_worker_also_after_a_restart_until_the_limit_is_raised(
    limited: LiveSystem,
) -> None:
    live = limited
    live.start("worker", "1")
    calm = [*bad(15), deposit("1.00"), *bad(15)]
    first = await send_as_one_batch(live, calm, partition=PARTITION)
    await all_failed(live, calm)  # a good one between them ended the row, and outcomes after them did not
    live.processes["worker-1"].stop()
    before = [first + at for at in range(31) if at != 15]
    assert await parked(live) == before

    flood = bad(50)
    start = await send_as_one_batch(live, flood, partition=PARTITION)
    taken = LIMIT - 15
    stopped = [*before, *range(start, start + taken)]
    for worker_id in ("1", "1", "2"):
        await check_stopped(live, worker_id, stopped, at=start + taken)

    live.settings = live.settings.model_copy(update={"dead_letters_in_a_row_max": 15 + len(flood)})
    live.processes.clear()
    live.start("worker", "2")
    await all_failed(live, [*calm, *flood])
    assert await parked(live) == [*before, *range(start, start + 50)]
    await check_redriven_are_parked_again(live)
    await all_failed(live, [*calm, *flood])


async def check_redriven_are_parked_again(live: LiveSystem) -> None:
    """Redrive all letters, more than the limit, and see each parked once more, told from the one before."""
    letters = await listed(live)
    done = await live.document("dlq", "redrive", topics.PAYMENT_EVENTS)
    assert len(done["letters"]) == len(letters) == 80
    again = await parked_again(live, 80)
    now = {
        f"{letter['topic']}:{letter['partition']}:{letter['offset']}": letter for letter in await listed(live)
    }
    assert len(now) == 160
    for place, letter in again.items():
        was = now[place]
        assert (letter["key"], letter["reason"], letter["redriven_to"]) == (was["key"], "invalid", "")
        assert was["redriven_to"].endswith(f":{PARTITION}:{letter['source_offset']}")
    values = Counter(letter.value for letter in await read(live, DLQ))
    assert set(values.values()) == {2}, "byte for byte, twice"
    assert all(msgspec.json.decode(value)["data"]["amount"] == "-1.00" for value in values)
