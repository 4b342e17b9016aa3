"""Quix Streams: a stateful function on a dataframe, with output to two topics.

Exactly once by its own guarantee.  The state is in RocksDB, with a changelog of its own
beside the events.  Consumer and producer are librdkafka's, in C.
"""

from __future__ import annotations

from quixstreams import Application, State

from benchmarks.peers.task import Json, carry_out, given, outcome_of, say_begin

TASK = given()
COMMIT_S = 0.5
"""With the default of 5 s, the last outcomes would wait that long; `commit_every` 4,000 is slower."""
KEY = "wallet"
begun: list[bool] = []


def credit(command: Json, state: State) -> Json:
    if not begun:
        say_begin()
        begun.append(True)
    after, event = carry_out(command, state.get(KEY))
    state.set(KEY, after)
    return event


def main() -> None:
    app = Application(
        broker_address=TASK.kafka,
        consumer_group=TASK.group,
        state_dir=TASK.folder,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=COMMIT_S,
        producer_extra_config={"compression.type": "lz4"},
    )
    commands, events, outcomes = (
        app.topic(name, key_deserializer="bytes", key_serializer="bytes", value_serializer="json")
        for name in (TASK.commands, TASK.events, TASK.outcomes)
    )
    credited = app.dataframe(commands).apply(credit, stateful=True).to_topic(events)
    credited.apply(outcome_of).to_topic(outcomes, key=lambda outcome: outcome["aggregate_id"].encode())
    app.run()


if __name__ == "__main__":
    main()
