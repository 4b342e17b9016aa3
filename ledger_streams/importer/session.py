"""An import session: connections to Kafka and PostgreSQL, and the reason of an early end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence

import click

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import LedgerError
from ledger_streams.importer.importer import Importer, Ledger, Pace
from ledger_streams.importer.rows import PaymentRow
from ledger_streams.importer.tally import Tally
from ledger_streams.importer.wallets import WalletToOpen, open_wallets
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import settings


async def import_rows(
    rows: Sequence[PaymentRow], wallets: Sequence[WalletToOpen], tally: Tally, pace: Pace
) -> None:
    """Open the missing wallets, then import the rows; count both, and the time of the rows, in `tally`."""
    config = settings()
    pool = await create_pool(config.postgres)
    read_model = PostgresReadModel(pool)
    publisher = KafkaPublisher(client_options(config), clock=BrokerClock(), client_id="ledger-import")
    ledger = Ledger(
        read_model,
        publisher,
        payment_events=config.topic(topics.PAYMENT_EVENTS),
        wallet_commands=config.topic(topics.WALLET_COMMANDS),
    )
    try:
        importer = Importer(ledger, tally, pace)
        left = await importer.remaining_rows(rows)
        lanes = {row.lane for row in left}
        missing = [wallet for wallet in wallets if wallet.wallet_id in lanes]
        tally.wallets_opened = await open_wallets(
            missing, ledger, patience_s=pace.patience_s, sent=tally.wallet_commands_sent
        )
        with tally.timed():
            await importer.carry_out(left)
    finally:
        await publisher.stop()
        await close_within("postgres", pool.close())


def run_import(work: Coroutine[object, object, None]) -> str | None:
    """Run `work`; return None if it completed, else the reason: the report is printed in any case."""
    try:
        asyncio.run(_until_terminated(work))
    except KeyboardInterrupt:
        return "interrupted"
    except asyncio.CancelledError:
        return "terminated"
    except click.ClickException:
        raise
    except LedgerError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (the report of the payments sent has to be printed after any error)
        return f"{type(error).__name__}: {error}"
    return None


async def _until_terminated(work: Coroutine[object, object, None]) -> None:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await work
