"""Commands to a wallet: freeze, unfreeze, close, and other overdraft limits.

A wallet that is as asked already is the answer; any other is asked, and the answer is what
it is then (wallet_answers), or its refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from ledger_streams.ports import WalletView
from web.http.operations import Operation, Success
from web.http.payloads import LimitsChange, StatusChange, convert_body
from web.services import Services
from web.views import LedgerView, json_response, query
from web.wallets.command_execution import WalletCommand, execute_command
from web.wallets.reads import id_in_path, wallet_or_404
from web.wallets.views import checked_limits

Wanted = Callable[[WalletView], bool]
"""Says whether a wallet is as asked."""


class StatusView(LedgerView):
    """Asks a wallet to change its status."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation({200: Success("The wallet as asked", WalletView)}, (404, 409), body=StatusChange)
    }
    command: str
    wanted: str

    async def post(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the wallet as asked, 404, or 409 with the reason."""
        query(request)
        reason = convert_body(await self.body(request), StatusChange).reason
        wanted = self.wanted
        return await _execute_unless_as_asked(
            self.services(request),
            id_in_path(wallet_id, "wallet"),
            self.command,
            {"reason": reason},
            lambda wallet: wallet.status == wanted,
        )


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
    """Set overdraft limits; currencies that are not named keep theirs."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "PUT": Operation({200: Success("The wallet as asked", WalletView)}, (404, 409), body=LimitsChange)
    }

    async def put(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the wallet and its new limits, 404, or 409 with the reason."""
        query(request)
        limits = checked_limits(convert_body(await self.body(request), LimitsChange).overdraft_limits)

        def has_these(wallet: WalletView) -> bool:
            balances = wallet.balances
            return all(
                currency in balances and balances[currency].overdraft_limit == limit
                for currency, limit in limits.items()
            )

        wallet_id, data = id_in_path(wallet_id, "wallet"), {"overdraft_limits": limits}
        return await _execute_unless_as_asked(
            self.services(request), wallet_id, "ChangeLimits", data, has_these
        )


async def _execute_unless_as_asked(
    services: Services,
    wallet_id: str,
    name: str,
    data: Mapping[str, Any],
    wanted: Wanted,
) -> web.Response:
    async def as_asked(wallet: WalletView) -> bool:
        return wanted(wallet)

    wallet = await wallet_or_404(services, wallet_id)
    if not wanted(wallet):
        command = WalletCommand(services.new_id(), name, data, as_asked)
        wallet = await execute_command(services, wallet, command)
    return json_response(wallet)
