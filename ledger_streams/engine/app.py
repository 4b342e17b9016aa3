"""EngineApp: a Faust app whose agents get frames and whose commits are the engine's.

Everything of Faust that would commit, recover, create topics or serve tables on its
own is off; what is left is its life cycle, its agents, its web server and its CLI.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from ledger_streams.engine.client_transport import ClientTransport
from ledger_streams.engine.committer import Committer
from ledger_streams.engine.consumer import BatchConsumer, BatchTransport
from ledger_streams.engine.faust_tables import TakeoverTables
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.client_options import refusal
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka_settings import client_options
from ledger_streams.process_exit import exit_now
from ledger_streams.settings import Settings

GC_THRESHOLDS = (50_000, 20, 50)
"""A poll makes thousands of objects, none of them in a ring, and drops them all; default (700, 10, 10)."""

FREE_BYTES_MIN = 64 << 20
"""Room for the write buffers of a few partitions; with less, RocksDB fails sooner or later."""

NO_MEMBERSHIP = Membership(-1, "")


class DrainedApp(faust.App):
    """An app that lets its callers go before anything of it stops."""

    def __init__(self, app_id: str, *, settings: Settings, **options: Any) -> None:
        self.engine_settings = settings
        self.before_stop: list[Callable[[], Awaitable[None]]] = []
        """Called in order, while all still works."""
        super().__init__(app_id, **options)

    async def on_first_start(self) -> None:
        """End the process if Kafka refuses this client: no retry mends a certificate or a password."""
        if (refused := await refusal(client_options(self.engine_settings))) is not None:
            exit_now("Kafka refuses this client", Unavailable(dependency="kafka", detail=refused))
        await super().on_first_start()

    async def stop(self) -> None:
        """Stop, after what `before_stop` asks for; a second call finds nothing left to do."""
        before, self.before_stop = self.before_stop, []
        for let_go in before:
            await let_go()
        await super().stop()


class EngineApp(DrainedApp):
    """A worker's app; it calls `new_committer` when the worker starts."""

    consumer: BatchConsumer
    tables: TakeoverTables

    def __init__(
        self,
        app_id: str,
        *,
        settings: Settings,
        clock: BrokerClock,
        new_committer: Callable[[], Committer],
    ) -> None:
        self.clock = clock
        self.membership = NO_MEMBERSHIP
        self._new_committer = new_committer
        self._committer: Committer | None = None
        super().__init__(
            app_id,
            settings=settings,
            origin="ledger_streams.bootstrap.apps",
            TableManager=TakeoverTables,
            **_faust_settings(settings),
        )

    @property
    def committer(self) -> Committer:
        """The committer of this process; made at first use, inside the running loop."""
        if self._committer is None:
            self._committer = self._new_committer()
        return self._committer

    @property
    def ready(self) -> bool:
        """Whether everything assigned has been taken over and is being read."""
        return self.tables.taken_over is not None and self.tables.taken_over == self.membership

    @property
    def readiness(self) -> str:
        """Say `ok`, or what a takeover under way is at, as anybody may be told."""
        return "ok" if self.ready else self.tables.progress.text()

    def topic_batches(self, topic: str) -> Any:
        """Return the channel on which an agent gets the frames of `topic` (its full name)."""
        return self.topic(topic, key_serializer="raw", value_serializer="raw", key_type=bytes, acks=False)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        """Start as Faust does, with a garbage collector that leaves the modules alone."""
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_start()

    def _create_directories(self) -> None:
        self.conf.tabledir.mkdir(parents=True, exist_ok=True)
        self._claim_folder()
        if self.tables.data:
            self._check_room(self.engine_settings.tables_dir)

    def _claim_folder(self) -> None:
        """Hold this worker's folder while the process lives: two of one id would fence each other."""
        self._folder_lock = (self.conf.datadir / f"{self.conf.id}.lock").open("w")
        try:
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            worker_id = self.engine_settings.worker_id
            exit_now(f"worker id {worker_id} is in use, set LEDGER_WORKER_ID to another one", None)

    def _check_room(self, tables_dir: Path) -> None:
        """End before joining the group: who joins keeps partitions from those that have room for them."""
        tables_dir.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(tables_dir).free
        if free_bytes < FREE_BYTES_MIN:
            full = OSError(errno.ENOSPC, f"{free_bytes >> 20} MiB free, {FREE_BYTES_MIN >> 20} wanted")
            exit_now(f"there is no room for tables in {tables_dir}", full)

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super()._on_partitions_revoked(revoked)
        await self.consumer.wait_cycle_over()


class WebApp(DrainedApp):
    """An app of web views alone: it reads no topic, so it joins no group and holds no partition."""

    producer_only = True

    def _new_transport(self) -> ClientTransport:
        return ClientTransport(self.conf.broker_consumer, self)

    def __init__(self, app_id: str, *, settings: Settings) -> None:
        super().__init__(
            app_id,
            settings=settings,
            origin="ledger_streams.bootstrap.apps",
            **_faust_settings(settings),
        )

    def _create_directories(self) -> None:
        """None: it keeps nothing."""


def _faust_settings(settings: Settings) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        "datadir": settings.home / "workers" / settings.worker_id,
        "store": "memory://",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_replication_factor": settings.replication_factor,
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "broker_commit_interval": 3600.0,
        "broker_session_timeout": settings.session_timeout_ms / 1000,
        "broker_request_timeout": max(40.0, settings.session_timeout_ms / 1000 + 10),
        "producer_acks": -1,
        "producer_compression_type": "lz4",
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "web_stats_enabled": False,
        "web_graph_enabled": False,
        "web_metrics_enabled": False,
        "web_in_thread": False,
        "web_bind": settings.http_host,
        "web_port": settings.http_port,
    }
