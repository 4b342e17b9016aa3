"""Conversion of database rows to the views of the ports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec

from ledger_streams.ports import BalanceView, PaymentView, StepView, WalletView
from ledger_streams.ports.history import MovementView

_balances: Final = msgspec.json.Decoder(dict[str, BalanceView])
_object: Final = msgspec.json.Decoder(dict[str, Any])
_any: Final = msgspec.json.Decoder()
_request: Final = msgspec.json.Decoder(tuple[str | None, str | None, msgspec.Raw])


class WalletState(msgspec.Struct):
    """`wallet` of a wallet-events record."""

    user_id: str
    status: str
    version: int
    balances: dict[str, BalanceView]


_state: Final = msgspec.json.Decoder(WalletState)


def wire_time(at: datetime) -> str:
    """Write a time as the wire does: UTC, six digits, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wallet_view(row: asyncpg.Record, *, status: str = "status", owner: str = "user_id") -> WalletView:
    """Read a row of wallet_snapshots; `status` and `owner` name columns, where a join renames them."""
    return WalletView(
        wallet_id=row["wallet_id"],
        user_id=row[owner],
        status=row[status],
        version=row["last_event_version"],
        balances=_balances.decode(row["balances"]),
        as_of=wire_time(row["as_of"]),
    )


def wallet_view_of_state(wallet_id: str, state: str, occurred_at: datetime) -> WalletView:
    """Read the state that a wallet event carries."""
    wallet = _state.decode(state)
    return WalletView(
        wallet_id, wallet.user_id, wallet.status, wallet.version, wallet.balances, wire_time(occurred_at)
    )


def envelope(row: asyncpg.Record) -> dict[str, Any]:
    """Read a row of wallet_events as the record it was."""
    return {
        "event_id": row["event_id"],
        "event_type": row["event_type"],
        "schema_version": row["schema_version"],
        "aggregate_id": row["wallet_id"],
        "event_version": row["event_version"],
        "occurred_at": wire_time(row["occurred_at"]),
        "correlation_id": row["correlation_id"],
        "causation_id": row["causation_id"],
        "data": _object.decode(row["event_data"]),
        "wallet": _object.decode(row["wallet_state"]),
    }


def movement_view(row: asyncpg.Record) -> MovementView:
    """Read a movement; metadata that is not an object is left out."""
    fields = dict(row)
    metadata = _any.decode(row["metadata"] or "null")
    fields["metadata"] = metadata if isinstance(metadata, dict) else None
    fields["occurred_at"] = wire_time(row["occurred_at"])
    return MovementView(**fields)


def payment_view(row: asyncpg.Record, steps: tuple[StepView, ...] = ()) -> PaymentView:
    """Read a row of payments; fields that an unreadable request lacks are empty."""
    return PaymentView(
        payment_id=row["payment_id"],
        kind=row["kind"] or "",
        status=row["status"],
        reason=row["reason"],
        amount=row["amount"] or "",
        currency=row["currency"] or "",
        source_wallet_id=row["source_wallet_id"],
        target_wallet_id=row["target_wallet_id"],
        fingerprint=row["fingerprint"],
        steps=steps,
        refunded=row["refunded"],
        provider=row["provider"],
        archived_month=row["archived_month"],
        detail=row["detail"],
        user_id=row["user_id"],
        requested_at=None if row["requested_at"] is None else wire_time(row["requested_at"]),
        ended_at=None if row["ended_at"] is None else wire_time(row["ended_at"]),
    )


def with_request(payment: PaymentView, request: str | None) -> PaymentView:
    """Add what the request, the JSON [refund_of, hold_id, metadata], says; None where it is not there.

    Metadata is not read: it may have numbers that no type here holds.
    """
    if request is None:
        return payment
    refund_of, hold_id, metadata = _request.decode(request)
    text = bytes(metadata)
    return msgspec.structs.replace(
        payment,
        refund_of=refund_of,
        hold_id=hold_id,
        metadata=None if text == b"null" else msgspec.Raw(text),
    )
