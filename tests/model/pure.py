"""PureSystem: the domain and the wire with queues in memory between them.

Each topic is a queue a key, and a seeded scheduler takes the next record of any of them,
or lets time pass to the next deadline, or a person settle a payment by a provider's book,
so that everything partitions do not order is tried in many orders.  All that goes through
a queue is bytes, read and written as the agents do.  Orders to providers are taken out of
order, and answered twice at times.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from random import Random

from ledger_streams import wire
from ledger_streams.domain import payment, wallet, wallet_decisions
from ledger_streams.domain.commands import ExpireHold, LegCommand
from ledger_streams.domain.events import PaymentCompleted, PaymentOutcome, PaymentRefunded, SagaEvent
from ledger_streams.domain.ids import PaymentId, derived_id
from ledger_streams.domain.payment import FINGERPRINT_INVALID, PaymentKnown
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.saga import decisions, refunds
from ledger_streams.domain.saga.commands import (
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SagaCommand,
    SettlePayment,
)
from ledger_streams.domain.saga.decisions import Command, SagaDecision
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.wallet import Wallet
from ledger_streams.errors import Unreadable
from tests.model.provider import BookedProvider
from tests.model.samples import AT_MS
from tests.model.system import Administration, Booked, Ended, Funds, Held, Parked, Refunded, Sent

Queue = tuple[str, bytes | None]
Deadline = tuple[str, str]
"""A table and the key of its state."""
PAYMENTS, SAGAS, COMMANDS = "payment-events", "saga-events", "wallet-commands"
SAGA_COMMANDS, ORDERS, WALLET_EVENTS = "saga-commands", "provider-requests", "wallet-events"
TIME_PASSES, COMES_AGAIN, IS_SETTLED = 0.05, 0.1, 0.02
"""How often: time goes on to the next deadline while records wait; a deadline or an order comes again;
a person reads in a provider's book and settles a payment by hand."""


