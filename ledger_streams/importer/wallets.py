"""Opens the wallets that an import needs, and waits until the read model has them.

An existing wallet is not changed.  It must have the account's owner and a balance in the
import's currency; its overdraft limit may differ.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain.commands import OpenWallet
from ledger_streams.domain.ids import UserId, WalletId, derived_id
from ledger_streams.domain.money import AMOUNT_MINOR_MAX, format_amount, parse_limit
from ledger_streams.errors import Unavailable
from ledger_streams.importer.importer import Ledger, chunked, retry_unavailable
from ledger_streams.importer.rows import UnusableFile
from ledger_streams.ports import Message, ReadModel, WalletView

LOOK_AT_ONCE: Final = 50
"""Concurrent queries; the pool has fewer connections and queues them."""
LOOK_EVERY_S: Final = 0.1
UNLIMITED: Final = "unlimited"


class WalletToOpen(msgspec.Struct, frozen=True):
    """A wallet to open; `overdraft` is a decimal string in `currency`."""

    wallet_id: str
    user_id: str
    currency: str
    overdraft: str


def overdraft_limit(text: str, currency: str) -> str:
    """Return `--overdraft` with all digits of the currency; raises Unreadable if it is not an amount."""
    if text == UNLIMITED:
        return format_amount(AMOUNT_MINOR_MAX, currency)
    return format_amount(parse_limit(text, currency, field="--overdraft"), currency)


def _untold(_commands: int) -> None:
    """Ignore the count."""


async def open_wallets(
    wanted: Sequence[WalletToOpen],
    ledger: Ledger,
    *,
    patience_s: float,
    sent: Callable[[int], None] = _untold,
) -> int:
    """Open the missing wallets; return their number when all are in the read model.

    It calls `sent` with the number of commands before it sends them.  Raises UnusableFile if a wallet has
    another owner or lacks the currency, Unavailable if no wallet has appeared for `patience_s`.
    """
    there = await _look(ledger.read_model, [wallet.wallet_id for wallet in wanted], patience_s)
    _check(wanted, there)
    missing = [wallet for wallet in wanted if wallet.wallet_id not in there]
    now = datetime.now(UTC)
    commands = [open_command(wallet, topic=ledger.wallet_commands, now=now) for wallet in missing]
    if commands:
        sent(len(commands))
        await retry_unavailable(
            lambda: ledger.publisher.publish(commands), purpose="opening wallets", patience_s=patience_s
        )
    await _until_there(ledger.read_model, [wallet.wallet_id for wallet in missing], patience_s)
    return len(missing)


def open_command(wallet: WalletToOpen, *, topic: str, now: datetime) -> Message:
    """Return the wallet's OpenWallet; its command id is derived, so a resend is the same command."""
    command_id = derived_id(f"import:{wallet.wallet_id}:OpenWallet")
    limits = {wallet.currency: parse_limit(wallet.overdraft, wallet.currency, field="overdraft")}
    command = OpenWallet(WalletId(wallet.wallet_id), UserId(wallet.user_id), (wallet.currency,), limits)
    value = wire.encode_administrative(command, command_id=command_id, occurred_ms=wire.time_ms(now))
    return Message(topic, wallet.wallet_id, value)


async def _until_there(read_model: ReadModel, wallet_ids: Sequence[str], patience_s: float) -> None:
    waiting = list(wallet_ids)
    moved_at_s = time.monotonic()
    while waiting:
        there = await _look(read_model, waiting, patience_s)
        waiting = [wallet_id for wallet_id in waiting if wallet_id not in there]
        if there:
            moved_at_s = time.monotonic()
        elif time.monotonic() - moved_at_s > patience_s:
            detail = (
                f"{len(waiting)} wallets not opened within {patience_s:g} s: do worker and projector run?"
            )
            raise Unavailable(dependency="ledger", detail=detail)
        await asyncio.sleep(LOOK_EVERY_S)


async def _look(read_model: ReadModel, wallet_ids: Sequence[str], patience_s: float) -> dict[str, WalletView]:
    there: dict[str, WalletView] = {}
    for some in chunked(wallet_ids, LOOK_AT_ONCE):
        looks = (_wallet(read_model, wallet_id, patience_s) for wallet_id in some)
        for view in await asyncio.gather(*looks):
            if view is not None:
                there[view.wallet_id] = view
    return there


async def _wallet(read_model: ReadModel, wallet_id: str, patience_s: float) -> WalletView | None:
    return await retry_unavailable(
        lambda: read_model.wallet(wallet_id), purpose="wallets", patience_s=patience_s
    )


def _check(wanted: Sequence[WalletToOpen], there: Mapping[str, WalletView]) -> None:
    for wallet in wanted:
        view = there.get(wallet.wallet_id)
        if view is None:
            continue
        if view.user_id != wallet.user_id:
            raise UnusableFile(
                f"wallet {view.wallet_id} belongs to user {view.user_id}, not {wallet.user_id}"
            )
        if wallet.currency not in view.balances:
            held = ", ".join(sorted(view.balances))
            raise UnusableFile(
                f"wallet {view.wallet_id} has balances in {held}, not {wallet.currency} (see --currency)"
            )
