"""Invalid records in one batch with valid ones.

Each invalid record is parked once, byte for byte, with the reason; a payment that it names
fails.  The valid payments in the batch complete.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from ledger_streams import topics
from tests.e2e.bad_records import BAD_RECORDS, BadRecord, incompressible
from tests.e2e.outside import (
    KeyValue,
    balance,
    carried_out_so_far,
    ended,
    new_id,
    open_wallet,
    parked_by_offset,
    partition_of,
    record,
    requested,
    send_as_one_batch,
    transfer,
)
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTITION: Final = 5
GOOD: Final = 4
LARGEST_VALUE_BYTES: Final = 1_048_588 - 61 - 11 - 36
"""The largest value within the broker's message.max.bytes, less batch header, record framing and key."""


class Sent(msgspec.Struct):
    """The batch as it was sent, and what lies in the dead letters now that it has been carried out."""

    ada: str
    bob: str
    good: list[str]
    bad: dict[str, tuple[str, int, KeyValue]]
    """Payment_id, offset and bytes of each bad record."""
    letters: dict[int, list[Any]]
    """Dead letters by the offset they name."""


def paying(ada: str, bob: str) -> dict[str, Any]:
    """Return a transfer whose payment belongs into the partition of the batch."""
    while partition_of(payment_id := new_id()) != PARTITION:
        pass
    return transfer(ada, bob, payment_id=payment_id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sent(shared: LiveSystem) -> Sent:
    ada, bob = await open_wallet(shared, funds="100.00"), await open_wallet(shared)
    batch: list[KeyValue] = []
    good: list[str] = []
    bad: dict[str, tuple[str, int, KeyValue]] = {}
    for number, case in enumerate(BAD_RECORDS):
        if number % (len(BAD_RECORDS) // GOOD) == 0 and len(good) < GOOD:
            batch.append(record(requested(data := paying(ada, bob))))
            good.append(data["payment_id"])
        data = paying(ada, bob)
        bad[case.name] = data["payment_id"], len(batch), case.make(data)
        batch.append(bad[case.name][2])
    first = await send_as_one_batch(shared, batch, partition=PARTITION)
    bad = {name: (payment_id, first + at, kept) for name, (payment_id, at, kept) in bad.items()}
    last = record(requested(data := paying(ada, bob)))
    await send_as_one_batch(shared, [last], partition=PARTITION)
    good.append(data["payment_id"])
    assert (await ended(shared, data["payment_id"]))["status"] == "completed"
    return Sent(ada, bob, good, bad, await parked_by_offset(shared))


async def test_the_valid_records_of_the_batch_are_paid_and_no_other_money_moves(
    shared: LiveSystem, sent: Sent
) -> None:
    assert {(await ended(shared, payment_id))["status"] for payment_id in sent.good} == {"completed"}
    assert await balance(shared, sent.ada) == f"{100 - len(sent.good)}.00"
    assert await balance(shared, sent.bob) == f"{len(sent.good)}.00"
    moved = await shared.rows("SELECT count(*) AS n FROM wallet_events WHERE event_type LIKE 'Balance%'")
    assert moved[0]["n"] == 1 + 2 * len(sent.good)


async def test_each_bad_record_has_one_dead_letter_and_valid_records_none(sent: Sent) -> None:
    assert {offset: len(letters) for offset, letters in sent.letters.items()} == {
        offset: 1 for _, offset, _ in sent.bad.values()
    }


@pytest.mark.parametrize("case", BAD_RECORDS, ids=lambda case: case.name)
async def test_a_bad_record_is_parked_byte_for_byte_and_its_payment_fails(
    shared: LiveSystem, sent: Sent, case: BadRecord
) -> None:
    payment_id, offset, (key, value) = sent.bad[case.name]
    (letter,) = sent.letters[offset]
    assert (letter.key, letter.value, letter.partition) == (key, value, PARTITION)
    headers = {name: text.decode() for name, text in letter.headers}
    assert headers["dlq.topic"] == shared.settings.topic(topics.PAYMENT_EVENTS)
    assert (headers["dlq.partition"], headers["dlq.reason"]) == (str(PARTITION), "invalid")
    assert case.at in headers["dlq.detail"]
    assert headers.keys() == {f"dlq.{name}" for name in ("topic", "partition", "offset", "reason", "detail")}
    if case.fails:
        await check_failed(shared, payment_id)
    else:
        await check_unknown(shared, payment_id)


async def check_failed(live: LiveSystem, payment_id: str) -> None:
    payment = await ended(live, payment_id)
    assert (payment["status"], payment["reason"]) == ("failed", "invalid")
    outcomes = await outcomes_of(live, payment_id)
    assert [(event["event_type"], event["data"]["reason"]) for event in outcomes] == [
        ("PaymentFailed", "invalid")
    ]


async def check_unknown(live: LiveSystem, payment_id: str) -> None:
    assert (await live.request("GET", f"/v1/payments/{payment_id}"))[0] == 404
    assert await outcomes_of(live, payment_id) == []


async def outcomes_of(live: LiveSystem, payment_id: str) -> list[dict[str, Any]]:
    rows = await live.rows(
        "SELECT event_type, event_data::text FROM events"
        " WHERE aggregate_id = $1 AND topic LIKE '%payment-events' AND event_type <> 'PaymentRequested'",
        payment_id,
    )
    return [{"event_type": row["event_type"], "data": msgspec.json.decode(row["event_data"])} for row in rows]


async def test_dlq_list_shows_every_dead_letter(shared: LiveSystem, sent: Sent) -> None:
    listed = await shared.document("dlq", "list", "--topic", "payment-events")
    shown = {(int(letter["source_offset"]), letter["reason"]) for letter in listed}
    assert shown == {(offset, "invalid") for _, offset, _ in sent.bad.values()}
    assert len(listed) == len(sent.bad)
    code, text, _ = await shared.command("dlq", "list")
    assert (code, f"{len(sent.bad)} dead letters" in text) == (0, True)


async def test_an_invalid_payment_is_over_and_the_same_id_with_good_content_is_a_mismatch(
    shared: LiveSystem, sent: Sent
) -> None:
    payment_id, _, _ = sent.bad["an amount that is negative"]
    again = transfer(sent.ada, sent.bob, payment_id=payment_id)
    offset = await send_as_one_batch(shared, [record(requested(again))], partition=PARTITION)
    await carried_out_so_far(shared, sent.good[0])
    (letter,) = (await parked_by_offset(shared))[offset]
    assert dict(letter.headers)["dlq.reason"] == b"duplicate_mismatch"
    assert len(await outcomes_of(shared, payment_id)) == 1
    assert (await ended(shared, payment_id))["reason"] == "invalid"


async def test_the_key_of_another_payment_does_not_fail_the_payment_of_that_key(
    shared: LiveSystem, sent: Sent
) -> None:
    known = sent.good[0]
    strange = record(requested(paying(sent.ada, sent.bob)))[1]
    offset = await send_as_one_batch(shared, [(known.encode(), strange)], partition=PARTITION)
    await carried_out_so_far(shared, sent.good[0])
    assert offset in await parked_by_offset(shared)
    assert (await ended(shared, known))["status"] == "completed"
    assert [event["event_type"] for event in await outcomes_of(shared, known)] == ["PaymentCompleted"]


async def test_an_unreadable_outcome_from_outside_is_parked_and_stops_no_worker(
    shared: LiveSystem, sent: Sent
) -> None:
    known = sent.good[0]
    outcomes = [
        requested({"payment_id": known}, event_type="PaymentFailed"),
        requested({"payment_id": known}, event_type="PaymentCompleted", event_version=2),
        requested({"payment_id": known, "reason": "no", "wallets": {}, "note": "a\0b"}, event_version=2)
        | {"event_type": "PaymentFailed"},
        requested({"payment_id": known, "reason": "no", "wallets": {}}, event_version=2, occurred_at="soon")
        | {"event_type": "PaymentFailed"},
        requested({"payment_id": known}, event_type="PaymentRefunded", correlation_id="x"),
    ]
    first = await send_as_one_batch(shared, [record(event) for event in outcomes], partition=PARTITION)
    await carried_out_so_far(shared, sent.good[0])
    letters = await parked_by_offset(shared)
    assert [len(letters.get(first + number, [])) for number in range(len(outcomes))] == [1] * len(outcomes)
    assert (await ended(shared, known))["status"] == "completed"


async def test_a_bad_record_is_parked_once_also_when_the_workers_are_killed(
    shared: LiveSystem, sent: Sent
) -> None:
    before = await parked_by_offset(shared)
    bad = [case.make(paying(sent.ada, sent.bob)) for case in BAD_RECORDS]
    first = await send_as_one_batch(shared, bad, partition=PARTITION)
    for number in ("1", "2"):
        shared.processes[f"worker-{number}"].kill()
        shared.start("worker", number)
    await shared.ready("1")
    await carried_out_so_far(shared, sent.good[0])
    expected = dict.fromkeys([*before, *range(first, first + len(bad))], 1)
    parked = await parked_by_offset(shared)
    assert {offset: len(letters) for offset, letters in parked.items()} == expected


async def test_metadata_of_900_kb_is_taken_and_kept(shared: LiveSystem, sent: Sent) -> None:
    data = paying(sent.ada, sent.bob) | {"metadata": {"scan": incompressible(900_000)}}
    await send_as_one_batch(shared, [record(requested(data))], partition=PARTITION)
    assert (await ended(shared, data["payment_id"]))["status"] == "completed"
    kept = await shared.rows(
        "SELECT event_type, event_data->'metadata'->>'scan' AS scan FROM events"
        " WHERE aggregate_id = $1 AND event_data ? 'metadata' ORDER BY event_type",
        data["payment_id"],
    )
    assert [row["event_type"] for row in kept] == ["PaymentRequested", "SagaStarted"]
    assert {row["scan"] for row in kept} == {data["metadata"]["scan"]}


@pytest.mark.parametrize(
    "value_bytes", [1_000_001, LARGEST_VALUE_BYTES], ids=["a bit", "as the broker takes"]
)
async def test_a_record_too_long_for_its_saga_is_parked_whole(
    shared: LiveSystem, sent: Sent, value_bytes: int
) -> None:
    data = paying(sent.ada, sent.bob) | {"metadata": {"scan": ""}}
    key, value = record(requested(data))
    assert value is not None
    data["metadata"]["scan"] = incompressible(value_bytes - len(value))
    key, value = record(requested(data))
    offset = await send_as_one_batch(shared, [(key, value)], partition=PARTITION)
    await carried_out_so_far(shared, sent.good[0])
    (letter,) = (await parked_by_offset(shared))[offset]
    assert (letter.key, letter.value) == (key, value)
    assert dict(letter.headers)["dlq.reason"] == b"invalid"
    await check_unknown(shared, data["payment_id"])


async def test_in_the_end_everything_reconciles(shared: LiveSystem, sent: Sent) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
