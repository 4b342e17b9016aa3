"""A story of wallets and payments, told as the rows a projector would write.

    story = Story()
    wallet = story.open(); story.deposit(wallet, 1000)
    await sink.write(story.batch())

Ids and topics are fresh in each story, so stories share a database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from ledger_streams.adapters.postgres.rows import (
    Advance,
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    PostingRow,
    RefundRow,
    SinkBatch,
    SnapshotRow,
    WalletEventRow,
)


def new_id() -> str:
    return str(uuid4())


def euros(amount_minor: int) -> str:
    sign, whole, cents = "-" * (amount_minor < 0), *divmod(abs(amount_minor), 100)
    return f"{sign}{whole}.{cents:02}"


@dataclass
class Scenario:
    """A wallet as far as the story has come."""

    user_id: str
    version: int = 0
    balance_minor: int = 0
    holds: dict[str, dict[str, str]] = field(default_factory=dict)

    def balances(self) -> dict[str, dict[str, str]]:
        balance = euros(self.balance_minor)
        limits = {"held": "0.00", "overdraft_limit": "0.00"}
        return {"EUR": {"available": balance, "balance": balance, **limits}}

    def state(self) -> str:
        holds = {"holds": self.holds} if self.holds else {}
        about = {"user_id": self.user_id, "status": "open", "version": self.version}
        return json.dumps({**about, "balances": self.balances(), **holds})


class Story:
    """Builds batches; its clock goes on by one second an event."""

    def __init__(self) -> None:
        self.payment_topic = f"payment-events-{new_id()}"
        self.wallet_topic = f"wallet-events-{new_id()}"
        self.now = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
        self.wallets: dict[str, Scenario] = {}
        self._next: dict[str, int] = {self.payment_topic: 0, self.wallet_topic: 0}
        self._written: dict[str, int | None] = {self.payment_topic: None, self.wallet_topic: None}
        self._told = SinkBatch({})

    def name_wallet_topic(self, topic: str) -> None:
        """Tell of wallets on a topic of this name; before anything else."""
        self.wallet_topic = topic
        self._next[topic], self._written[topic] = 0, None

    def open(self, user_id: str | None = None, *, command_id: str | None = None) -> str:
        wallet_id = new_id()
        self.wallets[wallet_id] = Scenario(user_id or new_id())
        self._wallet_event(wallet_id, "WalletOpened", {}, causation_id=command_id or new_id())
        return wallet_id

    def deposit(self, wallet_id: str, amount_minor: int) -> str:
        payment_id = self.request(target=wallet_id, amount_minor=amount_minor)
        self.move(wallet_id, amount_minor, payment_id, other="external")
        self.end(payment_id, {wallet_id: self.wallets[wallet_id].version})
        return payment_id

    def transfer(self, source: str, target: str, amount_minor: int) -> str:
        payment_id = self.request(source=source, target=target, amount_minor=amount_minor)
        self.move(source, -amount_minor, payment_id)
        self.move(target, amount_minor, payment_id)
        self.end(payment_id, {wallet: self.wallets[wallet].version for wallet in (source, target)})
        return payment_id

    def request(
        self,
        *,
        source: str | None = None,
        target: str | None = None,
        amount_minor: int,
        metadata: object = None,
        user_id: str | None = None,
        occurred_at: datetime | None = None,
        **says: str,
    ) -> str:
        """Tell of a request; `says` is what else its data has, a kind other than by its wallets too."""
        payment_id, kind = new_id(), says.pop("kind", "transfer" if source else "deposit")
        data: dict[str, object] = {
            "payment_id": payment_id,
            "amount": euros(amount_minor),
            "currency": "EUR",
        }
        data |= {"metadata": metadata} if metadata is not None else {}
        event = self.payment_event(
            payment_id, "PaymentRequested", 1, data | says, occurred_at=occurred_at or self._tick()
        )
        self._told.payments.append(
            PaymentRow(
                payment_id,
                kind,
                euros(amount_minor),
                "EUR",
                source,
                target,
                says.get("provider"),
                user_id,
                "print",
                event.occurred_at,
            )
        )
        return payment_id

    def move(self, wallet_id: str, amount_minor: int, payment_id: str, *, other: str = "transit") -> None:
        self.wallets[wallet_id].balance_minor += amount_minor
        kind = "BalanceAdded" if amount_minor > 0 else "BalanceDeducted"
        data = {"payment_id": payment_id, "amount": euros(abs(amount_minor)), "currency": "EUR"}
        event = self._wallet_event(wallet_id, kind, data, payment_id=payment_id)
        legs = ((f"wallet:{wallet_id}", amount_minor), (f"{other}:EUR", -amount_minor))
        self._told.postings += [
            PostingRow(event.event_id, leg, account, "EUR", amount, payment_id, event.occurred_at)
            for leg, (account, amount) in enumerate(legs)
        ]

    def end(
        self,
        payment_id: str,
        wallets: Mapping[str, int],
        *,
        reason: str | None = None,
        detail: str | None = None,
    ) -> None:
        kind, status = ("PaymentFailed", "failed") if reason else ("PaymentCompleted", "completed")
        event = self.payment_event(payment_id, kind, 2, {"payment_id": payment_id})
        self._told.payment_outcomes.append(
            PaymentOutcomeRow(payment_id, status, reason, detail, json.dumps(wallets), event.occurred_at)
        )

    def refund(self, payment_id: str, amount_minor: int, *, paid_minor: int) -> None:
        """Tell that so much of the payment has gone back in all."""
        status = "refunded" if amount_minor == paid_minor else "partially_refunded"
        self.payment_event(payment_id, "PaymentRefunded", 3, {"payment_id": payment_id})
        self._told.refunds.append(RefundRow(payment_id, status, euros(amount_minor)))

    def hold(self, wallet_id: str, hold_id: str, amount_minor: int, *, payment_id: str | None = None) -> None:
        """Set money aside, for the payment or for a caller."""
        money = {"amount": euros(amount_minor), "currency": "EUR"}
        self.wallets[wallet_id].holds[hold_id] = money | ({"payment_id": payment_id} if payment_id else {})
        self._wallet_event(wallet_id, "FundsHeld", {"hold_id": hold_id, **money}, payment_id=payment_id)

    def release(self, wallet_id: str, hold_id: str) -> None:
        """End a hold."""
        del self.wallets[wallet_id].holds[hold_id]
        self._wallet_event(wallet_id, "HoldReleased", {"hold_id": hold_id})

    def payment_event(
        self,
        payment_id: str,
        event_type: str,
        version: int,
        data: object,
        *,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
    ) -> EventRow:
        event = EventRow(
            event_id or new_id(),
            payment_id,
            event_type,
            json.dumps(data),
            version,
            occurred_at or self._tick(),
            self.payment_topic,
            0,
            self._offset(self.payment_topic),
            payment_id,
            None,
        )
        self._told.events.append(event)
        return event

    def batch(self) -> SinkBatch:
        """Return what was told since the last call, positions included."""
        scenario, self._told = self._told, SinkBatch({})
        moved = [topic for topic, offset in self._next.items() if offset != (self._written[topic] or 0)]
        scenario.positions = {(topic, 0): Advance(self._written[topic], self._next[topic]) for topic in moved}
        self._written.update({topic: self._next[topic] for topic in moved})
        return scenario

    @property
    def written(self) -> dict[tuple[str, int], int]:
        """The positions of what was told so far."""
        return {(topic, 0): offset or 0 for topic, offset in self._written.items()}

    def lose_log(self, *, copies: int) -> dict[tuple[str, int], int | None]:
        """Go on in a new log, whose wallet topic has so many copies; return the positions in the lost one."""
        lost = {(topic, 0): offset for topic, offset in self._written.items()}
        self._next = {self.payment_topic: 0, self.wallet_topic: copies}
        self._written = dict(self._next)
        return lost

    def _wallet_event(
        self,
        wallet_id: str,
        event_type: str,
        data: dict[str, str],
        *,
        payment_id: str | None = None,
        causation_id: str | None = None,
    ) -> WalletEventRow:
        wallet = self.wallets[wallet_id]
        wallet.version += 1
        currency = data.get("currency")
        at, offset = self._tick(), self._offset(self.wallet_topic)
        event = WalletEventRow(
            wallet_id,
            wallet.version,
            new_id(),
            wallet.user_id,
            event_type,
            currency,
            json.dumps(data),
            wallet.state(),
            payment_id,
            1,
            payment_id or wallet_id,
            causation_id,
            at,
            0,
            offset,
        )
        self._told.wallet_events.append(event)
        balances = json.dumps(wallet.balances())
        self._told.snapshots.append(
            SnapshotRow(wallet_id, wallet.user_id, "open", wallet.version, balances, at, 0, offset)
        )
        return event

    def _tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def _offset(self, topic: str) -> int:
        self._next[topic] += 1
        return self._next[topic] - 1
