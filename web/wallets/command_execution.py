"""Command execution: sends a wallet command and waits for its projected effect.

A wallet writes no event for a command that changes nothing, so the API cannot wait for the
command's own event alone.  It waits for a newer version of the wallet, and then checks for
the event of its command, or for the wanted state as the effect of another command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unavailable
from ledger_streams.ports import WalletView
from web.envelopes import Content, to_message
from web.http.problems import Refused, as_sentence
from web.services import Services
from web.wallets.reads import wallet_or_404, write_through


class WalletCommand(msgspec.Struct, frozen=True):
    """A command to a wallet, and the test for its wanted state."""

    command_id: str
    """A new id for each request; the id of the wallet's event is derived from it."""
    name: str
    data: Mapping[str, Any]
    as_asked: Callable[[WalletView], Awaitable[bool]]


async def execute_command(services: Services, wallet: WalletView, command: WalletCommand) -> WalletView:
    """Send the command; return the wallet after it, and write it to the cache.

    The caller has read `wallet` before it tested the wanted state.  Raises Refused with the
    wallet's reason, and Unavailable when the effect is not projected in time.
    """
    content = Content(
        wallet.wallet_id, command.name, command.command_id, {"wallet_id": wallet.wallet_id, **command.data}
    )
    message = to_message(services.topics.wallet_commands, content, now=services.now())
    epoch = services.cache.epoch
    await services.publisher.publish([message])
    try:
        async with asyncio.timeout(services.projection_wait_s):
            after = await _after(services, wallet, command)
    except TimeoutError as error:
        raise Unavailable(
            dependency="read model",
            detail=f"the command is not projected after {services.projection_wait_s:g} s",
        ) from error
    await write_through(services, [after], epoch)
    return after


async def _after(services: Services, wallet: WalletView, command: WalletCommand) -> WalletView:
    wallet_id, seen = wallet.wallet_id, wallet.version
    while True:
        moved = await _moved_beyond(services, wallet_id, seen)
        event = await services.read_model.wallet_event_of(wallet_id, command.command_id)
        if event is not None and event["event_type"] == "WalletCommandRefused":
            data = event["data"]
            raise Refused(reason=Reason(data["reason"]), detail=as_sentence(data["detail"]))
        if event is not None:
            return await wallet_or_404(services, wallet_id)
        if await command.as_asked(moved):
            return moved
        seen = moved.version


async def _moved_beyond(services: Services, wallet_id: str, version: int) -> WalletView:
    def moved(wallet: WalletView) -> bool:
        return wallet.version > version

    wallet = await services.outcomes.wait_for_wallet(wallet_id, moved, services.projection_wait_s)
    if wallet is None:
        raise TimeoutError
    return wallet
