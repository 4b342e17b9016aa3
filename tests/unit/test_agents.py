"""Agents: the effects of one cycle's records and timers together, without a broker."""

from __future__ import annotations

from pathlib import Path

from faust.types import TP

from agents.payments import PaymentsAgent
from agents.saga_events import SagaEvents
from agents.wallet_commands import WalletCommands
from agents.wallets import WalletsAgent
from ledger_streams import topics, wire
from ledger_streams.domain.commands import ExpireHold
from ledger_streams.domain.ids import HoldId, derived_id
from ledger_streams.domain.wallet import Balance, Hold, Wallet, WalletStatus
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.timers import Due
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from tables.payments import PAYMENTS, PaymentsTable
from tables.wallets import WALLETS, WalletsTable
from tests.model.samples import AT_MS, HOLD, PAYMENT, SOURCE, USER, requested_bytes

LATER_HOLD = HoldId(derived_id("a later hold"))


def topic_of(name: str) -> PartitionedTopic:
    """Return a topic under its name in the contract, without a prefix."""
    return PartitionedTopic(name, topics.spec(name).partitions)


PAYMENT_EVENTS = topic_of(topics.PAYMENT_EVENTS)
SAGA_EVENTS = SagaEvents(topic_of(topics.SAGA_EVENTS))
COMMANDS = WalletCommands(topic_of(topics.WALLET_COMMANDS))
PAYMENTS_AGENT = PaymentsAgent(
    PaymentsTable(topic_of(topics.PAYMENTS_CHANGELOG)),
    payment_events=PAYMENT_EVENTS,
    saga_events=SAGA_EVENTS,
    wallet_commands=COMMANDS,
    providers=(),
)
WALLETS_AGENT = WalletsAgent(
    WalletsTable(topic_of(topics.WALLET_EVENTS)), saga_events=SAGA_EVENTS, wallet_commands=COMMANDS
)


def sent_to(batch: PartitionBatch, topic: str) -> list[bytes]:
    """Return the values of what a share sends to a topic."""
    queues = [queue for tp, queue in batch.outbox.items() if tp.topic == topic]
    return [value for queue in queues for _, value, _ in queue if value is not None]


def requests(store: PartitionStore, *, count: int, partitions_away: int = 0) -> PartitionBatch:
    """Return a share with the same request so many times, decided by the agent of payments."""
    topic, own = topics.PAYMENT_EVENTS, PAYMENT_EVENTS.for_key(PAYMENT.encode()).partition
    number = (own + partitions_away) % topics.spec(topic).partitions
    records = [
        SyntheticRecord(topic, number, offset, AT_MS, PAYMENT.encode(), requested_bytes())
        for offset in range(count)
    ]
    batch = PartitionBatch(TP(topic, number), records, store, source_next=count)
    for record in records:
        PAYMENTS_AGENT.read(batch, record)
    return batch


def test_one_payment_asked_for_twice_in_a_cycle_has_one_saga(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path, PAYMENTS, 0)
    batch = requests(store, count=2)
    assert len(sent_to(batch, topics.SAGA_EVENTS)) == 1
    assert sent_to(batch, topics.dead_letters(topics.PAYMENT_EVENTS)) == []
    store.close()


def test_a_payment_in_a_wrong_partition_starts_no_saga(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path, PAYMENTS, 0)
    batch = requests(store, count=1, partitions_away=1)
    assert sent_to(batch, topics.SAGA_EVENTS) == []
    assert sent_to(batch, topics.dead_letters(topics.PAYMENT_EVENTS)) == [requested_bytes()]
    store.close()


def test_a_wallet_s_timer_releases_the_expired_holds(tmp_path: Path) -> None:
    holds = {HOLD: Hold(400, "EUR", None, AT_MS), LATER_HOLD: Hold(600, "EUR", None, AT_MS + 1)}
    wallet = Wallet(SOURCE, USER, WalletStatus.OPEN, 3, {"EUR": Balance(0, 1_000)}, holds)
    store, key = PartitionStore(tmp_path, WALLETS, 0), SOURCE.encode()
    store.put(key, wallet, wire.encode_wallet_state(wallet))
    batch = PartitionBatch(TP(topics.WALLET_COMMANDS, 0), (), store, source_next=0)
    WALLETS_AGENT.expire(batch, Due(key, AT_MS))
    (command,) = sent_to(batch, topics.WALLET_COMMANDS)
    assert wire.read_wallet_command(command, key=key).command == ExpireHold(SOURCE, HOLD, AT_MS)
    store.close()
