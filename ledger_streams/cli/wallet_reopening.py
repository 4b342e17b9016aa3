"""`wallets reopen`: the way out for money that has come back to a closed wallet; it takes two people.

The first proposes with a reason, the second, of another name, approves.  Both are events of
the wallet.  Then an ordinary payment moves the money, and the wallet is closed again.
"""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import click

from ledger_streams import topics, wire
from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import awaited, say_json
from ledger_streams.domain.commands import ApproveReopening, ProposeReopening, ReopeningCommand
from ledger_streams.domain.ids import WalletId
from ledger_streams.errors import Unreadable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.ports import Message
from ledger_streams.settings import settings
from ledger_streams.wire.reopenings import checked_name, checked_words

LOOK_EVERY_S: Final = 0.2


@click.command()
@click.argument("wallet_id")
@click.option("--by", required=True, help="Your name; it is kept in the event.")
@click.option("--reason", help="Why, of the first person; it is kept in the events.")
@click.option("--approve", is_flag=True, help="Approve what another person has proposed.")
@click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds to wait for the answer.")
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the event as JSON.")
def reopen(  # noqa: PLR0913 (an option each)
    wallet_id: str, *, by: str, reason: str | None, approve: bool, wait_s: float, url: str, as_json: bool
) -> None:
    """Open the closed wallet WALLET_ID again, to which a payment has given money back; it takes two people.

    The first says --reason, the second, of another name, --approve. Then move the money by an
    ordinary payment and close the wallet again. An empty closed wallet is not opened. Exit code 1
    when the wallet refuses.
    """
    command = _command(wallet_id, by, reason, approve=approve)
    path = f"/v1/wallets/{quote(wallet_id, safe='')}"
    wallet = get_document(url, path)
    command_id = str(uuid4())
    awaited(_publish(command, command_id))
    event = _answer(url, f"{path}/events", wallet["version"], command_id, wait_s)
    if event is None:
        if not approve and get_document(url, path) == wallet:
            click.echo("No event within the time: the same proposal stands, or no worker runs.", err=True)
        raise click.ClickException(f"wallet {wallet_id} has not answered within {wait_s:g} s")
    if as_json:
        say_json(event)
    if event["event_type"] == "WalletCommandRefused":
        raise click.ClickException(f"refused: {event['data']['detail']}")
    click.echo(_said(event["event_type"]), err=as_json)


def _command(wallet_id: str, by: str, reason: str | None, *, approve: bool) -> ReopeningCommand:
    if approve == (reason is not None):
        raise click.UsageError("--reason proposes and --approve approves: one of the two")
    try:
        checked_name(by, at="--")
        if reason is None:
            return ApproveReopening(WalletId(wallet_id), by)
        return ProposeReopening(WalletId(wallet_id), checked_words(reason, "--reason"), by)
    except Unreadable as error:
        raise click.UsageError(error.detail) from error


def _said(event_type: str) -> str:
    if event_type == "WalletReopened":
        return "The wallet is open. Move the money by a payment, then close the wallet."
    return "Proposed. A second person approves: `wallets reopen WALLET_ID --approve --by NAME`."


def _answer(url: str, path: str, version: int, command_id: str, wait_s: float) -> Any:
    """Return the event that the command has caused, or None when time is up."""
    end_s = time.monotonic() + wait_s
    while time.monotonic() < end_s:
        for event in get_document(url, f"{path}?after_version={version}&limit=100")["events"]:
            if event["causation_id"] == command_id:
                return event
        time.sleep(LOOK_EVERY_S)
    return None


async def _publish(command: ReopeningCommand, command_id: str) -> None:
    config = settings()
    value = wire.encode_administrative(command, command_id=command_id, occurred_ms=int(time.time() * 1000))
    async with KafkaPublisher(
        client_options(config), clock=BrokerClock(), client_id=f"{config.app_id}-reopen"
    ) as publisher:
        await publisher.publish([Message(config.topic(topics.WALLET_COMMANDS), command.wallet_id, value)])
