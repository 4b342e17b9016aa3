"""The page of topics: their configuration, and the roles that read and write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger_streams import topics
from ledger_streams.kafka.redrive import LETTER_HEADERS
from ledger_streams.rights import ROLES, rights
from ledger_streams.settings import Settings
from tests.reference import events
from tests.reference.markdown import code, codes, document, table
from tests.reference.source import attribute_docs

INTRO: Final = """\
`ledger-streams topics apply` creates these topics, and `ledger-streams topics check` says what differs on
a broker. `LEDGER_TOPIC_PREFIX` goes before each name. The partition of a record is murmur2 of its key
modulo the number of partitions, as Kafka's Java client calculates it; so the number of partitions never
changes."""
RIGHTS: Final = """\
Roles of `ledger-streams topics acls`. A role that writes to a topic in transactions may also read it. The
operator may read all topics, and write to them for a redrive or a recovery."""
LETTERS: Final = f"""\
A topic that agents read has a dead-letter topic beside it, with as many partitions. A dead letter keeps
key, value and headers of its record. The worker adds the headers `{LETTER_HEADERS}topic`,
`{LETTER_HEADERS}partition`, `{LETTER_HEADERS}offset`, `{LETTER_HEADERS}reason` (one of [the
reasons](reasons.md#reasons)) and `{LETTER_HEADERS}detail`. The number of consecutive dead letters of a
partition is the metadata of its committed offset. wallet-events has no dead-letter topic: workers are its
only writers, and a record that PostgreSQL refuses is parked there."""
OPERATOR: Final = "operator"


def page() -> str:
    """Return the page."""
    contents = [[code(topic.name), _content(topic.name)] for topic in topics.TOPICS]
    shape = ["topic", "partitions", "cleanup", "retention", "compaction lag", "largest record", "event types"]
    return document(
        "Topics",
        "`ledger_streams/topics.py`, `rights.py` and `wire`",
        INTRO,
        [
            table(["topic", "content"], contents),
            "## Partitions and retention",
            table(shape, map(_shape, topics.TOPICS)),
            "A cell that is empty leaves the broker's default. The key of a topic with event types is the "
            "`aggregate_id` of its records: a payment's id or a wallet's.",
            "## Dead letters",
            LETTERS,
            "## Configuration of all topics",
            table(["configuration", "value"], _shared()),
            "## Who reads and writes",
            RIGHTS,
            table(["topic", "may read", "may write"], _access()),
        ],
    )


def _content(name: str) -> str:
    """Return the text below the constant of the topic's name."""
    texts = attribute_docs(topics)
    found = {value: texts.get(constant, "") for constant, value in vars(topics).items() if value == name}
    source = next((each.name for each in topics.TOPICS if topics.dead_letters(each.name) == name), "")
    return f"Dead letters of {code(source)}." if source else found.get(name, "")


def _shape(topic: topics.TopicSpec) -> list[str]:
    types = events.types_by_topic().get(topic.name, [])
    return [
        code(topic.name),
        str(topic.partitions),
        topic.cleanup,
        _days(topic.retention_ms),
        _days(topic.min_compaction_lag_ms),
        f"{topic.max_message_bytes:,} bytes" if topic.max_message_bytes else "",
        ", ".join(f"[{name}](events.md#{name.lower()})" for name in types),
    ]


def _days(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    days, rest = divmod(milliseconds, topics.DAY_MS)
    assert not rest, f"{milliseconds} ms are no whole days"
    return f"{days} days"


def _shared() -> Iterator[list[str]]:
    """Yield the configuration that all topics have alike."""
    defaults = Settings.model_construct()
    configs = [topic.configs(defaults) for topic in topics.TOPICS]
    for name, value in configs[0].items():
        if name == "min.insync.replicas":
            yield [code(name), "`LEDGER_MIN_INSYNC_REPLICAS`"]
        elif all(each.get(name) == value for each in configs):
            yield [code(name), code(value)]
    yield ["replicas", "`LEDGER_REPLICATION_FACTOR`"]


def _access() -> Iterator[list[str]]:
    settings = Settings.model_construct()
    granted = {
        (right.name, operation, role)
        for role in ROLES
        for right in rights(settings, role)
        if right.resource == "topic"
        for operation in right.operations
    }
    for topic in topics.TOPICS:
        readers, writers = (
            [role for role in ROLES if role != OPERATOR and (topic.name, operation, role) in granted]
            for operation in ("Read", "Write")
        )
        yield [code(topic.name), codes(readers), codes(writers)]
