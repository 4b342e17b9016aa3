"""Parked records: the projector cannot store them, or they are in a wrong partition; the others continue.

A constraint makes PostgreSQL refuse records; the tests drop it later as the repair.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams import topics
from ledger_streams.kafka.murmur2 import murmur2
from tests.e2e.outside import (
    balance,
    ended,
    open_wallet,
    pay,
    read,
    record,
    requested,
    send,
    transfer,
)
from tests.live import LiveSystem, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG: Final = "wrong_partition"


async def send_astray(live: LiveSystem, topic: str, key: str, value: bytes) -> int:
    """Send a record into the partition after its key's, as another partitioner may; return its number."""
    count = topics.spec(topic).partitions
    partition = ((murmur2(key.encode()) & 0x7FFFFFFF) + 1) % count
    async with AIOKafkaProducer(bootstrap_servers=live.settings.kafka) as producer:
        await producer.send_and_wait(live.settings.topic(topic), value, key.encode(), partition)
    return partition


async def letters_of(live: LiveSystem, topic: str, key: str) -> list[tuple[int, str]]:
    """Return partition and reason of the dead letters of a key, once there are any."""

    async def look() -> list[tuple[int, str]] | None:
        letters = await read(live, topics.dead_letters(topic), key)
        return [(one.partition, dict(one.headers)["dlq.reason"].decode()) for one in letters] or None

    return await eventually(look, what=f"{key} is a dead letter of {topic}", seconds=30, every_s=0.3)


async def has_balance(live: LiveSystem, wallet_id: str, expected: str) -> bool:
    return await balance(live, wallet_id) == expected


async def parked(live: LiveSystem, *, of: str) -> list[dict[str, Any]]:
    listed = await live.document("projections", "parked", "list")
    return [one for one in listed if one["aggregate_id"] == of]


async def parked_in_the_end(live: LiveSystem, count: int, *, of: str) -> None:
    """Wait until so many records of a wallet or payment wait."""

    async def are_parked() -> bool:
        rows = await live.rows("SELECT FROM parked_records WHERE aggregate_id = $1 AND ended_at IS NULL", of)
        return len(rows) == count

    await eventually(are_parked, what=f"{count} records of {of} are parked")


@pytest.mark.slow
async def test_a_wallet_whose_event_cannot_be_stored_is_parked_and_retried_and_nothing_stops(
    shared: LiveSystem,
) -> None:
    ada, bob = await open_wallet(shared, funds="10.00"), await open_wallet(shared)
    carol = await open_wallet(shared, funds="1.00")
    await shared.rows(
        f"ALTER TABLE wallet_events ADD CONSTRAINT no CHECK (wallet_id <> '{ada}' OR event_version <> 3)"
    )
    await send(shared, [record(requested(transfer(ada, bob, "1.00"))) for _ in range(2)])
    await parked_in_the_end(shared, 2, of=ada)
    shared.processes["projector-1"].kill()
    shared.start("projector")
    data = transfer(carol, bob)
    await send(shared, [record(requested(data))])
    assert (await ended(shared, data["payment_id"], seconds=90))["status"] == "completed"
    await eventually(lambda: has_balance(shared, bob, "3.00"), what="bob has 3.00", every_s=0.3)

    assert [one["reason"] for one in await parked(shared, of=ada)] == ["not_storable", "behind"]
    shown = await shared.document(
        "wallets", "show", ada, "--url", f"http://127.0.0.1:{shared.ports['worker-1']}"
    )
    assert (shown["version"], [one["reason"] for one in shown["parked"]]) == (2, ["not_storable", "behind"])
    code, out, _ = await shared.command("reconcile", "--json")
    differences = msgspec.json.decode(out)["differences"]
    assert (code, {one["kind"] for one in differences}) == (1, {"parked_record"})

    first = (await parked(shared, of=ada))[0]
    place = ("wallet-events", str(first["partition"]), str(first["offset"]))
    code, _, err = await shared.command("projections", "parked", "discard", *place, "--yes")
    assert (code, "it cannot be discarded" in err) == (1, True)
    code, _, err = await shared.command("projections", "parked", "retry", ada)
    assert (code, "still cannot be projected" in err) == (1, True)
    await shared.rows("ALTER TABLE wallet_events DROP CONSTRAINT no")
    assert (await shared.document("projections", "parked", "retry", ada))["records"] == 2
    assert (await shared.document("projections", "parked", "retry", ada))["records"] == 0
    assert (await pay(shared, transfer(ada, bob, "1.00")))["status"] == "completed"
    assert (await balance(shared, ada), await parked(shared, of=ada)) == ("7.00", [])
    await check_all_is_well(shared)


async def check_all_is_well(live: LiveSystem) -> None:
    """Reconcile and verify, and again after a replay, which parks and retries as it was."""
    assert (await live.document("reconcile"))["differences"] == []
    assert (await live.command("audit", "verify"))[0] == 0
    code, out, err = await live.command("replay", "projections")
    assert code == 0, out + err
    assert (await live.document("reconcile"))["differences"] == []
    code, out, err = await live.command("audit", "verify")
    assert code == 0, out + err


