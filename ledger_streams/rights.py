"""Rights: all that each role may do on a Kafka with an authorizer, and nothing else.

A role is a kind of our programs, or an outside producer of payments; each has a principal of its own.  Topics
are those of `topics.py`; a topic that a role's transactions write to may also be read by it, since a
producer that starts looks there for transactions that its predecessor has left open.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from ledger_streams import topics
from ledger_streams.kafka.acls import Acl
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

Role = Literal["worker", "projector", "gateway", "api", "operator", "payments"]
ROLES: Final[tuple[Role, ...]] = ("worker", "projector", "gateway", "api", "operator", "payments")
INTAKE: Final = frozenset({topics.PAYMENT_EVENTS, topics.WALLET_COMMANDS})
"""Topics that the HTTP API and imports write to."""
AGENTS_OF_WORKERS: Final = (
    topics.PAYMENT_EVENTS,
    topics.SAGA_EVENTS,
    topics.WALLET_COMMANDS,
    topics.SAGA_COMMANDS,
)
ALL: Final = frozenset(topic.name for topic in topics.TOPICS)
NONE: Final[frozenset[str]] = frozenset()

IN_TRANSACTIONS: Final[Mapping[Role, frozenset[str]]] = {
    "worker": frozenset(
        {
            *AGENTS_OF_WORKERS,
            *map(topics.dead_letters, AGENTS_OF_WORKERS),
            topics.PROVIDER_REQUESTS,
            topics.WALLET_EVENTS,
            topics.PAYMENTS_CHANGELOG,
            topics.SAGAS_CHANGELOG,
        }
    ),
    "gateway": frozenset(
        {
            topics.SAGA_EVENTS,
            topics.PROVIDER_REQUESTS,
            topics.dead_letters(topics.PROVIDER_REQUESTS),
            topics.PROVIDER_POSITIONS,
        }
    ),
    "operator": ALL - {topics.AUDIT_ROOTS},
}
"""Topics that a role's transactional producers write to: redrives and a refilling are an operator's."""
WRITTEN: Final[Mapping[Role, frozenset[str]]] = {
    "projector": frozenset({topics.AUDIT_ROOTS}),
    "api": INTAKE,
    "operator": frozenset({topics.AUDIT_ROOTS}),
    "payments": frozenset({topics.PAYMENT_EVENTS}),
}
"""Topics that are written to without a transaction."""
READ: Final[Mapping[Role, frozenset[str]]] = {
    "projector": frozenset(
        {topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS, topics.AUDIT_ROOTS}
    ),
    "operator": ALL,
}
"""Topics that are read, beside those of a role's transactions."""


class Right(NamedTuple):
    """Operations on one resource, in the words of kafka-acls."""

    resource: Literal["topic", "group", "transactional-id", "cluster"]
    name: str
    pattern: Literal["literal", "prefixed"]
    operations: tuple[str, ...]


def transactional_topics(settings: Settings, role: Role) -> list[str]:
    """Return the full names of the topics that a role's transactions may write to."""
    return sorted(settings.topic(name) for name in IN_TRANSACTIONS.get(role, NONE))


def rights(settings: Settings, role: Role) -> list[Right]:
    """Return all that a role needs."""
    return [*_of_topics(settings, role), *_of_groups(settings, role), *_of_others(settings, role)]


def commands(settings: Settings, role: Role, principal: str) -> list[str]:
    """Return the rights as commands for a shell: `kafka-acls` of Kafka's distribution."""
    return [_command(settings, right, principal) for right in rights(settings, role)]


def acls(settings: Settings, role: Role, principal: str) -> list[Acl]:
    """Return the rights one operation each, as a broker keeps them."""
    return [
        Acl(principal, right.resource, right.name, right.pattern, operation)
        for right in rights(settings, role)
        for operation in right.operations
    ]


def _of_topics(settings: Settings, role: Role) -> Iterator[Right]:
    in_transactions = IN_TRANSACTIONS.get(role, NONE)
    read = READ.get(role, NONE) | in_transactions
    written = WRITTEN.get(role, NONE) | in_transactions
    changed = ("Create", "DescribeConfigs", "AlterConfigs") if role == "operator" else ()
    for topic in topics.TOPICS:
        operations = [
            *(["Read"] if topic.name in read else []),
            *(["Write"] if topic.name in written else []),
            *changed,
        ]
        if operations:
            yield Right("topic", settings.topic(topic.name), "literal", tuple(operations))


def _of_groups(settings: Settings, role: Role) -> Iterator[Right]:
    groups = {
        "worker": settings.app_id,
        "gateway": f"{settings.app_id}-gateway",
        "projector": f"{settings.app_id}-projector",
    }
    if role in groups:
        yield Right("group", groups[role], "literal", ("Read",))
    if role in ("worker", "gateway"):
        yield Right("group", f"{groups[role]}-filled", "literal", ("Describe",))
    if role == "operator":
        yield Right("group", settings.app_id, "prefixed", ("Read", "Describe"))


def _of_others(settings: Settings, role: Role) -> Iterator[Right]:
    if role == "worker":  # the ids of a gateway begin so too: they were named before there were rights
        yield Right("transactional-id", f"{settings.app_id}-", "prefixed", ("Write",))
    if role == "gateway":
        yield Right("transactional-id", f"{settings.app_id}-gateway-", "prefixed", ("Write",))
    if role == "operator":
        for one in ("redrive", "filled"):
            yield Right("transactional-id", f"{settings.app_id}-{one}", "literal", ("Write",))
        yield Right("cluster", "kafka-cluster", "literal", ("Alter",))


def _command(settings: Settings, right: Right, principal: str) -> str:
    words = [
        "kafka-acls",
        "--bootstrap-server",
        client_options(settings).bootstrap,
        "--command-config",
        "admin.properties",
    ]
    words += ["--add", "--allow-principal", principal]
    words += [word for operation in right.operations for word in ("--operation", operation)]
    resource = ["--cluster"] if right.resource == "cluster" else [f"--{right.resource}", right.name]
    pattern = ["--resource-pattern-type", right.pattern] if right.resource != "cluster" else []
    return shlex.join([*words, *resource, *pattern])
