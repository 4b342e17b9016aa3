"""A whole ledger in memory behind the two ports that an import uses.

It carries out deposits and withdrawals a moment after they were published, and fails
the test when a wallet's next payment is published before the one before it has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ledger_streams.adapters.postgres.rows import PaymentOutcomeRow, PaymentRow, SinkBatch, WalletEventRow
from ledger_streams.domain.money import format_amount, parse_amount, parse_limit
from ledger_streams.domain.payment import fingerprint
from ledger_streams.ports import Message
from ledger_streams.testing.memory_read_model import MemoryReadModel

AT = datetime(2026, 11, 24, 22, tzinfo=UTC)
DELAY_S = 0.002


class Account:
    """A wallet of one currency."""

    def __init__(self, user_id: str, currency: str, overdraft_minor: int) -> None:
        self.user_id, self.currency, self.overdraft_minor = user_id, currency, overdraft_minor
        self.version, self.balance_minor = 1, 0

    def state(self) -> str:
        balance = format_amount(self.balance_minor, self.currency)
        limit = format_amount(self.overdraft_minor, self.currency)
        amounts = {"available": balance, "held": "0.00", "balance": balance, "overdraft_limit": limit}
        balances = {self.currency: amounts}
        return json.dumps(
            {"user_id": self.user_id, "status": "open", "version": self.version, "balances": balances}
        )


class MemoryLedger:
    """`ports.Publisher` whose `read_model` sees what became of what was published."""

    def __init__(self, *, ends_payments: bool = True) -> None:
        self.read_model = MemoryReadModel()
        self.accounts: dict[str, Account] = {}
        self.requests: list[dict[str, Any]] = []
        self._ends_payments = ends_payments
        self._under_way: set[str] = set()

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            envelope = msgspec.json.decode(message.value)
            assert message.key == envelope["aggregate_id"]
            if message.topic == "wallet-commands":
                await self._open(envelope)
            else:
                await self._request(envelope)

    async def _open(self, envelope: dict[str, Any]) -> None:
        data = envelope["data"]
        (currency,) = data["currencies"]
        limit = parse_limit(data["overdraft_limits"][currency], currency, field="overdraft")
        self.accounts[data["wallet_id"]] = Account(data["user_id"], currency, limit)
        await self.read_model.write(
            SinkBatch({}, wallet_events=[self._event(data["wallet_id"], "WalletOpened")])
        )

    async def _request(self, envelope: dict[str, Any]) -> None:
        data = envelope["data"]
        wallet_id = data.get("target_wallet_id") or data["source_wallet_id"]
        assert wallet_id not in self._under_way, "sent before the one before it had ended"
        self.requests.append(data)
        request = PaymentRow(
            data["payment_id"],
            data["kind"],
            data["amount"],
            data["currency"],
            data.get("source_wallet_id"),
            data.get("target_wallet_id"),
            None,
            data["user_id"],
            fingerprint(data),
            AT,
        )
        await self.read_model.write(SinkBatch({}, payments=[request]))
        if self._ends_payments:
            self._under_way.add(wallet_id)
            loop = asyncio.get_running_loop()
            loop.call_later(DELAY_S, lambda: loop.create_task(self._end(wallet_id, data)))

    async def _end(self, wallet_id: str, data: dict[str, Any]) -> None:
        account, amount_minor = self.accounts[wallet_id], parse_amount(data["amount"], data["currency"])
        change_minor = amount_minor if data["kind"] == "deposit" else -amount_minor
        refused = account.balance_minor + change_minor < -account.overdraft_minor and change_minor < 0
        events = []
        if not refused:
            account.balance_minor += change_minor
            account.version += 1
            events = [self._event(wallet_id, "BalanceAdded" if change_minor > 0 else "BalanceDeducted")]
        outcome = PaymentOutcomeRow(
            data["payment_id"],
            "failed" if refused else "completed",
            "insufficient_funds" if refused else None,
            None,
            json.dumps({wallet_id: account.version}),
            AT,
        )
        self._under_way.discard(wallet_id)
        await self.read_model.write(SinkBatch({}, wallet_events=events, payment_outcomes=[outcome]))

    def _event(self, wallet_id: str, event_type: str) -> WalletEventRow:
        account = self.accounts[wallet_id]
        ids = wallet_id, account.version, f"{wallet_id}:{account.version}", account.user_id
        return WalletEventRow(
            *ids, event_type, account.currency, "{}", account.state(), None, 1, None, None, AT
        )
