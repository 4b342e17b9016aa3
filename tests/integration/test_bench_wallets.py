"""The benchmark `wallets` runs, and a contender with lost or repeated commands gets no figure."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.outcome_check import ContenderOutput, WrongOutcome
from benchmarks.wallets import AMOUNT_MINOR, carry_out, compare, credits, fill, make_topics
from ledger_streams.settings import Settings

pytestmark = pytest.mark.slow

COMMANDS, WALLETS = 500, 50


async def test_contenders_take_turns_and_execute_every_command(stack: Settings) -> None:
    names = ("ours", "aiokafka")
    compared = await compare(stack, commands=COMMANDS, wallets=WALLETS, rounds=1, names=names)
    assert [pace.error for pace in compared.contenders.values()] == [None, None]
    assert all(pace.median_per_s and pace.cpu_us for pace in compared.contenders.values())
    assert compared.ours_to.keys() == {"aiokafka"}


async def test_a_surplus_outcome_is_found_on_the_topic(topics_only: Settings) -> None:
    contender = CONTENDERS["aiokafka"]
    await fill(topics_only, credits(COMMANDS, WALLETS), WALLETS)
    await make_topics(contender, topics_only)
    async with AIOKafkaProducer(bootstrap_servers=topics_only.kafka) as producer:
        await producer.send_and_wait(contender.task(topics_only).outcomes, b"{}", b"another payment")
    with pytest.raises(WrongOutcome, match="501 payments of 500 have an outcome"):
        await carry_out(contender, topics_only, commands=COMMANDS, wallets=WALLETS)


async def test_a_contender_that_ends_has_no_figure(topics_only: Settings) -> None:
    dying = Contender("dying", ("-c", "raise SystemExit('no money')"))
    await make_topics(dying, topics_only)
    with pytest.raises(WrongOutcome, match="ended with 1: no money"):
        await carry_out(dying, topics_only, commands=COMMANDS, wallets=WALLETS)


def left(*, outcomes: int, payments: int, balance_minor: int) -> ContenderOutput:
    return ContenderOutput(
        outcomes=outcomes,
        payments={b"%d" % number for number in range(payments)},
        balances_minor={b"wallet": balance_minor},
    )


@pytest.mark.parametrize(
    ("found", "is_exactly_once"),
    [
        (left(outcomes=1, payments=1, balance_minor=AMOUNT_MINOR), False),
        (left(outcomes=2, payments=2, balance_minor=AMOUNT_MINOR), False),
        (left(outcomes=3, payments=2, balance_minor=2 * AMOUNT_MINOR), True),
        (left(outcomes=2, payments=2, balance_minor=3 * AMOUNT_MINOR), True),
    ],
    ids=["a lost outcome", "lost money", "a doubled outcome", "doubled money"],
)
def test_lost_or_repeated_commands_are_a_wrong_outcome(found: ContenderOutput, is_exactly_once: bool) -> None:
    with pytest.raises(WrongOutcome):
        found.check(2, amount_minor=AMOUNT_MINOR, is_exactly_once=is_exactly_once)


def test_an_at_least_once_contender_may_repeat_outcomes() -> None:
    found = left(outcomes=3, payments=2, balance_minor=3 * AMOUNT_MINOR)
    found.check(2, amount_minor=AMOUNT_MINOR, is_exactly_once=False)
