"""The server: the provider's protocol over HTTP, with one book and one fault behaviour.

A fault delays or loses the response, or keeps the call from the book.  It never changes
the book's answer.  Calls are counted in memory, for the draw of faults only; GET requests
have no faults.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from ledger_streams.domain.ids import is_canonical_id
from ledger_streams.domain.money import check_currency, format_amount, parse_amount
from ledger_streams.errors import Unreadable
from ledger_streams.local.provider_simulator.book import CANCELLED, Book, Entry, Order
from ledger_streams.local.provider_simulator.faults import Behaviour, Fault
from ledger_streams.wire import read_document

REFUSAL: Final = "not_honoured"
"""Reason of a payment that the provider declines."""
BODY_BYTES_MAX: Final = 64 * 1024
"""Maximum size of a request; an order has some hundred bytes."""


class _Content(msgspec.Struct, frozen=True):
    kind: str
    amount: str
    currency: str
    payment_id: str


class ProviderServer:
    """The HTTP routes of one provider."""

    def __init__(self, book: Book, behaviour: Behaviour) -> None:
        self._book = book
        self._behaviour = behaviour
        self._calls: Counter[tuple[str, str]] = Counter()

    def app(self) -> web.Application:
        """Return the application that serves the protocol."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes(
            [
                web.put("/payments/{key}", self._carry_out),
                web.put("/payments/{key}/cancellation", self._cancel),
                web.get("/payments/{key}", self._show),
                web.get("/book", self._show_book),
            ]
        )
        return app

    async def _carry_out(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        try:
            order = _read_order(key, await request.read())
        except Unreadable as error:
            return _json({"error": error.detail}, status=400)
        refusal = REFUSAL if self._behaviour.declines(key) else None

        def act() -> web.Response:
            entry = self._book.carry_out(key, order, refusal=refusal)
            return (
                _json({"error": "the key exists with other content"}, 409) if entry is None else _told(entry)
            )

        return await self._misbehaving(request, "carry_out", act)

    async def _cancel(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        if not is_canonical_id(key):
            return _json({"error": "key: must be a UUID, lower-case and hyphenated"}, status=400)

        def act() -> web.Response:
            self._book.cancel(key)
            return _json({"status": CANCELLED})

        return await self._misbehaving(request, "cancel", act)

    async def _misbehaving(
        self, request: web.Request, call: str, act: Callable[[], web.Response]
    ) -> web.Response:
        """Return the response of `act`, with the fault that is drawn for this call."""
        key = request.match_info["key"]
        self._calls[call, key] += 1
        fault = self._behaviour.fault(key, call, self._calls[call, key])
        slow_s = self._behaviour.slow_ms / 1000
        await asyncio.sleep(self._behaviour.latency_ms / 1000)
        if fault is Fault.ERROR:
            return _json({"error": "out of order"}, status=503)
        if fault is Fault.LATE_ACTION:
            await asyncio.sleep(slow_s)
        answer = act()
        if fault is Fault.DOUBLE:
            answer = act()
        if fault is Fault.LATE_ANSWER:
            await asyncio.sleep(slow_s)
        if fault is Fault.LOST_ERROR:
            return _json({"error": "out of order"}, status=503)
        if fault is Fault.LOST_CONNECTION and request.transport is not None:
            request.transport.abort()
        return answer

    async def _show(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        entry = self._book.entry(key)
        if entry is None:
            return _json({"error": "the book has no entry for this key"}, status=404)
        content = {} if entry.order is None else _shown(key, entry.order)
        return _json({"key": key} | content | {"status": entry.status, "detail": entry.detail})

    async def _show_book(self, request: web.Request) -> web.Response:
        shown: dict[str, Any] = {"currencies": self._book.sums()}
        if request.query.get("keys") == "1":
            shown["keys"] = [_shown(key, order) for key, order in self._book.effective()]
        return _json(shown)


def _read_order(key: str, body: bytes) -> Order:
    """Return the checked order; raises Unreadable with the name of the field."""
    try:
        content = msgspec.convert(read_document(body), _Content)
    except msgspec.ValidationError as error:
        raise Unreadable(reason="invalid", detail=str(error)) from error
    for field, value in (("key", key), ("payment_id", content.payment_id)):
        if not is_canonical_id(value):
            raise Unreadable(reason="invalid", detail=f"{field}: must be a UUID, lower-case and hyphenated")
    if content.kind not in ("deposit", "withdrawal"):
        raise Unreadable(reason="invalid", detail="kind: must be deposit or withdrawal")
    currency = check_currency(content.currency, field="currency")
    amount_minor = parse_amount(content.amount, currency, field="amount")
    return Order(content.payment_id, content.kind, amount_minor, currency)


def _told(entry: Entry) -> web.Response:
    """Return the response to an order."""
    match entry.status:
        case "approved":
            return _json({"status": "approved", "reference": entry.detail})
        case "declined":
            return _json({"status": "declined", "reason": entry.detail})
        case _:
            return _json({"status": "declined", "reason": CANCELLED})


def _shown(key: str, order: Order) -> dict[str, str]:
    return {
        "key": key,
        "payment_id": order.payment_id,
        "kind": order.kind,
        "amount": format_amount(order.amount_minor, order.currency),
        "currency": order.currency,
    }


def _json(document: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")
