"""`provider-simulator`: a payment provider on the loopback, for trials and tests.

It keeps its book on disk, so it may be killed and restarted.  Two processes on one
book act as one provider.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import click
from aiohttp import web

from ledger_streams.cli.mistakes import check_ports
from ledger_streams.local.provider_simulator.book import Book
from ledger_streams.local.provider_simulator.faults import Behaviour
from ledger_streams.local.provider_simulator.server import ProviderServer
from ledger_streams.settings import settings

HOST = "127.0.0.1"
STOP_S_MAX = 1.0
"""Time for slow responses at shutdown; their orders are in the book already."""

SHARE = click.FloatRange(0, 1)
MILLISECONDS = click.FloatRange(min=0)


@click.command("provider-simulator")
@click.option(
    "--port", default=6200, show_default=True, type=click.IntRange(1, 65535), help="Port on the loopback."
)
@click.option(
    "--book",
    "book_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the book (SQLite).  [default: provider-simulator.sqlite3 in LEDGER_HOME]",
)
@click.option(
    "--seed", default=1, show_default=True, help="Random seed: the same seed injects the same faults."
)
@click.option(
    "--latency-ms", default=20.0, show_default=True, type=MILLISECONDS, help="Latency of every call, in ms."
)
@click.option(
    "--slow-share",
    default=0.05,
    show_default=True,
    type=SHARE,
    help="Share of calls that are executed but slow.",
)
@click.option(
    "--slow-ms", default=8_000.0, show_default=True, type=MILLISECONDS, help="Duration of a slow call, in ms."
)
@click.option(
    "--decline-share",
    default=0.1,
    show_default=True,
    type=SHARE,
    help="Share of idempotency keys that are declined.",
)
@click.option(
    "--error-share",
    default=0.05,
    show_default=True,
    type=SHARE,
    help="Share of calls that fail with 503, not executed.",
)
@click.option(
    "--lost-share",
    default=0.05,
    show_default=True,
    type=SHARE,
    help="Share of calls that are executed, response lost.",
)
@click.option(
    "--double-share",
    default=0.02,
    show_default=True,
    type=SHARE,
    help="Share of calls that are executed twice.",
)
def provider_simulator(*, port: int, book_path: Path | None, **behaviour: Any) -> None:
    """Run a payment provider with reproducible faults until SIGTERM or Ctrl-C.

    Set LEDGER_PROVIDERS to name=http://127.0.0.1:6200. GET /book returns the orders it has executed.
    """
    try:
        drawn = Behaviour(**behaviour)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    path = book_path or settings().home / "provider-simulator.sqlite3"
    check_ports(HOST, {port: "the simulator"}, "--port")
    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(port, path, drawn))


async def serve(port: int, book_path: Path, behaviour: Behaviour) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    book = Book(book_path)
    runner = web.AppRunner(
        ProviderServer(book, behaviour).app(), access_log=None, shutdown_timeout=STOP_S_MAX
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        click.echo(f"Provider on http://{HOST}:{port}, book {book_path}")
        await stopped.wait()
    except OSError as error:
        raise click.ClickException(str(error)) from error
    finally:
        await runner.cleanup()
        book.close()
