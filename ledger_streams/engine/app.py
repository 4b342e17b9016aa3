"""EngineApp: a Faust app whose agents get topic batches and whose commits are the engine's.

The settings switch off everything in Faust that commits, recovers, creates topics or serves tables.
The engine uses Faust's life cycle, agents, web server and CLI.
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
"""Objects before a collection of each generation (Python: 700, 10, 10).

A poll makes and frees thousands of objects without reference cycles, so frequent collections find nothing.
"""

FREE_BYTES_MIN = 64 << 20
"""The write buffers of a few partitions need this much; with less, RocksDB fails sooner or later."""

NO_MEMBERSHIP = Membership(-1, "")


class DrainedApp(faust.App):
    """An app that answers its HTTP callers before it stops any of its services."""

    def __init__(self, app_id: str, *, settings: Settings, **options: Any) -> None:
        self.engine_settings = settings
        self.before_stop: list[Callable[[], Awaitable[None]]] = []
        """Awaited in order at the start of `stop`, while every service still runs."""
        super().__init__(app_id, **options)

    async def on_first_start(self) -> None:
        """Exit if Kafka refuses this client: no retry repairs a certificate or a password."""
        if (refused := await refusal(client_options(self.engine_settings))) is not None:
            exit_now("Kafka refuses this client", Unavailable(dependency="kafka", detail=refused))
        await super().on_first_start()

    async def stop(self) -> None:
        """Await the callbacks of `before_stop` once, then stop the services."""
        before, self.before_stop = self.before_stop, []
        for callback in before:
            await callback()
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
        """The committer of this process, made at first use."""
        if self._committer is None:
            self._committer = self._new_committer()
        return self._committer

    @property
    def ready(self) -> bool:
        """Whether the takeover of all assigned partitions is complete and they are polled."""
        return self.tables.taken_over is not None and self.tables.taken_over == self.membership

    @property
    def readiness(self) -> str:
        """Return `ok`, or the phase of the takeover in progress; the text is safe to publish."""
        return "ok" if self.ready else self.tables.progress.text()

    def topic_batches(self, topic: str) -> Any:
        """Return the channel on which an agent gets the topic batches of `topic` (its full name)."""
        return self.topic(topic, key_serializer="raw", value_serializer="raw", key_type=bytes, acks=False)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        """Start as Faust does, with imported modules exempt from garbage collection."""
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await super().on_start()

    def _create_directories(self) -> None:
        self.conf.tabledir.mkdir(parents=True, exist_ok=True)
        self._claim_folder()
        if self.tables.data:
            self._check_room(self.engine_settings.tables_dir)

    def _claim_folder(self) -> None:
        """Lock this worker's folder for the life of the process: two workers with one id fence each other."""
        self._folder_lock = (self.conf.datadir / f"{self.conf.id}.lock").open("w")
        try:
            fcntl.flock(self._folder_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            worker_id = self.engine_settings.worker_id
            exit_now(
                f"worker id {worker_id} is in use by another process ({self._folder_lock.name} is locked); "
                "set LEDGER_WORKER_ID to an id of its own",
                None,
            )

    def _check_room(self, tables_dir: Path) -> None:
        """Exit for lack of disk space before joining the group.

        A member without space would keep partitions from workers that have space for their tables.
        """
        tables_dir.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(tables_dir).free
        if free_bytes < FREE_BYTES_MIN:
            full = OSError(errno.ENOSPC, f"{free_bytes >> 20} MiB free, {FREE_BYTES_MIN >> 20} needed")
            exit_now(f"not enough disk space for tables in {tables_dir}", full)

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super()._on_partitions_revoked(revoked)
        await self.consumer.wait_cycle_over()


class WebApp(DrainedApp):
    """An app of web views alone; it reads no topic and joins no group."""

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
        """Create no directory: this app stores nothing."""


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
