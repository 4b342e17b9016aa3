"""`payments`: one payment and its steps, live over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import click

from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import say_json, table
from ledger_streams.escaping import terminal_text


@click.group()
def payments() -> None:
    """Look at payments."""


@payments.command()
@click.argument("payment_id")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(payment_id: str, url: str, as_json: bool) -> None:
    """Show the payment PAYMENT_ID: what became of it, and its steps."""
    payment = get_document(url, f"/v1/payments/{quote(payment_id, safe='')}")
    if as_json:
        say_json(payment)
    else:
        click.echo(payment_text(payment))


def payment_text(payment: Mapping[str, Any]) -> str:
    """Return the payment for people."""
    status = payment["status"] + (f" ({payment['reason']})" if payment.get("reason") else "")
    lines = [
        f"payment  {payment['payment_id']}",
        f"kind     {payment['kind']}",
        f"status   {status}",
        f"amount   {payment['amount']} {payment['currency']}",
    ]
    for name, field in (("from", "source_wallet_id"), ("to", "target_wallet_id")):
        if payment.get(field):
            lines.append(f"{name:<8} {payment[field]}")
    if Decimal(payment.get("refunded") or 0):
        lines.append(f"refunded {payment['refunded']} {payment['currency']}")
    waiting = payment.get("waiting_for")
    if waiting:
        whom = f"{waiting['what']} {waiting['provider'] or ''}".rstrip()
        lines.append(f"waits    for the {whom.replace('_', ' ')}, since {waiting['since']}")
    if month := payment.get("archived_month"):
        lines.append(f"archived steps of {month}: `ledger-streams archive attach {month}` shows them again")
    steps = [(step["occurred_at"], step["event_type"]) for step in payment.get("steps", [])]
    return "\n".join(map(terminal_text, lines)) + "\n\n" + table("Steps", ("occurred_at", "event"), steps)
