"""Position logs: the source positions of agents without a table, kept where their answers are.

A table's changelog says how far its sources have been carried out, and a group's offsets need not be
believed.  Agents without one have the group alone, whose coordinator has been seen to come back with
offsets of minutes ago, or with none (Kafka 4.3.1).  Their positions are therefore written to a compacted
topic as well, in the transaction that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from ledger_streams.kafka.records import Outgoing

KEY: Final = b"next"
"""Of all records: a partition's log is about one source partition, that of its number."""
LOOK_BACK: Final = 64
"""Offsets from the end at which the last record is looked for first; it is followed by markers alone."""
READ_MS: Final = 100


class PositionLogs:
    """The position logs of some source topics, by name."""

    def __init__(self, topics: Mapping[str, str] | None = None) -> None:
        self._topics = dict(topics or {})
        """Full name of the position log of each source topic (full name) that has one."""

    def of(self, sources: Iterable[TP]) -> dict[TP, TopicPartition]:
        """Return the partition of the log of each source that has one."""
        return {
            tp: TopicPartition(self._topics[tp.topic], tp.partition)
            for tp in sources
            if tp.topic in self._topics
        }

    def records(self, positions: Mapping[TP, int]) -> dict[TP, list[Outgoing]]:
        """Return what is to be written beside these positions."""
        return {TP(*log): [(KEY, b"%d" % positions[tp], ())] for tp, log in self.of(positions).items()}

    async def read(
        self, reader: AIOKafkaConsumer, log_ends: AIOKafkaConsumer, sources: Iterable[TP]
    ) -> dict[TP, int]:
        """Return the last position of each source whose log has one.

        `reader` reads committed records, `log_ends` to the high watermark: what is open is waited for.
        """
        logs = self.of(sources)
        ends = await log_ends.end_offsets(list(logs.values())) if logs else {}
        beginnings = await log_ends.beginning_offsets(list(logs.values())) if logs else {}
        found: dict[TP, int] = {}
        back, left = LOOK_BACK, dict(logs)
        while left:
            firsts = {log: max(beginnings[log], ends[log] - back) for log in left.values()}
            last = await _read_on(reader, firsts, ends)
            found |= {tp: last[log] for tp, log in left.items() if log in last}
            left = {tp: log for tp, log in left.items() if tp not in found and firsts[log] > beginnings[log]}
            back *= LOOK_BACK
        return found


async def _read_on(
    reader: AIOKafkaConsumer, firsts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the last position between each first offset and the end."""
    reader.assign(list(firsts))
    for log, first in firsts.items():
        reader.seek(log, first)
    last: dict[TopicPartition, int] = {}
    behind = {log for log, first in firsts.items() if first < ends[log]}
    while behind:
        polled = await reader.getmany(*behind, timeout_ms=READ_MS)
        last |= {log: int(records[-1].value) for log, records in polled.items()}
        behind = {log for log in behind if await reader.position(log) < ends[log]}
    return last
