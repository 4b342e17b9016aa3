"""Wallet commands: freeze, unfreeze, close, set overdraft limits.

A wallet that already has the wanted state is returned without a command.  Otherwise
command_execution sends the command and returns the changed wallet, or raises its refusal.
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
"""Returns whether a wallet has the wanted state."""


class StatusView(LedgerView):
    """Changes the status of a wallet."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation({200: Success("The changed wallet", WalletView)}, (404, 409), body=StatusChange)
    }
    command: str
    wanted: str

    async def post(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with the changed wallet, 404, or 409 with the reason."""
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
    """Freeze a wallet: it refuses deductions."""

    command, wanted = "FreezeWallet", "frozen"


class Unfreeze(StatusView):
    """Unfreeze a wallet: it accepts deductions again."""

    command, wanted = "UnfreezeWallet", "open"


class Close(StatusView):
    """Close an empty wallet."""

    command, wanted = "CloseWallet", "closed"


class Limits(LedgerView):
    """Set overdraft limits; the other currencies keep theirs."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "PUT": Operation({200: Success("The changed wallet", WalletView)}, (404, 409), body=LimitsChange)
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
