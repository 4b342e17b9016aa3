"""Wallets: throughput of the wallets agent (exactly once) beside peers with the same task.

Each contender in turn reads the same commands from the beginning, as one process.  The time
is from its log line at the start of work until its last outcome is committed, i.e. until a
consumer of committed records could read all of them.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.contenders import CONTENDERS, OURS, Contender
from benchmarks.outcome_check import CURRENCY, WrongOutcome, partitions_of, read_output
from benchmarks.peers.task import PARTITIONS
from benchmarks.rebuild import bench_wallet, wallet_records, write
from benchmarks.watch import watch_contender
from ledger_streams import topics, wire
from ledger_streams.domain.commands import AddFunds, Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId, derived_id
from ledger_streams.engine.state.restore import source_header
from ledger_streams.settings import Settings
from tests.own_topics import own_topics

AMOUNT_MINOR: Final = 1_025
APPENDED_MS: Final = 1_795_557_600_000
Pairs = Sequence[tuple[bytes, bytes]]


class Pace(msgspec.Struct):
    """Figures of a contender, one per round; empty if its output was wrong once."""

    exactly_once: bool
    commands_per_s: list[float] = msgspec.field(default_factory=list)
    median_per_s: float | None = None
    cpu_us: list[float] = msgspec.field(default_factory=list)
    """CPU time of its process per command."""
    error: str | None = None


class Comparison(msgspec.Struct):
    """All contenders, and the ratios of our median to each peer's."""

    commands: int
    wallets: int
    contenders: dict[str, Pace]
    ours_to: dict[str, float]


async def compare(
    stack: Settings, *, commands: int, wallets: int, rounds: int, names: Sequence[str] = tuple(CONTENDERS)
) -> Comparison:
    """Run the contenders in turn; each round has topics of its own and starts with another contender."""
    paces = {name: Pace(CONTENDERS[name].is_exactly_once) for name in names}
    pairs = credits(commands, wallets)
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
            prefix = f"t{uuid.uuid4().hex[:12]}"
            changes = {"home": Path(folder), "app_id": prefix, "topic_prefix": f"{prefix}-"}
            settings = stack.model_copy(update=changes)
            async with own_topics(settings):
                await fill(settings, pairs, wallets)
                for name in (*names[number % len(names) :], *names[: number % len(names)]):
                    contender, pace = CONTENDERS[name], paces[name]
                    await _take_turn(contender, settings, pace, commands=commands, wallets=wallets)
    for pace in paces.values():
        pace.median_per_s = round(median(pace.commands_per_s), 1) if not pace.error else None
    return Comparison(commands, wallets, paces, _ratios(paces))


def credits(commands: int, wallets: int) -> Pairs:
    """Return key and value of `commands` legs that credit wallets, distributed uniformly."""
    random, ids = Random(commands), [bench_wallet(number) for number in range(wallets)]
    return [_credit(number, random.choice(ids)) for number in range(commands)]


async def fill(settings: Settings, pairs: Pairs, wallets: int) -> None:
    """Write the commands, and for our worker the first event of each wallet."""
    opening = wallet_records(wallets)
    await write(settings, topics.WALLET_EVENTS, opening, headers=((source_header(None), b"0"),))
    await write(settings, topics.WALLET_COMMANDS, pairs)


async def carry_out(
    contender: Contender, settings: Settings, *, commands: int, wallets: int
) -> tuple[float, float]:
    """Run the contender on the commands; return elapsed and CPU seconds.

    Raises WrongOutcome if the contender has lost a command or executed it twice.
    """
    task = contender.task(settings)
    async with watch_contender(contender.ready_to_start(settings), task.kafka, task.outcomes) as watch:
        await watch.wait_for_begin(contender.begins)
        await watch.wait_for_outcomes(commands)
        events = commands + (wallets if contender is OURS else 0)
        async with watch.sample_meanwhile():
            left = await read_output(task, events=events, outcomes=commands)
    left.check(commands, amount_minor=AMOUNT_MINOR, is_exactly_once=contender.is_exactly_once)
    return watch.took()


async def make_topics(contender: Contender, settings: Settings) -> None:
    """Create a peer's topics; ours exist."""
    if contender is OURS:
        return
    task = contender.task(settings)
    append_time = {"message.timestamp.type": "LogAppendTime"}
    configs = {task.events: append_time | {"cleanup.policy": "compact"}, task.outcomes: append_time}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(name, PARTITIONS, settings.replication_factor, topic_configs=topic_configs)
                for name, topic_configs in configs.items()
            ]
        )
    finally:
        await admin.close()
    for name in configs:
        await partitions_of(settings.kafka, name)


async def _take_turn(
    contender: Contender, settings: Settings, pace: Pace, *, commands: int, wallets: int
) -> None:
    await make_topics(contender, settings)
    try:
        seconds, used_s = await carry_out(contender, settings, commands=commands, wallets=wallets)
    except WrongOutcome as error:
        pace.error = str(error)
        return
    pace.commands_per_s.append(round(commands / seconds, 1))
    pace.cpu_us.append(round(used_s / commands * 1e6, 1))


def _credit(number: int, wallet_id: WalletId) -> tuple[bytes, bytes]:
    payment_id = PaymentId(derived_id(f"bench payment {number}"))
    command = AddFunds(wallet_id, payment_id, AMOUNT_MINOR, CURRENCY, Counterparty.TRANSIT, saga_version=3)
    cause = derived_id(f"bench cause {number}")
    return wallet_id.encode(), wire.encode_command(command, causation_id=cause, append_ms=APPENDED_MS)


def _ratios(paces: dict[str, Pace]) -> dict[str, float]:
    ours = paces[OURS.name].median_per_s if OURS.name in paces else None
    medians = {name: pace.median_per_s for name, pace in paces.items() if name != OURS.name}
    return {name: round(ours / theirs, 2) for name, theirs in medians.items() if ours and theirs}
