"""Wallets: open one, read one, a user's, and a wallet's events.

Opening is a command to the wallets agent; the answer waits until the wallet is in the
read model, and says what is there: who opens an open wallet with the same content has
opened it, with other content has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec
from aiohttp import web

from ledger_streams.domain.money import check_currency, format_amount, parse_limit
from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unavailable, Unreadable
from ledger_streams.ports import ParkedView, WalletView
from web.envelopes import Content, to_message
from web.http.idempotency import check_given_id, id_seed_of, make_id
from web.http.operations import IDEMPOTENCY_KEY, LOCATION, Operation, Parameter, Success, ref
from web.http.payloads import WalletOpening, canonical_id, convert_body
from web.http.problems import Refused, invalid_content, not_found, unprocessable
from web.payments.responses import parked_text
from web.services import Services
from web.views import LedgerView, integer, json_response, query
from web.wallets.reads import id_in_path, wallet_or_404, write_through

EVENTS_DEFAULT: Final = 100
EVENTS_MAX: Final = 1000
"""Of one answer; a thousand envelopes are less than 1 MiB."""
WALLETS_DEFAULT: Final = 100
WALLETS_MAX: Final = 1000
BEFORE: Final = "Only earlier ones, newest first; a number beyond the last begins with the newest."
ENVELOPE_FIELDS: Final = (
    *("event_id", "event_type", "schema_version", "aggregate_id", "event_version", "occurred_at"),
    *("correlation_id", "causation_id", "data", "wallet"),
)
"""What every envelope of wallet-events has."""


class UserWalletsPage(msgspec.Struct, frozen=True):
    """A page of a user's wallets, by wallet_id; `next` is the `after` of the next page, null on the last."""

    user_id: str
    wallets: Sequence[WalletView]
    next: str | None


class EventsPage(msgspec.Struct, frozen=True):
    """Envelopes of wallet-events; `next` is the after_version, or before_version, of the next page."""

    events: Sequence[
        Annotated[Mapping[str, Any], msgspec.Meta(extra_json_schema={"required": ENVELOPE_FIELDS})]
    ]
    next: int | None


class Wallets(LedgerView):
    """Open a wallet."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation(
            {
                200: Success("The wallet, opened earlier", WalletView, LOCATION),
                201: Success("The wallet", WalletView, LOCATION),
            },
            (409,),
            (IDEMPOTENCY_KEY,),
            WalletOpening,
        )
    }

    async def post(self, request: web.Request) -> web.Response:
        """Answer 201 with the wallet once it is open, 200 when it was, 409 when it is another."""
        services = self.services(request)
        query(request)
        opening = convert_body(await self.body(request), WalletOpening)
        wallet_id = _wallet_id(services, request, opening)
        content = _content(opening)
        status = await _opened_status(services, wallet_id, content)
        epoch = services.cache.epoch
        wallet = await wallet_or_404(services, wallet_id)
        await write_through(services, [wallet], epoch)
        return json_response(wallet, status=status, headers={"Location": f"/v1/wallets/{wallet_id}"})


class WalletResponse(WalletView, frozen=True):
    """A wallet, and its records that could not be projected, where there are any."""

    parked: tuple[ParkedView, ...] | msgspec.UnsetType = msgspec.UNSET


class WalletDetail(LedgerView):
    """A wallet as it stands."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("The wallet", WalletResponse)}, (404,))
    }

    async def get(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the wallet, or 404."""
        query(request)
        services, wallet_id = self.services(request), id_in_path(wallet_id, "wallet")
        parked = await services.read_model.parked(wallet_id)
        if parked and await services.read_model.wallet(wallet_id) is None:
            raise not_found(f"This wallet is not projected: {parked_text(parked)}.")
        wallet = await wallet_or_404(services, wallet_id)
        fields = {name: getattr(wallet, name) for name in wallet.__struct_fields__}
        return json_response(WalletResponse(**fields, parked=tuple(parked) or msgspec.UNSET))


class UserWallets(LedgerView):
    """The wallets of a user."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("A page of them", UserWalletsPage)},
            (404,),
            (
                Parameter("after", "`next` of the page before.", ref("Id")),
                Parameter("limit", "Of the page.", {"type": "integer", "minimum": 1, "maximum": WALLETS_MAX}),
            ),
        )
    }

    async def get(self, request: web.Request, user_id: str) -> web.Response:
        """Answer 200 with a page of the user's wallets by wallet_id; 404 when there are none."""
        parameters, read_model = query(request, "after", "limit"), self.services(request).read_model
        after = canonical_id(parameters["after"], field="after") if "after" in parameters else ""
        limit = integer(parameters, "limit", default=WALLETS_DEFAULT, smallest=1, largest=WALLETS_MAX)
        user_id = id_in_path(user_id, "user")
        found = await read_model.wallets_of_user(user_id, after=after, limit=limit + 1)
        if not found and not (after and await read_model.wallets_of_user(user_id, after="", limit=1)):
            raise not_found("There is no such user with a wallet.")
        wallets = found[:limit]
        return json_response(
            UserWalletsPage(user_id, wallets, wallets[-1].wallet_id if len(found) > limit else None)
        )


