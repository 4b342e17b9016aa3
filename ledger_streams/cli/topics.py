"""`topics`: create the declared topics, check them, read their records, print ACLs.

`topics read` prints a record's value as one line of JSON, unchanged but for white space;
a value that is not JSON becomes a JSON string.  Terminal control characters are escaped.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import click
import msgspec

from ledger_streams import rights
from ledger_streams import topics as declared
from ledger_streams.cli.output import run_async
from ledger_streams.dlq.letters import key_text, moment_text
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.escaping import json_for_terminal
from ledger_streams.kafka.acls import grant
from ledger_streams.kafka.log_reader import KafkaLog, Partition, opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings, settings

LOOK_EVERY_S: Final = 0.3


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `topics read`; `begin` is `beginning`, `end` or an offset, for each partition."""

    topic: str
    partition: int | None = None
    begin: str = "beginning"
    limit: int | None = None
    key: str | None = None
    follows: bool = False


class Place(click.ParamType):
    """The parameter type of --from: `beginning`, `end` or an offset."""

    name = "beginning|end|OFFSET"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text if it is valid."""
        text = str(value)
        if text not in ("beginning", "end") and not (text.isascii() and text.isdecimal()):
            self.fail(f"must be `beginning`, `end` or an offset, got {text[:60]!r}", param, ctx)
        return text


@click.group()
def topics() -> None:
    """Kafka topics, as declared in ledger_streams/topics.py."""


@topics.command()
def apply() -> None:
    """Create missing topics and correct configurations; exit 1 if a difference remains."""
    done = run_async(declared.apply(settings()))
    left = run_async(declared.check(settings()))
    for line in [*done, *(f"not changed: {difference}" for difference in left)]:
        click.echo(line)
    if not done and not left:
        click.echo(f"All {len(declared.TOPICS)} topics are as declared.")
    sys.exit(1 if left else 0)


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the differences.")
def check(*, as_json: bool) -> None:
    """Print differences from the declaration; exit 1 if there are any.  Changes nothing."""
    differences = run_async(declared.check(settings()))
    if as_json:
        click.echo(json.dumps(differences, indent=2))
    else:
        for line in differences or [f"All {len(declared.TOPICS)} topics are as declared."]:
            click.echo(line)
    sys.exit(1 if differences else 0)


@topics.command()
@click.option(
    "--principal",
    "principals",
    multiple=True,
    metavar="ROLE=USER",
    help="Print the ACLs of this role only, for this principal, e.g. worker=User:ann; repeatable.  "
    "[default: every role, for User:<role>]",
)
@click.option(
    "--apply", "is_applied", is_flag=True, help="Create the ACLs; needs an administrator of the cluster."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with one entry per operation.")
def acls(*, principals: tuple[str, ...], is_applied: bool, as_json: bool) -> None:
    """Print the ACLs that each role needs, as kafka-acls commands."""
    config, chosen = settings(), _principals(principals)
    entries = [acl for role, user in chosen.items() for acl in rights.acls(config, role, user)]
    if is_applied:
        try:
            click.echo(f"created {run_async(grant(client_options(config), entries))} ACLs", err=as_json)
        except Unavailable as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([acl._asdict() for acl in entries], indent=2))
    elif not is_applied:
        for role, user in chosen.items():
            click.echo(f"# {role}")
            for line in rights.commands(config, role, user):
                click.echo(line)


def _principals(given: tuple[str, ...]) -> dict[rights.Role, str]:
    """Return `{role: principal}` of the options; raises UsageError if one is malformed."""
    chosen: dict[rights.Role, str] = {}
    for words in given:
        name, _, user = words.partition("=")
        role = next((one for one in rights.ROLES if one == name), None)
        if role is None or not user.partition(":")[2]:
            wanted = f"ROLE=USER with ROLE one of {', '.join(rights.ROLES)} and USER like User:ann"
            raise click.UsageError(f"--principal: must be {wanted}, got {words[:100]!r}")
        chosen[role] = user
    return chosen or {role: f"User:{role}" for role in rights.ROLES}


@topics.command()
@click.argument("topic")
@click.option("--partition", type=click.IntRange(min=0), help="Read this partition only.")
@click.option(
    "--from",
    "begin",
    type=Place(),
    default="beginning",
    show_default=True,
    help="Start position in each partition.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number of records.")
@click.option("--key", help="Print records with this key only.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print whole records: topic, partition, offset, time, key, headers, value.",
)
@click.option("--follow", "follows", is_flag=True, help="Keep reading new records until Ctrl-C.")
def read(  # noqa: PLR0913  # one parameter an option
    topic: str,
    *,
    partition: int | None,
    begin: str,
    limit: int | None,
    key: str | None,
    as_json: bool,
    follows: bool,
) -> None:
    """Print the committed records of TOPIC, one line of JSON each, in order within each partition.

    TOPIC is a declared name without LEDGER_TOPIC_PREFIX, or the full name of any topic.
    """
    reading = ReadOptions(
        topic=topic, partition=partition, begin=begin, limit=limit, key=key, follows=follows
    )
    try:
        run_async(_print(settings(), reading, as_json=as_json))
    except KeyboardInterrupt:
        if not follows:
            raise


async def _print(config: Settings, reading: ReadOptions, *, as_json: bool) -> None:
    async with (
        opened_log(client_options(config)) as log,
        aclosing(read_records(config, log, reading)) as found,
    ):
        async for record in found:
            click.echo(whole_line(record) if as_json else value_line(record.value))


async def read_records(config: Settings, log: KafkaLog, reading: ReadOptions) -> AsyncGenerator[Any, None]:
    """Yield the selected records up to the current end of the topic; with `follows`, for ever."""
    known = {topic.name for topic in declared.TOPICS}
    name = config.topic(reading.topic) if reading.topic in known else reading.topic
    position = await _begin(log, name, reading)
    left = reading.limit
    while True:
        ends = await log.ends([name])
        further = {place: end for place, end in ends.items() if position.get(place, end) < end}
        async for _, batch in log.read(further, begin=position):
            for record in batch:
                if reading.key is not None and record.key != reading.key.encode():
                    continue
                yield record
                left = None if left is None else left - 1
                if left == 0:
                    return
        position |= further
        if not reading.follows:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def _begin(log: KafkaLog, name: str, reading: ReadOptions) -> dict[Partition, int]:
    """Return the start offset of each partition; raises Rejected for an unknown partition."""
    if reading.begin == "end":
        begins = await log.ends([name])
    else:
        begins = await log.begins([name])
    if reading.partition is not None:
        begins = {place: offset for place, offset in begins.items() if place[1] == reading.partition}
        if not begins:
            raise Rejected(
                status=404, title="Partition", detail=f"{name} has no partition {reading.partition}"
            )
    least = int(reading.begin) if reading.begin.isdecimal() else 0
    return {place: max(least, offset) for place, offset in begins.items()}


def value_line(value: bytes | None) -> str:
    """Return a record's value as a line of JSON."""
    return json_for_terminal(bytes(_json(value)).decode())


def whole_line(record: Any) -> str:
    """Return a whole record as a line of JSON."""
    document = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": moment_text(record.timestamp),
        "key": None if record.key is None else key_text(record.key),
        "headers": [[name, None if text is None else key_text(text)] for name, text in record.headers],
        "value": _json(record.value),
    }
    return json_for_terminal(msgspec.json.encode(document).decode())


def _json(value: bytes | None) -> msgspec.Raw:
    if value is None:
        return msgspec.Raw(b"null")
    try:
        value.decode()
        msgspec.json.decode(value)
        return msgspec.Raw(msgspec.json.format(value, indent=-1))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode(value.decode(errors="backslashreplace")))
