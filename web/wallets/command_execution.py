"""Answers of wallets: from a command on its topic to what the wallet says to it.

A wallet that is as asked says nothing to a command, so the answer never waits for an
event alone: it waits for the wallet to move, and looks whether that was its command,
carried out or refused, or whether the wallet is as asked by somebody else's.
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
from web.http.problems import Refused
from web.services import Services
from web.wallets.reads import wallet_or_404, write_through


class WalletCommand(msgspec.Struct, frozen=True):
    """What a wallet is asked to do, and how to see that it is so already."""

    command_id: str
    """A new one each time: the wallet's event has its own id from it."""
    name: str
    data: Mapping[str, Any]
    as_asked: Callable[[WalletView], Awaitable[bool]]


async def execute_command(services: Services, wallet: WalletView, command: WalletCommand) -> WalletView:
    """Send the command and return the wallet after it, in the cache too.

    `wallet` was read before anything else that says it is not as asked yet.  Raises Refused
    with the wallet's reason, and Unavailable when its answer is not projected in time.
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
        raise Unavailable(dependency="read model", detail="the command is not projected yet") from error
    await write_through(services, [after], epoch)
    return after


async def _after(services: Services, wallet: WalletView, command: WalletCommand) -> WalletView:
    wallet_id, seen = wallet.wallet_id, wallet.version
    while True:
        moved = await _moved_beyond(services, wallet_id, seen)
        event = await services.read_model.wallet_event_of(wallet_id, command.command_id)
        if event is not None and event["event_type"] == "WalletCommandRefused":
            data = event["data"]
            raise Refused(reason=Reason(data["reason"]), detail=f"The wallet refused: {data['detail']}.")
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