class PureSystem:
    """The ledger as pure functions; `seed` makes its order, `providers` are those it has."""

    def __init__(self, *, seed: int, providers: Sequence[str] = ()) -> None:
        self._random = Random(seed)
        self._providers = providers
        self._now_ms = AT_MS
        self._queues: dict[Queue, deque[tuple[bytes | None, int]]] = defaultdict(deque)
        self._due_ms: dict[Deadline, int] = {}
        self._known: dict[str, PaymentKnown] = {}
        self._provider = BookedProvider(self._random)
        self.sagas: dict[str, Saga] = {}
        self.wallets: dict[str, Wallet] = {}
        self.wallet_events: dict[str, list[bytes]] = defaultdict(list)
        self.saga_letters: list[Parked] = []
        """Dead letters of saga-events and saga-commands."""
        self._outcomes: dict[str, list[Ended]] = defaultdict(list)
        self._refunds: dict[str, list[Refunded]] = defaultdict(list)
        self._dead_letters: list[Parked] = []
        self.log: list[tuple[str, bytes | None, bytes | None, int]] = []
        """All that was ever appended, in order: topic, key, value, append time."""
        self._steps = {
            PAYMENTS: self._take_payment,
            SAGAS: self._take_saga_event,
            COMMANDS: self._take_wallet_command,
            SAGA_COMMANDS: self._take_saga_command,
            ORDERS: self._take_order,
        }

    async def administer(self, command: Administration) -> None:
        command_id = derived_id(f"administrative:{self._now_ms}")
        value = wire.encode_administrative(command, command_id=command_id, occurred_ms=self._now_ms)
        self._append(COMMANDS, command.wallet_id.encode(), value)
        self._run(self._random.randrange(3))

    async def submit(self, records: Sequence[Sent]) -> None:
        for record in records:
            self._append(PAYMENTS, record.key, record.value)
            self._run(self._random.randrange(12))

    async def settle(self) -> None:
        while self._queues or any(table == SAGAS for table, _ in self._due_ms):
            if not self._queues:
                self._pass_time()
            self._run(1)

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        return self._outcomes

    async def refunds(self) -> Mapping[str, Sequence[Refunded]]:
        return self._refunds

    async def dead_letters(self) -> Sequence[Parked]:
        return self._dead_letters

    async def balances(self) -> Mapping[str, Mapping[str, Funds]]:
        return {
            wallet_id: {
                currency: Funds(balance.available_minor, balance.held_minor)
                for currency, balance in state.balances.items()
            }
            for wallet_id, state in self.wallets.items()
        }

    async def holds(self) -> Mapping[str, Held]:
        return {
            hold_id: Held(wallet_id, hold.amount_minor, hold.currency)
            for wallet_id, state in self.wallets.items()
            for hold_id, hold in state.holds.items()
        }

    async def booked(self) -> Mapping[str, Booked]:
        return {str(payment_id): booked for payment_id, booked in self._provider.booked().items()}

    async def postings(self) -> Mapping[str, int]:
        sums: Counter[str] = Counter()
        for wallet_id, values in self.wallet_events.items():
            for value in values:
                for posting in postings_of(wire.read_wallet_event(value, key=wallet_id.encode()).event):
                    sums[f"{posting.account}:{posting.currency}"] += posting.amount_minor
        return sums

    async def versions(self) -> Mapping[str, Sequence[int]]:
        return {
            wallet_id: [wire.decode_envelope(value).event_version for value in values]
            for wallet_id, values in self.wallet_events.items()
        }

    async def repeated_events(self) -> Sequence[str]:
        written = [wire.decode_envelope(value) for values in self.wallet_events.values() for value in values]
        counts = Counter(envelope.event_id for envelope in written)
        return [event_id for event_id, count in counts.items() if count > 1]

    def _append(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self._now_ms += 1
        self._queues[topic, key].append((value, self._now_ms))
        self.log.append((topic, key, value, self._now_ms))

    def _run(self, steps: int) -> None:
        for _ in range(steps):
            if self._random.random() < TIME_PASSES:
                self._pass_time()
            if self._random.random() < IS_SETTLED:
                self._settle_by_hand()
            for deadline in [d for d, due_ms in self._due_ms.items() if due_ms <= self._now_ms]:
                self._expire(deadline)
            if not self._queues:
                return
            topic, key = queue = self._random.choice(list(self._queues))
            records = self._queues[queue]
            if topic == ORDERS:
                records.rotate(self._random.randrange(len(records)))
            value, append_ms = records.popleft()
            if not records:
                del self._queues[queue]
            self._steps[topic](key, value, append_ms)

    def _pass_time(self) -> None:
        """Let time go on to the next deadline."""
        self._now_ms = max(self._now_ms, min(self._due_ms.values(), default=0))

    def _settle_by_hand(self) -> None:
        """Send a person's word on a payment that waits for a provider, as the book has it."""
        waiting = [key for table, key in self._due_ms if table == SAGAS]
        payment_id = PaymentId(self._random.choice(waiting)) if waiting else None
        is_approved = None if payment_id is None else self._provider.has_done(payment_id)
        if payment_id is not None and is_approved is not None:
            command = SettlePayment(payment_id, is_approved, "read in the book")
            command_id = derived_id(f"settlement:{self._now_ms}")
            value = wire.encode_settlement(command, command_id=command_id, occurred_ms=self._now_ms)
            self._append(SAGA_COMMANDS, payment_id.encode(), value)

    def _expire(self, deadline: Deadline) -> None:
        """Give a deadline that has come to its agent; now and then it comes again."""
        due_ms = self._due_ms.pop(deadline)
        table, key = deadline
        if table == SAGAS:
            self._carry_on(decisions.decide_due(self.sagas[key], due_ms), None, due_ms)
            if self._random.random() < COMES_AGAIN:
                self._due_ms.setdefault(deadline, due_ms)
            return
        for hold_id, hold in self.wallets[key].holds.items():
            if hold.expires_ms is not None and hold.expires_ms <= due_ms:
                command = ExpireHold(self.wallets[key].wallet_id, hold_id, hold.expires_ms)
                self._append(COMMANDS, key.encode(), wire.encode_expiry(command, due_ms=due_ms))

    def _take_payment(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        try:
            requested = wire.read_payment_event(value, key=key, append_ms=append_ms)
            if requested is None:
                return
            payment_id = requested.request.payment_id
            known = self._known.get(payment_id)
            event = payment.decide(known, requested, providers=self._providers)
        except Unreadable as error:
            self._dead_letters.append(Parked(key, value, error.reason))
            self._fail(error, append_ms)
            return
        if event is not None:
            self._known[payment_id] = payment.evolve(known, requested)
            self._emit(event, requested.event_id, append_ms)

    def _fail(self, error: Unreadable, append_ms: int) -> None:
        known = self._known.get(error.payment_id or "")
        event = payment.decide_unreadable(known, error)
        if event is not None:
            self._known[event.payment_id] = PaymentKnown(FINGERPRINT_INVALID)
            self._emit(event, None, append_ms)

    def _emit(self, event: SagaEvent, cause: str | None, append_ms: int) -> None:
        value = wire.encode_saga_event(event, causation_id=cause, append_ms=append_ms)
        self._append(SAGAS, event.payment_id.encode(), value)

    def _take_saga_event(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_saga_event(value, key=key)
        try:
            decision = decisions.decide(self.sagas.get(read.event.payment_id), read.event, at_ms=append_ms)
        except Unreadable as error:
            self.saga_letters.append(Parked(key, value, error.reason))
            return
        self._carry_on(decision, read.event_id, append_ms)

    def _take_saga_command(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_saga_command(value, key=key)
        known = self.sagas.get(read.command.payment_id)
        try:
            decision = _decided(known, read.command)
        except Unreadable as error:
            self.saga_letters.append(Parked(key, value, error.reason))
            return
        self._carry_on(decision, read.command_id, append_ms)

    def _carry_on(self, decision: SagaDecision, cause: str | None, append_ms: int) -> None:
        """Keep and send what a saga's decision has, as the sagas agent does."""
        if decision.saga is not None:
            saga = wire.decode_saga_state(wire.encode_saga_state(decision.saga))
            self.sagas[saga.payment_id] = saga
            self._keep_due((SAGAS, saga.payment_id), saga.due_ms)
        for command in decision.commands:
            self._append(*_addressed(command, cause, append_ms))
        for event in decision.events:
            self._emit(event, cause, append_ms)
        if decision.outcome is not None:
            assert cause is not None, "no deadline ends a payment"
            self._end(decision.outcome, cause, append_ms)

    def _end(self, outcome: PaymentOutcome, cause: str, append_ms: int) -> None:
        payment_id, name = outcome.payment_id, type(outcome).__name__
        if isinstance(outcome, PaymentRefunded):
            sums = (outcome.amount_minor, outcome.refunded_minor, outcome.paid_minor)
            self._refunds[payment_id].append(Refunded(outcome.refund_id, *sums))
        elif isinstance(outcome, PaymentCompleted):
            self._outcomes[payment_id].append(Ended(name, None, outcome.amount_minor))
        else:
            self._outcomes[payment_id].append(Ended(name, outcome.reason))
        value = wire.encode_payment_outcome(outcome, causation_id=cause, append_ms=append_ms)
        self._append(PAYMENTS, payment_id.encode(), value)

    def _take_order(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_order(value, key=key)
        self._emit(self._provider.answer(read.order), read.event_id, append_ms)
        if self._random.random() < COMES_AGAIN:
            self._append(ORDERS, key, value)

    def _take_wallet_command(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_wallet_command(value, key=key)
        wallet_id, command_id = read.command.wallet_id, read.command_id
        state = self.wallets.get(wallet_id)
        decision = wallet_decisions.decide(state, read.command)
        for event in decision.events:
            state = wallet.evolve(state, event)
            written = wire.encode_wallet_event(event, state, command_id=command_id, append_ms=append_ms)
            self.wallet_events[wallet_id].append(written)
            self.log.append((WALLET_EVENTS, key, written, append_ms))
            self.wallets[wallet_id] = state = wire.decode_wallet_state(wire.encode_wallet_state(state))
            ends_ms = [hold.expires_ms for hold in state.holds.values() if hold.expires_ms is not None]
            self._keep_due((COMMANDS, wallet_id), min(ends_ms, default=None))
        if decision.reply is not None:
            self._emit(decision.reply, command_id, append_ms)

    def _keep_due(self, deadline: Deadline, due_ms: int | None) -> None:
        self._due_ms.pop(deadline, None)
        if due_ms is not None:
            self._due_ms[deadline] = due_ms


def _decided(known: Saga | None, command: SagaCommand) -> SagaDecision:
    match command:
        case ReserveRefund():
            return refunds.decide_reservation(known, command)
        case EndRefund():
            return refunds.decide_end(known, command)
        case SettlePayment():
            return decisions.decide_settlement(known, command)


def _addressed(command: Command, cause: str | None, append_ms: int) -> tuple[str, bytes, bytes]:
    """Return topic, key and record of a saga's command."""
    if isinstance(command, LegCommand):
        value = wire.encode_command(command, causation_id=cause, append_ms=append_ms)
        return COMMANDS, command.wallet_id.encode(), value
    key = command.payment_id.encode()
    if isinstance(command, ProviderOrder):
        return ORDERS, key, wire.encode_order(command, causation_id=cause, append_ms=append_ms)
    assert not isinstance(command, SettlePayment), "a saga settles nothing by hand"
    return SAGA_COMMANDS, key, wire.encode_saga_command(command, causation_id=cause, append_ms=append_ms)
