"""Faust: an agent with a table in RocksDB, as in its documentation.

At least once, its default: output and offsets are committed separately.  The table has a
changelog of its own beside the events.
"""

from __future__ import annotations

from typing import Any

import mode.loop

mode.loop.use("uvloop")  # before Faust is imported, or it is too late for a loop to be chosen

import faust  # noqa: E402

from benchmarks.peers.task import (  # noqa: E402
    PARTITIONS,
    POLL_RECORDS,
    carry_out,
    given,
    outcome_of,
    say_begin,
)

TASK = given()
LINGER_S = 0.02
"""With the default of 0, nearly every record is a request of its own, which costs 50 % more."""
app = faust.App(
    TASK.group,
    broker=f"kafka://{TASK.kafka}",
    store="rocksdb://",
    datadir=TASK.folder,
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    broker_max_poll_records=POLL_RECORDS,
    producer_compression_type="lz4",
    producer_linger=LINGER_S,
)
BYTES_AND_JSON = {"key_type": bytes, "key_serializer": "raw", "value_serializer": "json"}
commands, events, outcomes = (
    app.topic(name, partitions=PARTITIONS, **BYTES_AND_JSON)
    for name in (TASK.commands, TASK.events, TASK.outcomes)
)
wallets = app.Table("wallets", partitions=PARTITIONS)


@app.agent(commands)
async def credit(stream: Any) -> None:
    has_begun = False
    async for key, command in stream.items():
        if not has_begun:
            say_begin()
            has_begun = True
        wallet_id = key.decode()
        wallets[wallet_id], event = carry_out(command, wallets.get(wallet_id))
        outcome = outcome_of(event)
        await events.send(key=key, value=event)
        await outcomes.send(key=outcome["aggregate_id"].encode(), value=outcome)


if __name__ == "__main__":
    app.main()
