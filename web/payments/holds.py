"""Holds of callers: set money aside in a wallet, look at what is held, let it go.

A hold is made once, whatever becomes of it: who asks again with the same content is told
how it stands, even if it has been captured or released since.  Money is taken out of a
hold by a payment that names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.ports import HoldView, WalletView
from web.http.operations import IDEMPOTENCY_KEY, LOCATION, Operation, Success
from web.http.payloads import HoldEnd, HoldRequest, convert_body
from web.http.problems import Refused, not_found
from web.payments.hold_input import HoldInput, read_hold_input
from web.services import Services
from web.views import LedgerView, json_response, query
from web.wallets.command_execution import WalletCommand, execute_command
from web.wallets.reads import id_in_path, wallet_or_404

RELEASED: Final = "released"
"""The reason of a release for which the caller gave none."""
OTHER_HOLD: Final = "This hold_id is known with other content; the first hold is unchanged."


class WalletHolds(msgspec.Struct, frozen=True):
    """All that a wallet holds."""

    wallet_id: str
    holds: Sequence[HoldView]


class Holds(LedgerView):
    """The holds of a wallet."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("The holds", WalletHolds)}, (404,)),
        "POST": Operation(
            {
                200: Success("The hold, made earlier", HoldView, LOCATION),
                201: Success("The hold", HoldView, LOCATION),
            },
            (404, 409),
            (IDEMPOTENCY_KEY,),
            HoldRequest,
        ),
    }

    async def get(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 200 with all that is held, payments' and callers', by hold_id; 404."""
        query(request)
        services, wallet_id = self.services(request), id_in_path(wallet_id, "wallet")
        holds = await services.read_model.holds(wallet_id)
        if not holds:
            await wallet_or_404(services, wallet_id)
        return json_response(WalletHolds(wallet_id, holds))

    async def post(self, request: web.Request, wallet_id: str) -> web.Response:
        """Answer 201 with the hold once the money is set aside, 200 when it was; 404; 409 with the reason."""
        services = self.services(request)
        query(request)
        asked = read_hold_input(services, request, convert_body(await self.body(request), HoldRequest))
        wallet = await wallet_or_404(services, id_in_path(wallet_id, "wallet"))
        status, event = await _held(services, wallet, asked)
        if not asked.is_of(event["data"]):
            raise Refused(reason=Reason.DUPLICATE_MISMATCH, detail=OTHER_HOLD)
        headers = {"Location": f"/v1/wallets/{wallet.wallet_id}/holds/{asked.hold_id}"}
        return json_response(await _as_it_stands(services, event), status=status, headers=headers)


class HoldDetail(LedgerView):
    """One hold of a caller's."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("The hold as it stands", HoldView)}, (404,))
    }

    async def get(self, request: web.Request, wallet_id: str, hold_id: str) -> web.Response:
        """Answer 200 with the hold, 0 left in one that has ended; 404."""
        query(request)
        services = self.services(request)
        return json_response(await _as_it_stands(services, await _hold_or_404(services, wallet_id, hold_id)))


class HoldRelease(LedgerView):
    """Make available again what is left of a caller's hold."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation(
            {200: Success("The hold, ended", HoldView)}, (404, 409), body=HoldEnd, body_required=False
        )
    }

    async def post(self, request: web.Request, wallet_id: str, hold_id: str) -> web.Response:
        """Answer 200 with the hold, which has ended; 404; 409 with the reason."""
        services = self.services(request)
        query(request)
        reason = convert_body(await self.optional_body(request), HoldEnd).reason or RELEASED
        wallet = await wallet_or_404(services, id_in_path(wallet_id, "wallet"))
        event = await _hold_or_404(services, wallet.wallet_id, hold_id)
        await _released(services, wallet, event["data"]["hold_id"], reason)
        return json_response(await _as_it_stands(services, event))


async def _held(services: Services, wallet: WalletView, asked: HoldInput) -> tuple[int, Mapping[str, Any]]:
    """Return 201 and the FundsHeld of this request, or 200 and that of an earlier one under its id."""
    wallet_id, hold_id, command_id = wallet.wallet_id, asked.hold_id, services.new_id()
    event = await services.read_model.hold_event(wallet_id, hold_id)
    if event is not None:
        return 200, event

    async def is_there(_: WalletView) -> bool:
        return await services.read_model.hold_event(wallet_id, hold_id) is not None

    data = asked.checked(services.now())
    try:
        await execute_command(services, wallet, WalletCommand(command_id, "HoldFunds", data, is_there))
    except Refused:
        event = await services.read_model.hold_event(wallet_id, hold_id)
        if event is None:
            raise
        return 200, event
    event = await _hold_or_404(services, wallet_id, hold_id)
    return 201 if event["causation_id"] == command_id else 200, event


async def _released(services: Services, wallet: WalletView, hold_id: str, reason: str) -> None:
    async def has_ended(_: WalletView) -> bool:
        return all(hold.hold_id != hold_id for hold in await services.read_model.holds(wallet.wallet_id))

    if await has_ended(wallet):
        return
    data = {"hold_id": hold_id, "reason": reason}
    try:
        await execute_command(
            services, wallet, WalletCommand(services.new_id(), "ReleaseHold", data, has_ended)
        )
    except Refused:
        if not await has_ended(wallet):
            raise


async def _hold_or_404(services: Services, wallet_id: str, hold_id: str) -> Mapping[str, Any]:
    """Return the FundsHeld of a caller's hold; raises Rejected 404."""
    wallet_id, hold_id = id_in_path(wallet_id, "wallet"), id_in_path(hold_id, "hold")
    event = await services.read_model.hold_event(wallet_id, hold_id)
    if event is None:
        raise not_found("There is no such hold of a caller's.")
    return event


async def _as_it_stands(services: Services, event: Mapping[str, Any]) -> HoldView:
    """Return the hold with what is left of it now."""
    wallet_id, data = event["aggregate_id"], event["data"]
    for hold in await services.read_model.holds(wallet_id):
        if hold.hold_id == data["hold_id"]:
            return hold
    currency = data["currency"]
    nothing = format_amount(0, currency)
    return HoldView(wallet_id, data["hold_id"], nothing, currency, None, data.get("expires_at"))
