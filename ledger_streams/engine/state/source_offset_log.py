"""Source offset logs: compacted topics with the source offsets of agents without a table.

A table's changelog carries the source offsets of its table, so they survive a loss of group offsets.
Agents without a table have the group's offsets alone.  A group coordinator of Kafka 4.3.1 has come back with
offsets of minutes ago, or with none.  So their transactions write the source offsets to a topic as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from ledger_streams.kafka.records import Outgoing

KEY: Final = b"next"
"""Key of all records: each partition of the log has one source partition, the one of its number."""
LOOK_BACK: Final = 64
"""Offsets from the end where the search for the last record starts; only markers follow it."""
READ_MS: Final = 100


class SourceOffsetLogs:
    """The source offset logs of some source topics."""

    def __init__(self, topics: Mapping[str, str] | None = None) -> None:
        self._topics = dict(topics or {})
        """Full name of the log of each source topic (full name) that has one."""

    def of(self, sources: Iterable[TP]) -> dict[TP, TopicPartition]:
        """Return the log partition of each source that has one."""
        return {
            tp: TopicPartition(self._topics[tp.topic], tp.partition)
            for tp in sources
            if tp.topic in self._topics
        }

    def records(self, positions: Mapping[TP, int]) -> dict[TP, list[Outgoing]]:
        """Return the log records for these source offsets."""
        return {TP(*log): [(KEY, b"%d" % positions[tp], ())] for tp, log in self.of(positions).items()}

    async def read(
        self, reader: AIOKafkaConsumer, log_ends: AIOKafkaConsumer, sources: Iterable[TP]
    ) -> dict[TP, int]:
        """Return the last source offset in the log of each source that has one.

        `reader` reads committed records and waits for open transactions up to the high watermark,
        which `log_ends` returns.
        """
        logs = self.of(sources)
        ends = await log_ends.end_offsets(list(logs.values())) if logs else {}
        beginnings = await log_ends.beginning_offsets(list(logs.values())) if logs else {}
        found: dict[TP, int] = {}
        back, left = LOOK_BACK, dict(logs)
        while left:
            firsts = {log: max(beginnings[log], ends[log] - back) for log in left.values()}
            last = await _read_last(reader, firsts, ends)
            found |= {tp: last[log] for tp, log in left.items() if log in last}
            left = {tp: log for tp, log in left.items() if tp not in found and firsts[log] > beginnings[log]}
            back *= LOOK_BACK
        return found


async def _read_last(
    reader: AIOKafkaConsumer, firsts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the last source offset between each first offset and the end."""
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
