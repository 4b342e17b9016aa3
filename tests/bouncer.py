"""A test's own PgBouncer in front of the stack's PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.pgbouncer import POOL_SIZE, PgBouncer
from ledger_streams.settings import Settings
from tests.live import eventually
from tests.ports import free_port

STOP_S_MAX = 10.0


@asynccontextmanager
async def bouncer(settings: Settings, folder: Path, *, pool_size: int = POOL_SIZE) -> AsyncIterator[Settings]:
    """The settings of a system that goes through it, as long as it runs."""
    folder = folder / "pgbouncer"
    folder.mkdir()
    postgres_port = urlsplit(settings.postgres).port
    assert postgres_port is not None
    server = PgBouncer(folder, free_port(), postgres_port, "ledger", pool_size=pool_size)
    server.prepare(print)
    daemon.start(folder, server.command())
    try:
        await eventually(lambda: _answers(server), what=f"PgBouncer answers: {daemon.log_tail(folder)}")
        yield settings.model_copy(update={"pgbouncer": f"127.0.0.1:{server.port}"})
    finally:
        daemon.ask_to_stop(folder, server.stop_signal)
        assert daemon.wait_for_end(folder, patience_s=STOP_S_MAX)


async def _answers(server: PgBouncer) -> bool:
    return await server.complaint() is None