class WalletEvents(LedgerView):
    """The events of a wallet."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("A page of them", EventsPage)},
            (404,),
            (
                Parameter("after_version", "Only later ones, in order.", {"type": "integer", "minimum": 0}),
                Parameter("before_version", BEFORE, {"type": "integer", "minimum": 0}),
                Parameter("limit", "Of the page.", {"type": "integer", "minimum": 1, "maximum": EVENTS_MAX}),
            ),
        )
    }

    async def get(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with envelopes in order, or newest first; `next` begins the next page, or is null."""
        parameters = query(request, "after_version", "before_version", "limit")
        if "before_version" in parameters and "after_version" in parameters:
            raise unprocessable("before_version", "is for pages in the other order than after_version")
        limit = integer(parameters, "limit", default=EVENTS_DEFAULT, smallest=1, largest=EVENTS_MAX)
        wallet_id = id_in_path(wallet_id, "wallet")
        found = await _found(self.services(request), wallet_id, parameters, limit + 1)
        if not found:
            await wallet_or_404(self.services(request), wallet_id)
        events = found[:limit]
        next_version = events[-1]["event_version"] if len(found) > limit else None
        return json_response(EventsPage(events, next_version))


async def _found(
    services: Services, wallet_id: str, parameters: Mapping[str, str], limit: int
) -> Sequence[Mapping[str, Any]]:
    before = integer(parameters, "before_version", default=0)
    after = integer(parameters, "after_version", default=0)
    if "before_version" in parameters:
        return await services.read_model.wallet_events_before(wallet_id, before_version=before, limit=limit)
    return await services.read_model.wallet_events(wallet_id, after_version=after, limit=limit)


def _wallet_id(services: Services, request: web.Request, opening: WalletOpening) -> str:
    id_seed = id_seed_of(request)
    if opening.wallet_id is None:
        return make_id(services, id_seed, prefix="wallet:")
    given = canonical_id(opening.wallet_id, field="wallet_id")
    return check_given_id(given, id_seed, field="wallet_id", prefix="wallet:")


def _content(opening: WalletOpening) -> dict[str, Any]:
    """Return what the wallet is to be, checked, with a limit for each currency."""
    user_id = canonical_id(opening.user_id, field="user_id")
    currencies, limits = opening.currencies, opening.overdraft_limits or {}
    if not currencies or len(set(currencies)) != len(currencies):
        raise unprocessable("currencies", "must be one or more currency codes, each once")
    try:
        for position, currency in enumerate(currencies):
            check_currency(currency, field=f"currencies[{position}]")
    except Unreadable as error:
        raise invalid_content(error) from error
    strange = sorted(limits.keys() - set(currencies))
    if strange:
        raise unprocessable(f"overdraft_limits.{strange[0]}", "is not among the wallet's currencies")
    all_limits = checked_limits(dict.fromkeys(currencies, "0") | limits)
    return {"user_id": user_id, "currencies": currencies, "overdraft_limits": all_limits}


def checked_limits(limits: Mapping[str, str]) -> dict[str, str]:
    """Return overdraft limits with all digits; raises Rejected 422 naming the currency at fault."""
    checked = {}
    try:
        for currency, text in limits.items():
            field = f"overdraft_limits.{currency}"
            check_currency(currency, field=field)
            checked[currency] = format_amount(parse_limit(text, currency, field=field), currency)
    except Unreadable as error:
        raise invalid_content(error) from error
    return checked


async def _opened_status(services: Services, wallet_id: str, content: Mapping[str, Any]) -> int:
    """Open the wallet unless it is open, and return 201 if it was this request that did it, else 200."""
    first = await _first_event(services, wallet_id)
    if first is not None:
        return _status_of_open(first, content)
    command_id = services.new_id()
    command = Content(wallet_id, "OpenWallet", command_id, {"wallet_id": wallet_id, **content})
    await services.publisher.publish(
        [to_message(services.topics.wallet_commands, command, now=services.now())]
    )
    await services.outcomes.wait_for_wallet(wallet_id, lambda _: True, services.projection_wait_s)
    first = await _first_event(services, wallet_id)
    if first is None:
        raise Unavailable(dependency="read model", detail="the wallet is not projected yet")
    return 201 if first["causation_id"] == command_id else _status_of_open(first, content)


async def _first_event(services: Services, wallet_id: str) -> Mapping[str, Any] | None:
    events = await services.read_model.wallet_events(wallet_id, after_version=0, limit=1)
    return events[0] if events else None


def _status_of_open(first: Mapping[str, Any], content: Mapping[str, Any]) -> int:
    """Return 200 when the WalletOpened has this content, in whatever order; raises Rejected 409."""
    opened = first["data"]
    limits = {currency: format_amount(0, currency) for currency in opened["currencies"]}
    limits |= opened["overdraft_limits"]
    if opened["user_id"] != content["user_id"] or limits != content["overdraft_limits"]:
        raise Refused(reason=Reason.DUPLICATE_MISMATCH, detail="The wallet is open with other content.")
    return 200
