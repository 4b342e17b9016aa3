"""Worker: the parts of an app that its consumer, its consumer thread and its tables use.

`EngineApp` is put together from these three.  They know it by the protocols here alone,
so that no import leads back from a part to the app.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from faust.types import TP

from ledger_streams.engine.committer import Committer
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.settings import Settings


class WorkerTables(Protocol):
    """The service that takes partitions over, as the consumer sees it."""

    progress: TakeoverProgress

    @property
    def taken_over(self) -> Membership | None:
        """The membership under which the partitions now held were taken over; None while they are not."""

    def take_over_again(self) -> None:
        """Stop the flow and take over the assigned partitions, as after a rebalance."""


class WorkerConsumer(Protocol):
    """The consumer, as the takeover sees it."""

    async def wait_cycle_over(self) -> None:
        """Return when no cycle is under way."""

    async def wait_poll_over(self) -> None:
        """Return when no poll is under way."""

    async def confirm_membership(self) -> None:
        """Return once the broker has confirmed that no other process has this member's place."""

    def assignment(self) -> Iterable[Any]:
        """Return the partitions assigned to this member."""

    async def seek(self, partition: TP, offset: int) -> None:
        """Read on from `offset`."""

    def stop_flow(self) -> None:
        """Start no more polls."""

    def resume_flow(self) -> None:
        """Let polls start again."""

    def resume_partitions(self, partitions: set[TP]) -> None:
        """Poll these partitions again."""


class Worker(Protocol):
    """The app, as its parts see it; attributes of type Any are Faust's own."""

    engine_settings: Settings
    clock: BrokerClock
    membership: Membership
    """The group membership under which partitions are assigned; the consumer's thread sets it."""
    conf: Any
    flow_control: Any
    on_rebalance_complete: Any
    rebalancing: Any
    consumer_generation_id: Any
    _fetcher: Any

    @property
    def committer(self) -> Committer:
        """The committer of this process."""

    @property
    def ready(self) -> bool:
        """Whether everything assigned has been taken over and is being read."""

    @property
    def tables(self) -> WorkerTables:
        """The service that takes partitions over."""

    @property
    def consumer(self) -> WorkerConsumer:
        """The consumer of this process."""

    def on_rebalance_end(self) -> None:
        """Tell Faust that the rebalance is over."""
