"""Statements: GET /v1/wallets/{id}/statement, the movements and sums of a period.

A period includes `from` and excludes `to`; the view first translates it into a range of
wallet versions.  Opening is the state before the range, closing the state after it, so
opening + movements = closing always holds.  Only the first page computes the sums; later
pages continue by version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

import msgspec
from aiohttp import web

from ledger_streams.domain.money import format_amount
from ledger_streams.ports import WalletView
from ledger_streams.ports.history import MovementView, Turnover, VersionRange
from web.http.operations import Operation, Parameter, Success, ref
from web.http.payloads import parse_time
from web.http.problems import not_found, unprocessable
from web.services import Services
from web.views import LedgerView, integer, json_response, query
from web.wallets.balances import currency_parameter, time_parameter, wallet_at
from web.wallets.reads import id_in_path, wallet_or_404

MOVEMENTS_DEFAULT: Final = 100
MOVEMENTS_MAX: Final = 1000
"""Maximum length of a page; a thousand movements without metadata are about a quarter of a MiB."""
LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": MOVEMENTS_MAX}
TICK: Final = timedelta(microseconds=1)
"""Resolution of stored times; the last time before `t` is `t - TICK`."""
BEGIN: Final = datetime.min.replace(tzinfo=UTC)
NOTHING_MOVED: Final = Turnover(0, None, None)


class CurrencySums(msgspec.Struct, frozen=True):
    """One currency of a statement: opening + total_in - total_out = closing."""

    currency: str
    opening: str
    total_in: str
    total_out: str
    closing: str
    movements: int


class Statement(msgspec.Struct, frozen=True):
    """A page of a statement; only the first page has `sums`; `next` is null on the last page.

    A null `from` means the beginning of the wallet.  A request without `to` gets the time
    just after the last event.
    """

    wallet_id: str
    since: str | None = msgspec.field(name="from")
    to: str
    sums: Sequence[CurrencySums] | None
    movements: Sequence[MovementView]
    next: int | None


class StatementQuery(msgspec.Struct, frozen=True):
    """Filters and page of a statement; the first page has no `after`."""

    wallet_id: str
    since: datetime | None
    to: datetime | None
    currency: str | None = None
    after: int | None = None
    limit: int = MOVEMENTS_DEFAULT


class Period(msgspec.Struct, frozen=True):
    """Bounds of a statement: the wallet before it (None: not open yet) and after it."""

    opening: WalletView | None
    closing: WalletView
    to: datetime


class WalletStatement(LedgerView):
    """Movements of a wallet in a period, with opening and closing balances."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("A page of the statement", Statement)},
            (404,),
            (
                Parameter("from", "Events at this time or later; default: from the first.", ref("Time")),
                Parameter("to", "Events before this time; default: up to the last.", ref("Time")),
                Parameter("currency", "Only this currency.", ref("Currency")),
                Parameter("after", "`next` of the previous page.", {"type": "integer", "minimum": 0}),
                Parameter("limit", "Maximum length of the page.", LIMIT),
            ),
        )
    }

    async def get(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with movements in order; 404 for no wallet by then, or a currency it does not hold."""
        services = self.services(request)
        asked = _asked(query(request, "from", "to", "currency", "after", "limit"), wallet_id)
        return json_response(await statement(services, asked))


async def statement(services: Services, asked: StatementQuery) -> Statement:
    """Return a page of a statement; raises Rejected 404."""
    period = await _period(services, asked)
    versions = _version_range(period, asked.currency)
    wallet_id, sums = asked.wallet_id, None
    if asked.after is None:
        sums = _sums(period, versions, await services.read_model.turnovers(wallet_id, versions))
    else:
        versions = msgspec.structs.replace(versions, after=max(asked.after, versions.after))
    found = await services.read_model.movements(wallet_id, versions, limit=asked.limit + 1)
    movements = found[: asked.limit]
    return Statement(
        wallet_id,
        None if asked.since is None else _text(asked.since),
        _text(period.to),
        sums,
        movements,
        movements[-1].version if len(found) > asked.limit else None,
    )


def _asked(parameters: Mapping[str, str], wallet_id: str) -> StatementQuery:
    currency = currency_parameter(parameters.get("currency"))
    since, to = (time_parameter(parameters.get(name), field=name) for name in ("from", "to"))
    if since is not None and to is not None and since >= to:
        raise unprocessable("to", "must be later than `from`")
    after = integer(parameters, "after", default=0) if "after" in parameters else None
    limit = integer(parameters, "limit", default=MOVEMENTS_DEFAULT, smallest=1, largest=MOVEMENTS_MAX)
    return StatementQuery(id_in_path(wallet_id, "wallet"), since, to, currency, after, limit)


async def _period(services: Services, asked: StatementQuery) -> Period:
    wallet_id, since, to = asked.wallet_id, asked.since, asked.to
    if to is None:
        closing = await wallet_or_404(services, wallet_id)
    else:
        closing = await wallet_at(services, wallet_id, _before(to))
    opening = None if since is None else await services.read_model.wallet_at(wallet_id, _before(since))
    return Period(opening, closing, to or parse_time(closing.as_of, field="to") + TICK)


def _before(at: datetime) -> datetime:
    return at if at == BEGIN else at - TICK


def _version_range(period: Period, currency: str | None) -> VersionRange:
    if currency is not None and currency not in period.closing.balances:
        raise not_found(f"The wallet does not hold {currency}.")
    return VersionRange(period.opening.version if period.opening else 0, period.closing.version, currency)


def _sums(
    period: Period, versions: VersionRange, turnovers: Mapping[str, Turnover]
) -> Sequence[CurrencySums]:
    opening = period.opening.balances if period.opening else {}
    sums = []
    for currency, closing in sorted(period.closing.balances.items()):
        if versions.currency in (None, currency):
            zero, turnover = format_amount(0, currency), turnovers.get(currency, NOTHING_MOVED)
            before = opening[currency].balance if currency in opening else zero
            totals = turnover.total_in or zero, turnover.total_out or zero
            sums.append(CurrencySums(currency, before, *totals, closing.balance, turnover.movements))
    return sums


def _text(at: datetime) -> str:
    """Return a client's time as RFC 3339 text; strftime would drop the leading zeros of early years."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
