"""`sagas`: list sagas in progress from the workers' RocksDB; settle one for a silent provider.

A settlement is a record on saga-commands.  The saga writes the event that the provider
owes, with the operator's reason in it, and continues as usual.  A saga that has just
moved on refuses it (a dead letter), so it is sent again after each time-out of the provider.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import click
import msgspec

from ledger_streams import topics, wire
from ledger_streams.cli.http import get_document, url_option
from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.cli.payments import payment_text
from ledger_streams.domain.ids import PaymentId
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.saga.commands import SettlePayment
from ledger_streams.domain.saga.state import Saga, has_ended
from ledger_streams.errors import Unreadable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.ports import Message
from ledger_streams.settings import settings

POLL_EVERY_S: Final = 0.2
COMMANDS_MAX: Final = 5
"""Maximum number of commands of a settlement: each one that the saga refuses is a dead letter."""
COLUMNS: Final = ("payment_id", "kind", "status", "amount", "provider", "attempts", "since", "seconds", "why")


class OpenSaga(msgspec.Struct, frozen=True):
    """A saga that has not ended: its status and its age."""

    payment_id: str
    kind: str
    status: str
    amount: str | None
    currency: str
    provider: str | None
    attempts: int
    started_at: str
    seconds: int
    """Age, since `started_at`."""
    reason: str | None


@click.group()
def sagas() -> None:
    """Sagas of payments that have not ended."""


@sagas.command("list")
@click.option("--stuck", is_flag=True, help="Only sagas older than LEDGER_SAGA_STUCK_S.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(stuck: bool, as_json: bool) -> None:
    """List the sagas in progress on this machine's workers, oldest first."""
    from ledger_streams.reconciliation.rocksdb_tables import stored_sagas, tables_below  # noqa: PLC0415 (it imports Faust)

    now_ms = int(time.time() * 1000)
    least_s = settings().saga_stuck_s if stuck else 0
    open_sagas = [saga for saga in stored_sagas(tables_below(settings().home)) if not has_ended(saga)]
    found = [open_saga(saga, now_ms) for saga in sorted(open_sagas, key=lambda saga: saga.started_ms)]
    found = [saga for saga in found if saga.seconds >= least_s]
    if as_json:
        print_json(found)
        return
    click.echo(sagas_text(found))


def sagas_text(found: Sequence[OpenSaga]) -> str:
    """Return the sagas as a table."""
    rows = [
        (
            saga.payment_id,
            saga.kind,
            saga.status,
            f"{saga.amount} {saga.currency}" if saga.amount else "the rest",
            saga.provider,
            saga.attempts or None,
            saga.started_at,
            f"{saga.seconds:,}",
            saga.reason,
        )
        for saga in found
    ]
    return table(f"{len(found)} sagas in progress", COLUMNS, rows, numbers=("attempts", "seconds"))


def open_saga(saga: Saga, now_ms: int) -> OpenSaga:
    """Return the columns of a saga."""
    return OpenSaga(
        saga.payment_id,
        saga.kind.value,
        saga.status.value,
        format_amount(saga.amount_minor, saga.currency) if saga.amount_minor else None,
        saga.currency,
        saga.provider,
        saga.attempts,
        wire.time_text(saga.started_ms),
        max(now_ms - saga.started_ms, 0) // 1000,
        saga.reason,
    )


@sagas.command()
@click.argument("payment_id")
@click.argument("outcome", type=click.Choice(["approved", "declined"]))
@click.option("--reason", required=True, help="Your evidence; it is kept in the event.")
@click.option(
    "--wait",
    "wait_s",
    default=10.0,
    show_default=True,
    help="Maximum seconds to wait for the payment to end.",
)
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settle(  # noqa: PLR0913 (an option each)
    payment_id: str, outcome: str, *, reason: str, wait_s: float, url: str, as_json: bool
) -> None:
    """Settle the payment PAYMENT_ID by hand when its provider does not answer.

    Ask the provider first: approved means that the money has moved, declined that it has not and never
    will. The command is sent up to five times, once after each time-out of the provider. Exit code 1 if
    the payment has not ended in time: see `dlq list --topic saga-commands`.
    """
    try:
        wire.settlement_reason(reason, at="--")
    except Unreadable as error:
        raise click.UsageError(error.detail) from error
    path = f"/v1/payments/{quote(payment_id, safe='')}"
    payment = get_document(url, path)
    if payment["status"] != "pending":
        raise click.ClickException(f"payment {payment_id} is {payment['status']}: it awaits no provider")
    command = SettlePayment(PaymentId(payment["payment_id"]), outcome == "approved", reason)
    payment, said = settle_until_ended(
        lambda: run_async(publish(command)), lambda: get_document(url, path), payment, wait_s=wait_s
    )
    if as_json:
        print_json(payment)
    else:
        click.echo(payment_text(payment))
    times = "once" if said == 1 else f"{said} times (the provider timed out in between)"
    if payment["status"] == "pending":
        raise click.ClickException(f"sent {times}: payment {payment_id} has not ended within {wait_s:g} s")
    click.echo(f"sent {times}: the payment is {payment['status']}", err=True)


def settle_until_ended(
    say: Callable[[], None], look: Callable[[], Any], payment: Any, *, wait_s: float
) -> tuple[Any, int]:
    """Send the command, and again after each time-out of the provider, until the payment has ended.

    Return the payment and the number of commands sent; it may be pending still after `wait_s`.
    A saga applies a settlement once, however many commands it gets.
    """
    end_s, said, heard = time.monotonic() + wait_s, 0, -1
    while payment["status"] == "pending" and time.monotonic() < end_s:
        silences = sum(step["event_type"] == "ProviderTimedOut" for step in payment["steps"])
        if silences > heard and said < COMMANDS_MAX:
            say()
            said, heard = said + 1, silences
        time.sleep(POLL_EVERY_S)
        payment = look()
    return payment, said


async def publish(command: SettlePayment) -> None:
    """Send the settlement to saga-commands."""
    config = settings()
    value = wire.encode_settlement(command, command_id=str(uuid4()), occurred_ms=int(time.time() * 1000))
    async with KafkaPublisher(
        client_options(config), clock=BrokerClock(), client_id=f"{config.app_id}-settle"
    ) as publisher:
        topic = config.topic(topics.SAGA_COMMANDS)
        await publisher.publish([Message(topic, command.payment_id, value)])
