"""Balances: GET /v1/wallets/{id}/balance, from Redis, else PostgreSQL; `at` asks for the past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

import msgspec
from aiohttp import web

from ledger_streams.domain.money import CURRENCIES
from ledger_streams.ports import WalletView
from web.http.operations import Operation, Parameter, Success, ref
from web.http.payloads import parse_time
from web.http.problems import not_found, unprocessable
from web.services import Services
from web.views import LedgerView, json_response, query
from web.wallets.reads import cached_wallet, id_in_path, wallet_or_404


class CurrencyBalance(msgspec.Struct, frozen=True):
    """The money of one currency; balance = available + held."""

    currency: str
    available: str
    held: str
    balance: str


class Balances(msgspec.Struct, frozen=True):
    """The balances of a wallet as of its event `version`."""

    wallet_id: str
    balances: list[CurrencyBalance]
    version: int
    as_of: str


class Balance(LedgerView):
    """The balances of a wallet, all or one currency's, now or as of a moment."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("The balances", Balances, {"X-Cache": {"enum": ["hit", "miss"]}})},
            problems=(404,),
            parameters=(
                Parameter("currency", "This one alone.", ref("Currency")),
                Parameter("at", "As of this time.", ref("Time")),
            ),
        )
    }

    async def get(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with X-Cache; 404 for no wallet then, or a currency it does not hold."""
        services = self.services(request)
        parameters = query(request, "currency", "at")
        currency = currency_parameter(parameters.get("currency"))
        at = time_parameter(parameters.get("at"), field="at")
        wallet_id = id_in_path(wallet_id, "wallet")
        if at is None:
            wallet, hit = await cached_wallet(services, wallet_id)
        else:
            wallet, hit = await wallet_at(services, wallet_id, at), False
        headers = {"X-Cache": "hit" if hit else "miss"}
        return json_response(_balances(wallet, currency), headers=headers)


async def wallet_at(services: Services, wallet_id: str, at: datetime) -> WalletView:
    """Return the wallet as of then; raises Rejected 404."""
    wallet = await services.read_model.wallet_at(wallet_id, at)
    if wallet is None:
        await wallet_or_404(services, wallet_id)
        raise not_found("The wallet was not open yet at that time.")
    return wallet


def _balances(wallet: WalletView, currency: str | None) -> Balances:
    held = wallet.balances if currency is None else {currency: wallet.balances.get(currency)}
    balances = [
        CurrencyBalance(code, sum_.available, sum_.held, sum_.balance)
        for code, sum_ in sorted(held.items())
        if sum_ is not None
    ]
    if not balances and currency is not None:
        raise not_found(f"The wallet does not hold {currency}.")
    return Balances(wallet.wallet_id, balances, wallet.version, wallet.as_of)


def currency_parameter(text: str | None) -> str | None:
    """Return the currency that a query names, if it does; raises Rejected 422 for none that is known."""
    if text is not None and text not in CURRENCIES:
        raise unprocessable("currency", "must be an ISO 4217 currency code")
    return text


def time_parameter(text: str | None, *, field: str) -> datetime | None:
    """Read RFC 3339; a `+` that came as a space, as form encoding has it, is taken for what it was."""
    if text is None:
        return None
    return parse_time(text.replace(" ", "+"), field=field)
