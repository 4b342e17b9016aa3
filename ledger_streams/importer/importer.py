"""The import itself: lanes of payments; a lane's next payment is sent when its previous one has ended.

A lane has a wallet's rows in the order of the file, or a single independent payment.  At
most `in_flight_max` payments are in flight.  One query per tick asks the read model for
the payments that have ended.  Sending again is safe: ids are derived from the file, and
the ledger deduplicates payments by id.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

import msgspec

from ledger_streams import wire
from ledger_streams.domain.ids import derived_id
from ledger_streams.errors import Unavailable
from ledger_streams.importer.rows import PaymentRow
from ledger_streams.importer.tally import Tally
from ledger_streams.ports import Message, Outcome, PaymentView, Publisher, ReadModel
from ledger_streams.resilience import Backoff, retried

T = TypeVar("T")

IDS_A_QUERY_MAX: Final = 5_000
TICK_S: Final = 0.02
AWAY: Final = Backoff(first_ms=200, wait_ms_max=5_000, attempts_max=20)
"""The import survives a restart of PostgreSQL or Kafka: it retries for 90 s, or for its `patience_s`."""


class Pace(msgspec.Struct, frozen=True):
    """The load of an import, and its patience (seconds without progress)."""

    in_flight_max: int = 2_000
    patience_s: float = 60.0


class Ledger(msgspec.Struct, frozen=True):
    """Ports of the ledger for an import, and full names of the topics."""

    read_model: ReadModel
    publisher: Publisher
    payment_events: str
    wallet_commands: str


class Importer:
    """Sends rows and counts their outcomes in a `Tally`."""

    def __init__(self, ledger: Ledger, tally: Tally, pace: Pace) -> None:
        self._read_model = ledger.read_model
        self._publisher = ledger.publisher
        self._topic = ledger.payment_events
        self._tally = tally
        self._pace = pace
        self._pending_before: set[str] = set()
        self._in_flight: dict[str, PaymentRow] = {}
        self._ready: deque[deque[PaymentRow]] = deque()
        self._busy: dict[str, deque[PaymentRow]] = {}

    async def remaining_rows(self, rows: Iterable[PaymentRow]) -> list[PaymentRow]:
        """Return the rows whose payments have not ended; count the others."""
        left: list[PaymentRow] = []
        for some in chunked(rows, IDS_A_QUERY_MAX):
            known = await self._known([row.payment_id for row in some])
            left.extend(row for row in some if self._is_left(row, known.get(row.payment_id)))
        return left

    async def carry_out(self, rows: Sequence[PaymentRow]) -> None:
        """Send all rows; return when all have ended, or after `patience_s` without progress."""
        for lane in lanes(rows):
            self._ready.append(lane)
        moved_at_s = time.monotonic()
        while self._ready or self._in_flight:
            sent = await self._send_ready()
            ended = self._take_ended(await self._outcomes())
            now_s = time.monotonic()
            if sent or ended:
                moved_at_s = now_s
            elif now_s - moved_at_s > self._pace.patience_s:
                return
            await asyncio.sleep(TICK_S)

    async def _known(self, ids: Sequence[str]) -> Mapping[str, PaymentView]:
        return await self._patiently(lambda: self._read_model.known_payments(ids), "known payments")

    def _is_left(self, row: PaymentRow, known: PaymentView | None) -> bool:
        if known is None:
            return True
        if known.fingerprint != row.fingerprint:
            self._tally.other_content(row, known)
        elif known.status == "pending":
            self._pending_before.add(row.payment_id)
            return True
        else:
            self._tally.already(row, known)
        return False

    async def _send_ready(self) -> int:
        """Send the next row of each ready lane, up to `in_flight_max` in all; return the number of rows."""
        rows: list[PaymentRow] = []
        while self._ready and len(self._in_flight) < self._pace.in_flight_max:
            lane = self._ready.popleft()
            row = lane.popleft()
            self._in_flight[row.payment_id] = row
            self._busy[row.lane] = lane
            rows.append(row)
        self._tally.under_way = len(self._in_flight)
        now = datetime.now(UTC)
        messages = [request(row, topic=self._topic, now=now) for row in rows if self._is_unsent(row)]
        if messages:
            await self._patiently(lambda: self._publisher.publish(messages), "sending")
            self._tally.sent += len(messages)
        return len(rows)

    def _is_unsent(self, row: PaymentRow) -> bool:
        return row.payment_id not in self._pending_before

    async def _outcomes(self) -> Mapping[str, Outcome]:
        found: dict[str, Outcome] = {}
        for ids in chunked(self._in_flight, IDS_A_QUERY_MAX):
            found.update(await self._outcomes_of(ids))
        return found

    async def _outcomes_of(self, ids: Sequence[str]) -> Mapping[str, Outcome]:
        return await self._patiently(lambda: self._read_model.outcomes(ids), "outcomes")

    async def _patiently(self, call: Callable[[], Awaitable[T]], purpose: str) -> T:
        return await retry_unavailable(call, purpose=purpose, patience_s=self._pace.patience_s)

    def _take_ended(self, outcomes: Mapping[str, Outcome]) -> int:
        for payment_id, outcome in outcomes.items():
            row = self._in_flight.pop(payment_id)
            if outcome.payment.fingerprint == row.fingerprint:
                self._tally.ended(row, outcome.payment)
            else:
                self._tally.other_content(row, outcome.payment)
            lane = self._busy.pop(row.lane)
            if lane:
                self._ready.append(lane)
        self._tally.under_way = len(self._in_flight)
        return len(outcomes)


async def retry_unavailable(call: Callable[[], Awaitable[T]], *, purpose: str, patience_s: float) -> T:
    """Retry `call` while it raises Unavailable, for at most `patience_s`; then raise the last error."""
    last = Unavailable(dependency="ledger", detail=f"no answer within {patience_s:g} s ({purpose})")

    async def tried() -> T:
        nonlocal last
        try:
            return await call()
        except Unavailable as error:
            last = error
            raise

    try:
        async with asyncio.timeout(patience_s):
            return await retried(tried, purpose=purpose, backoff=AWAY)
    except TimeoutError:
        raise last from None


def lanes(rows: Iterable[PaymentRow]) -> list[deque[PaymentRow]]:
    """Group rows by lane, in the order of the file; lanes are ordered by their first row."""
    grouped: dict[str, deque[PaymentRow]] = {}
    for row in rows:
        grouped.setdefault(row.lane, deque()).append(row)
    return list(grouped.values())


def request(row: PaymentRow, *, topic: str, now: datetime) -> Message:
    """Return the row's PaymentRequested; its event id is derived, so a resend is the same event."""
    event_id = derived_id(f"{row.payment_id}:PaymentRequested:1")
    value = wire.encode_payment_request(row.data, event_id=event_id, occurred_ms=wire.time_ms(now))
    return Message(topic, row.payment_id, value)


def chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
