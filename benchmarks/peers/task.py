"""The task of all contenders: credit wallets, one command after the other.

A command is a leg of a payment in the format of wallet-commands.  The contender stores the
wallet's balance and version, and writes an event with the new state and an outcome for the
payment.  This module imports only the standard library, since a peer runs with packages of
its own.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NamedTuple

PARTITIONS: Final = 8
POLL_RECORDS: Final = 4_000
"""Maximum number of records in a poll or transaction, the worker's limit, if the contender has the option."""
BEGINS: Final = "the first command is here"
VARIABLE: Final = "BENCH_TASK_"

Json = dict[str, Any]
State = dict[str, int]


class Task(NamedTuple):
    """Topics and consumer group of a contender; the group is its own."""

    kafka: str
    group: str
    commands: str
    events: str
    outcomes: str
    folder: str

    def environment(self) -> dict[str, str]:
        """Return the environment variables that pass the task to a process."""
        return {f"{VARIABLE}{name.upper()}": value for name, value in self._asdict().items()}


def given() -> Task:
    """Return the task from the environment of this process."""
    return Task(*(os.environ[f"{VARIABLE}{name.upper()}"] for name in Task._fields))


def say_begin() -> None:
    """Print that the first command has arrived: the clock starts."""
    print(BEGINS, file=sys.__stderr__, flush=True)


def carry_out(command: Json, state: State | None) -> tuple[State, Json]:
    """Credit a wallet; return its new state, and the event."""
    data = command["data"]
    before = state or {"version": 0, "balance_minor": 0}
    units, _, cents = data["amount"].partition(".")
    after = {
        "version": before["version"] + 1,
        "balance_minor": before["balance_minor"] + int(units) * 100 + int(cents),
    }
    return after, event_of(command, after)


def event_of(command: Json, state: State) -> Json:
    """Return the event of a command, with the state after it."""
    data, minor = command["data"], state["balance_minor"]
    return {
        "event_id": f"{command['event_id']}:BalanceAdded",
        "event_type": "BalanceAdded",
        "aggregate_id": data["wallet_id"],
        "event_version": state["version"],
        "occurred_at": command["occurred_at"],
        "correlation_id": data["payment_id"],
        "causation_id": command["event_id"],
        "data": data,
        "wallet": {
            "version": state["version"],
            "balances": {data["currency"]: {"balance": f"{minor // 100}.{minor % 100:02d}"}},
        },
    }


def outcome_of(event: Json) -> Json:
    """Return the outcome for the payment of an event."""
    data = event["data"]
    return {
        "event_id": f"{event['causation_id']}:WalletCredited",
        "event_type": "WalletCredited",
        "aggregate_id": data["payment_id"],
        "event_version": data["saga_version"],
        "occurred_at": event["occurred_at"],
        "correlation_id": data["payment_id"],
        "causation_id": event["causation_id"],
        "data": {
            "wallet_id": data["wallet_id"],
            "amount": data["amount"],
            "currency": data["currency"],
            "wallet_version": event["event_version"],
        },
    }
