"""PureSystem: the domain and the wire with queues in memory between them.

Each topic is a queue a key, and a seeded scheduler takes the next record of any of them,
so that everything partitions do not order is tried in many orders.  All that goes
through a queue is bytes, read and written as the agents do.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from random import Random

from ledger_streams import wire
from ledger_streams.domain import payment, saga, wallet, wallet_decisions
from ledger_streams.domain.commands import AdministrativeCommand
from ledger_streams.domain.events import PaymentFailed, SagaEvent
from ledger_streams.domain.ids import derived_id
from ledger_streams.domain.payment import FINGERPRINT_INVALID, PaymentKnown
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.saga import Saga
from ledger_streams.domain.wallet import Wallet
from ledger_streams.errors import Unreadable
from tests.model.samples import AT_MS
from tests.model.system import Ended, Parked, Sent

Queue = tuple[str, bytes | None]
PAYMENTS, SAGAS, COMMANDS = "payment-events", "saga-events", "wallet-commands"


class PureSystem:
    """The ledger as pure functions; `seed` makes its order."""

    def __init__(self, *, seed: int) -> None:
        self._random = Random(seed)
        self._now_ms = AT_MS
        self._queues: dict[Queue, deque[tuple[bytes | None, int]]] = defaultdict(deque)
        self._known: dict[str, PaymentKnown] = {}
        self.sagas: dict[str, Saga] = {}
        self.wallets: dict[str, Wallet] = {}
        self.wallet_events: dict[str, list[bytes]] = defaultdict(list)
        self._outcomes: dict[str, list[Ended]] = defaultdict(list)
        self._dead_letters: list[Parked] = []

    async def administer(self, command: AdministrativeCommand) -> None:
        command_id = derived_id(f"administrative:{self._now_ms}")
        value = wire.encode_administrative(command, command_id=command_id, occurred_ms=self._now_ms)
        self._append(COMMANDS, command.wallet_id.encode(), value)
        self._run(self._random.randrange(3))

    async def submit(self, records: Sequence[Sent]) -> None:
        for record in records:
            self._append(PAYMENTS, record.key, record.value)
            self._run(self._random.randrange(12))

    async def settle(self) -> None:
        while self._queues:
            self._run(1)

    async def outcomes(self) -> Mapping[str, Sequence[Ended]]:
        return self._outcomes

    async def dead_letters(self) -> Sequence[Parked]:
        return self._dead_letters

    async def balances(self) -> Mapping[str, Mapping[str, int]]:
        return {
            wallet_id: {currency: balance.available_minor for currency, balance in state.balances.items()}
            for wallet_id, state in self.wallets.items()
        }

    async def postings(self) -> Mapping[str, int]:
        sums: Counter[str] = Counter()
        for wallet_id, values in self.wallet_events.items():
            for value in values:
                for posting in postings_of(wire.read_wallet_event(value, key=wallet_id.encode()).event):
                    sums[f"{posting.account}:{posting.currency}"] += posting.amount_minor
        return sums

    def _append(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        self._now_ms += 1
        self._queues[topic, key].append((value, self._now_ms))

    def _run(self, steps: int) -> None:
        for _ in range(steps):
            if not self._queues:
                return
            topic, key = queue = self._random.choice(list(self._queues))
            value, append_ms = self._queues[queue].popleft()
            if not self._queues[queue]:
                del self._queues[queue]
            step = {PAYMENTS: self._payments, SAGAS: self._sagas, COMMANDS: self._wallets}[topic]
            step(key, value, append_ms)

    def _payments(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        try:
            requested = wire.read_payment_event(value, key=key, append_ms=append_ms)
            if requested is None:
                return
            payment_id = requested.request.payment_id
            known = self._known.get(payment_id)
            event = payment.decide(known, requested)
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

    def _sagas(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_saga_event(value, key=key)
        payment_id = read.event.payment_id
        decision = saga.decide(self.sagas.get(payment_id), read.event, at_ms=append_ms)
        if decision.saga is not None:
            self.sagas[payment_id] = wire.decode_saga_state(wire.encode_saga_state(decision.saga))
        if (command := decision.command) is not None:
            sent = wire.encode_command(command, causation_id=read.event_id, append_ms=append_ms)
            self._append(COMMANDS, command.wallet_id.encode(), sent)
        for event in decision.events:
            self._emit(event, read.event_id, append_ms)
        if (outcome := decision.outcome) is not None:
            reason = outcome.reason if isinstance(outcome, PaymentFailed) else None
            self._outcomes[payment_id].append(Ended(type(outcome).__name__, reason))
            sent = wire.encode_payment_outcome(outcome, causation_id=read.event_id, append_ms=append_ms)
            self._append(PAYMENTS, key, sent)

    def _wallets(self, key: bytes | None, value: bytes | None, append_ms: int) -> None:
        read = wire.read_wallet_command(value, key=key)
        wallet_id = read.command.wallet_id
        before = self.wallets.get(wallet_id)
        decision = wallet_decisions.decide(before, read.command)
        if decision.event is not None:
            after = wallet.evolve(before, decision.event)
            self.wallets[wallet_id] = wire.decode_wallet_state(wire.encode_wallet_state(after))
            self.wallet_events[wallet_id].append(
                wire.encode_wallet_event(
                    decision.event, after, command_id=read.command_id, append_ms=append_ms
                )
            )
        if decision.reply is not None:
            self._emit(decision.reply, read.command_id, append_ms)
