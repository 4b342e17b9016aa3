"""`provider-simulator`: a payment provider on the loopback, for trying out and for tests.

It keeps its book on disk, so it may be killed and started again; two of them on one
book are one provider.
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
"""How long a slow answer is waited for at the end; what it is about is in the book."""

SHARE = click.FloatRange(0, 1)
MILLISECONDS = click.FloatRange(min=0)


@click.command("provider-simulator")
@click.option(
    "--port", default=6200, show_default=True, type=click.IntRange(1, 65535), help="On the loopback."
)
@click.option(
    "--book",
    "book_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of its book.  [default: provider-simulator.sqlite3 in LEDGER_HOME]",
)
@click.option(
    "--seed", default=1, show_default=True, help="Of all that is drawn; the same seed, the same faults."
)
@click.option("--latency-ms", default=20.0, show_default=True, type=MILLISECONDS, help="Of every call.")
@click.option(
    "--slow-share", default=0.05, show_default=True, type=SHARE, help="Calls carried out, and slow."
)
@click.option(
    "--slow-ms", default=8_000.0, show_default=True, type=MILLISECONDS, help="What a slow call takes."
)
@click.option("--decline-share", default=0.1, show_default=True, type=SHARE, help="Keys that are declined.")
@click.option(
    "--error-share", default=0.05, show_default=True, type=SHARE, help="Calls not carried out, 503."
)
@click.option(
    "--lost-share", default=0.05, show_default=True, type=SHARE, help="Calls carried out, answer lost."
)
@click.option("--double-share", default=0.02, show_default=True, type=SHARE, help="Calls carried out twice.")
def provider_simulator(*, port: int, book_path: Path | None, **behaviour: Any) -> None:
    """Run a payment provider that misbehaves in reproducible ways, until SIGTERM or Ctrl-C.

    Point LEDGER_PROVIDERS at it: name=http://127.0.0.1:6200. GET /book has what it has really done.
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
        click.echo(f"provider on http://{HOST}:{port}, its book is {book_path}")
        await stopped.wait()
    except OSError as error:
        raise click.ClickException(str(error)) from error
    finally:
        await runner.cleanup()
        book.close()