async def test_text_that_jsonb_cannot_store_stops_no_process(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="5.00"), await open_wallet(shared)
    for metadata in (rb'{"x":"\u0000","x":1}', rb'{"x":"\ud800","x":1}', b'{"n":1e200000,"n":1}'):
        key, value = record(requested(transfer(ada, bob, metadata="HERE")))
        assert value is not None
        await send(shared, [(key, value.replace(b'"HERE"', metadata))])
    later = transfer(ada, bob)
    await send(shared, [record(requested(later))])
    assert (await ended(shared, later["payment_id"]))["status"] == "completed"
    assert shared.processes["projector-1"].exit_code is None


async def test_a_payment_whose_request_cannot_be_stored_is_shown_as_parked(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="5.00"), await open_wallet(shared)
    data = transfer(ada, bob)
    payment_id, name = data["payment_id"], f"no_{data['payment_id'][:8]}"
    await shared.rows(f"ALTER TABLE payments ADD CONSTRAINT {name} CHECK (payment_id <> '{payment_id}')")
    await send(shared, [record(requested(data))])
    await parked_in_the_end(shared, 2, of=payment_id)
    status, problem, _ = await shared.request("GET", f"/v1/payments/{payment_id}")
    assert (status, "is parked as not_storable" in problem["detail"]) == (404, True)
    await eventually(lambda: has_balance(shared, bob, "1.00"), what="bob has 1.00", every_s=0.3)
    await shared.rows(f"ALTER TABLE payments DROP CONSTRAINT {name}")
    assert (await shared.document("projections", "parked", "retry", payment_id))["records"] == 2
    assert (await ended(shared, payment_id))["status"] == "completed"


async def test_a_payment_in_a_wrong_partition_is_a_dead_letter_and_redrive_carries_it_out(
    shared: LiveSystem,
) -> None:
    ada, bob = await open_wallet(shared, funds="5.00"), await open_wallet(shared)
    data = transfer(ada, bob)
    payment_id = data["payment_id"]
    value = record(requested(data))[1]
    assert value is not None
    partition = await send_astray(shared, topics.PAYMENT_EVENTS, payment_id, value)
    assert await letters_of(shared, topics.PAYMENT_EVENTS, payment_id) == [(partition, WRONG)]
    assert (await pay(shared, transfer(ada, bob)))["status"] == "completed"
    assert (await shared.request("GET", f"/v1/payments/{payment_id}"))[0] == 404
    code, _, err = await shared.command("dlq", "redrive", "payment-events", "--reason", WRONG)
    assert code == 0, err
    assert (await ended(shared, payment_id))["status"] == "completed"
    assert await balance(shared, bob) == "2.00"


async def test_a_bad_payment_in_a_wrong_partition_does_not_fail_the_good_one(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="5.00"), await open_wallet(shared)
    paid = await pay(shared, transfer(ada, bob))
    bad = record(requested(transfer(ada, bob, "-1.00", payment_id=paid["payment_id"])))[1]
    assert bad is not None
    await send_astray(shared, topics.PAYMENT_EVENTS, paid["payment_id"], bad)
    letters = await letters_of(shared, topics.PAYMENT_EVENTS, paid["payment_id"])
    assert [reason for _, reason in letters] == [WRONG]
    assert (await ended(shared, paid["payment_id"]))["status"] == "completed"


async def test_a_wallet_command_in_a_wrong_partition_opens_no_second_wallet(shared: LiveSystem) -> None:
    wallet_id = await open_wallet(shared, funds="1.00")
    (opening,) = [
        kept
        for kept in await read(shared, topics.WALLET_COMMANDS, wallet_id)
        if msgspec.json.decode(kept.value)["event_type"] == "OpenWallet"
    ]
    partition = await send_astray(shared, topics.WALLET_COMMANDS, wallet_id, opening.value)
    assert await letters_of(shared, topics.WALLET_COMMANDS, wallet_id) == [(partition, WRONG)]
    assert len({kept.partition for kept in await read(shared, topics.WALLET_EVENTS, wallet_id)}) == 1


async def test_saga_events_in_a_wrong_partition_are_dead_letters(shared: LiveSystem) -> None:
    paid = await pay(shared, transfer(await open_wallet(shared, funds="1.00"), await open_wallet(shared)))
    key = paid["payment_id"]
    started = (await read(shared, topics.SAGA_EVENTS, key))[0]
    partition = await send_astray(shared, topics.SAGA_EVENTS, key, started.value)
    assert await letters_of(shared, topics.SAGA_EVENTS, key) == [(partition, WRONG)]


async def test_a_forged_wallet_event_is_parked_by_the_projector_and_can_be_discarded(
    shared: LiveSystem,
) -> None:
    wallet_id = await open_wallet(shared, funds="1.00")
    last = (await read(shared, topics.WALLET_EVENTS, wallet_id))[-1]
    partition = await send_astray(shared, topics.WALLET_EVENTS, wallet_id, last.value)
    await parked_in_the_end(shared, 1, of=wallet_id)
    (one,) = await parked(shared, of=wallet_id)
    assert (one["partition"], one["reason"]) == (partition, WRONG)
    assert (await pay(shared, transfer(wallet_id, await open_wallet(shared))))["status"] == "completed"
    place = ("wallet-events", str(partition), str(one["offset"]))
    assert (await shared.document("projections", "parked", "show", *place))["key"] == wallet_id
    assert (await shared.command("projections", "parked", "discard", *place, "--yes"))[0] == 0
    assert await parked(shared, of=wallet_id) == []
