"""`payments`: show a payment with its steps, or list payments, from a worker over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode

import click

from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import parked_lines, print_json, table
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.escaping import terminal_text

PAGE_MAX: Final = 1000
COLUMNS: Final = ("requested_at", "payment_id", "kind", "status", "reason", "amount", "currency")
UNREADABLE: Final = "not readable"
"""Shown for a field that a payment with the failure `invalid` does not have."""
FIELDS: Final = (
    ("why", "detail"),
    ("from", "source_wallet_id"),
    ("to", "target_wallet_id"),
    ("refunds", "refund_of"),
    ("hold", "hold_id"),
    ("provider", "provider"),
    ("user", "user_id"),
    ("asked", "requested_at"),
    ("ended", "ended_at"),
)
"""Label and JSON field of the lines of `payments show`."""


@click.group()
def payments() -> None:
    """Show payments."""


@payments.command()
@click.argument("payment_id")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(payment_id: str, url: str, as_json: bool) -> None:
    """Show the payment PAYMENT_ID: status, reason, amounts, steps."""
    payment = get_document(url, f"/v1/payments/{quote(payment_id, safe='')}")
    if as_json:
        print_json(payment)
    else:
        click.echo(payment_text(payment))


@payments.command("list")
@click.option("--wallet", "wallet_id", help="Only payments from or to this wallet.")
@click.option("--user", "user_id", help="Only payments with this user_id.")
@click.option(
    "--status",
    type=click.Choice([each.value for each in PaymentStatus]),
    help="Only payments with this status.",
)
@click.option(
    "--from", "since", help="Only payments requested at or after this time, e.g. 2026-11-01T00:00:00Z."
)
@click.option("--to", help="Only payments requested before this time.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Maximum number of payments."
)
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, url: str, as_json: bool, since: str | None, **asked: str | None) -> None:
    """List payments, newest first."""
    given = {name: value for name, value in {**asked, "from": since}.items() if value is not None}
    found: list[Mapping[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None and len(found) < limit:
        page = {"limit": min(limit - len(found), PAGE_MAX), **({"after": cursor} if cursor else {})}
        document = get_document(url, f"/v1/payments?{urlencode({**given, **page})}")
        found += document["payments"]
        cursor = document["next"]
    if as_json:
        print_json({"payments": found, "next": cursor})
        return
    rows = [[payment[column] for column in COLUMNS] for payment in found]
    click.echo(table("Payments", COLUMNS, rows, numbers=("amount",)))


def payment_text(payment: Mapping[str, Any]) -> str:
    """Return the payment as text."""
    status = payment["status"] + (f" ({payment['reason']})" if payment.get("reason") else "")
    lines = [
        f"payment  {payment['payment_id']}",
        f"kind     {payment['kind'] or UNREADABLE}",
        f"status   {status}",
        f"amount   {payment['amount'] or UNREADABLE} {payment['currency'] or ''}".rstrip(),
    ]
    lines += [f"{name:<8} {payment[field]}" for name, field in FIELDS if payment.get(field)]
    if Decimal(payment.get("refunded") or 0):
        lines.append(f"refunded {payment['refunded']} {payment['currency']}")
    if payment.get("metadata"):
        lines.append(f"metadata {json.dumps(payment['metadata'])}")
    waiting = payment.get("waiting_for")
    if waiting:
        whom = f"{waiting['what']} {waiting['provider'] or ''}".rstrip()
        lines.append(f"waits    for the {whom.replace('_', ' ')}, since {waiting['since']}")
    if month := payment.get("archived_month"):
        lines.append(f"archived steps of {month}: `ledger-streams archive attach {month}` shows them again")
    lines += parked_lines(payment)
    steps = [(step["occurred_at"], step["event_type"]) for step in payment.get("steps", [])]
    return "\n".join(map(terminal_text, lines)) + "\n\n" + table("Steps", ("occurred_at", "event"), steps)
