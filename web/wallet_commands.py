"""Commands to a wallet: freeze, unfreeze, close, and other overdraft limits.

A wallet that is as asked says nothing to a command, so the answer never waits for an
event alone: it waits for the wallet to move, and looks whether that was its command,
carried out or refused, or whether the wallet is as asked by somebody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unavailable
from ledger_streams.ports import WalletView
from web.envelopes import Content, enveloped
from web.payloads import REASON_CHARACTERS_MAX, LimitsChange, StatusChange, shaped
from web.problems import Refused, unprocessable
from web.reading import id_in_path, wallet_or_404, write_through
from web.services import Services
from web.views import LedgerView, answer, query
from web.wallets import checked_limits


class WalletCommand(msgspec.Struct, frozen=True):
    """What a wallet is asked to do, and how to see that it is so already."""

    name: str
    data: Mapping[str, Any]
    as_asked: Callable[[WalletView], bool]


class StatusView(LedgerView):
    """POST /v1/wallets/{wallet_id}/...: asks a wallet to change its status."""

    command: str
    wanted: str

    async def post(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the wallet as asked, 404, or 409 with the reason."""
        query(request)
        reason = shaped(await self.body(request), StatusChange).reason
        if not 1 <= len(reason) <= REASON_CHARACTERS_MAX:
            raise unprocessable("reason", f"must have 1 to {REASON_CHARACTERS_MAX} characters")
        wanted = self.wanted
        command = WalletCommand(self.command, {"reason": reason}, lambda wallet: wallet.status == wanted)
        return await _carried_out(self.services(request), id_in_path(wallet_id, "wallet"), command)


class Freeze(StatusView):
    """Refuse deductions from now on."""

    command, wanted = "FreezeWallet", "frozen"


class Unfreeze(StatusView):
    """Take deductions again."""

    command, wanted = "UnfreezeWallet", "open"


class Close(StatusView):
    """Close an empty wallet for ever."""

    command, wanted = "CloseWallet", "closed"


class Limits(LedgerView):
    """PUT /v1/wallets/{wallet_id}/limits."""

    async def put(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the wallet and its new limits, 404, or 409 with the reason."""
        query(request)
        limits = checked_limits(shaped(await self.body(request), LimitsChange).overdraft_limits)
        if not limits:
            raise unprocessable("overdraft_limits", "must name one currency or more")

        def has_these(wallet: WalletView) -> bool:
            balances = wallet.balances
            return all(
                currency in balances and balances[currency].overdraft_limit == limit
                for currency, limit in limits.items()
            )

        command = WalletCommand("ChangeLimits", {"overdraft_limits": limits}, has_these)
        return await _carried_out(self.services(request), id_in_path(wallet_id, "wallet"), command)


async def _carried_out(services: Services, wallet_id: str, command: WalletCommand) -> web.Response:
    wallet = await wallet_or_404(services, wallet_id)
    if not command.as_asked(wallet):
        wallet = await _asked(services, wallet, command)
        await write_through(services, [wallet])
    return answer(wallet)


async def _asked(services: Services, wallet: WalletView, command: WalletCommand) -> WalletView:
    """Send the command and return the wallet after it; raises Rejected 409 when the wallet refuses."""
    command_id = services.new_id()
    data = {"wallet_id": wallet.wallet_id, **command.data}
    content = Content(wallet.wallet_id, command.name, command_id, data)
    message = enveloped(services.topics.wallet_commands, content, now=services.now())
    await services.publisher.publish([message])
    try:
        async with asyncio.timeout(services.projection_wait_s):
            return await _after(services, wallet, command_id=command_id, as_asked=command.as_asked)
    except TimeoutError as error:
        raise Unavailable(dependency="read model", detail="the command is not projected yet") from error


async def _after(
    services: Services, wallet: WalletView, *, command_id: str, as_asked: Callable[[WalletView], bool]
) -> WalletView:
    wallet_id, seen = wallet.wallet_id, wallet.version
    while True:
        moved = await _moved_beyond(services, wallet_id, seen)
        event = await services.read_model.wallet_event_of(wallet_id, command_id)
        if event is not None and event["event_type"] == "WalletCommandRefused":
            data = event["data"]
            raise Refused(reason=Reason(data["reason"]), detail=f"The wallet refused: {data['detail']}.")
        if event is not None:
            return await wallet_or_404(services, wallet_id)
        if as_asked(moved):
            return moved
        seen = moved.version


async def _moved_beyond(services: Services, wallet_id: str, version: int) -> WalletView:
    def moved(wallet: WalletView) -> bool:
        return wallet.version > version

    wallet = await services.outcomes.wait_for_wallet(wallet_id, moved, services.projection_wait_s)
    if wallet is None:
        raise TimeoutError
    return wallet
