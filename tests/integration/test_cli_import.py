"""Commands on a live system: import, show, reconcile, with supervised workers that are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from ledger_streams.importer.import_file import read_file
from ledger_streams.local.demo_bank import write_transactions
from ledger_streams.settings import Settings
from tests.live import LiveSystem, Process, eventually, running
from tests.own_system import own_system
from tests.ports import free_port


@pytest.fixture
async def live(stack: Settings, tmp_path: Path) -> AsyncIterator[LiveSystem]:
    async with own_system(stack, tmp_path) as settings, running(settings, workers=1) as system:
        yield system


async def test_an_import_is_exact_repeatable_and_reconciles(live: LiveSystem, tmp_path: Path) -> None:
    path = tmp_path / "bank.csv.gz"
    write_transactions(path, rows=600, accounts=40)
    first = await live.document("import", str(path), "--overdraft", "unlimited")
    assert (first["taken"], first["not_ended"], first["wallets_opened"]) == (600, 0, 40)

    again = await live.document("import", str(path), "--overdraft", "unlimited")
    assert (again["taken"], again["already_completed"], again["wallets_opened"]) == (0, 600, 0)

    reconciled = await live.document("reconcile", "--rocksdb")
    assert reconciled["totals"] == {"CZK": first["totals"][0]["net"]}
    assert (reconciled["wallets"], reconciled["differences"]) == (40, [])


@pytest.mark.slow
async def test_a_wallet_and_a_payment_are_shown_over_http_and_from_rocksdb(
    live: LiveSystem, tmp_path: Path
) -> None:
    path = tmp_path / "bank.csv.gz"
    write_transactions(path, rows=30, accounts=3)
    await live.document("import", str(path), "--overdraft", "unlimited")
    file, url = read_file(path, currency="CZK"), f"http://127.0.0.1:{live.ports['worker-1']}"
    wallet_id = next(iter(file.accounts))
    shown = await live.document("wallets", "show", wallet_id, "--url", url)
    stored = await live.document("wallets", "show", wallet_id, "--rocksdb")
    assert shown["balances"] == stored["balances"]
    payment = await live.document("payments", "show", file.rows[0].payment_id, "--url", url)
    assert (payment["status"], payment["amount"]) == ("completed", file.rows[0].data["amount"])
    user_id = file.rows[0].data["user_id"]
    listed = await live.document("wallets", "list", "--user", user_id, "--url", url)
    assert wallet_id in json.dumps(listed)
    tables = {entry["table"]: entry["keys"] for entry in await live.document("tables")}
    assert (tables["wallets"], tables["payments"]) == (3, 30)


async def test_bad_rows_do_not_stop_the_rest_and_payments_come_as_json_lines(
    live: LiveSystem, tmp_path: Path
) -> None:
    bank = tmp_path / "bank.csv"
    header = "trans_id,account_id,date,direction,amount\n"
    bank.write_text(
        header + "1,1,1993-01-01,credit,10.00\n2,1,1993-01-01,debit,x\n3,2,1993-01-01,credit,1.00\n"
    )
    code, out, _ = await live.command("import", str(bank), "--json")
    assert (code, json.loads(out)["taken"], json.loads(out)["unreadable"]) == (1, 2, 1)

    one, other = read_file(bank, currency="CZK").accounts
    transfer = {
        "payment_id": "0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7a11",
        "kind": "transfer",
        "source_wallet_id": one,
        "target_wallet_id": other,
        "amount": "4.00",
        "currency": "CZK",
    }
    payments = tmp_path / "payments.jsonl"
    payments.write_text(json.dumps(transfer) + "\n")
    report = await live.document("import", str(payments))
    assert (report["taken"], report["totals"][0]["transfers"]) == (1, "4.00")
    await refunds_and_what_cannot_be_read(live, tmp_path, transfer["payment_id"], one)
    assert (await live.document("reconcile"))["totals"] == {"CZK": "12.00"}


async def refunds_and_what_cannot_be_read(live: LiveSystem, path: Path, paid: str, wallet: str) -> None:
    """Import refunds with and without an amount, twice, and rows that are no payments, among good ones."""
    ids = [f"0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7b{number:02}" for number in range(9)]
    refund = {"payment_id": ids[0], "kind": "refund", "refund_of": paid, "metadata": None}
    deposit = {"kind": "deposit", "target_wallet_id": wallet, "amount": "1.00", "currency": "CZK"}
    rows = [
        {**refund, "payment_id": ids[1], "amount": "1.00", "currency": "CZK"},
        [refund],
        7,
        {**deposit, "payment_id": ids[2], "metadata": {"x": "\0"}},
        {**deposit, "payment_id": ids[3], "metadata": {"x": "\x01" * 200_000}},
        {**deposit, "payment_id": ids[4], "metadata": None},
    ]
    file = path / "mixed.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for taken, already in ((2, 0), (0, 2)):
        code, out, error = await live.command("import", str(file), "--json")
        report = json.loads(out)
        assert (code, report["taken"], report["already_completed"]) == (1, taken, already), error
        assert [row["line"] for row in report["refused"]] == [2, 3, 4, 5]
        assert (report["sent"], report["unknown"]) == (taken, 0)
    whole = path / "whole.jsonl"
    whole.write_text(json.dumps(refund) + "\n" + json.dumps(refund) + "\n")
    report = await live.document("import", str(whole))
    assert (report["taken"], report["repeated"], report["totals"][0]["refunds"]) == (1, 1, "3.00")


@pytest.mark.slow
async def test_supervised_workers_come_back_and_an_import_through_it_is_exact(
    stack: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "bank.csv.gz"
    write_transactions(path, rows=1_500, accounts=60)
    async with (
        own_system(stack, tmp_path) as settings,
        running(settings) as system,
        supervised(system) as run,
    ):
        pids = [settings.home / "run" / f"{name}.pid" for name in ("worker-1", "projector-1", "worker-2")]
        importing = asyncio.create_task(
            system.document("import", str(path), "--overdraft", "unlimited", "--wait", "90")
        )
        for number, pid_file in enumerate(pids, start=1):
            await eventually(partial(_ended, system, 300 * number), what="the import goes on")
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        report = await importing
        assert (report["taken"], report["not_ended"]) == (1_500, 0)
        reconciled = await system.document("reconcile", "--wait", "60")
        assert reconciled["totals"] == {"CZK": report["totals"][0]["net"]}

        async def all_up() -> bool:
            return all(pid_file.exists() for pid_file in pids)

        await eventually(all_up, what="all are up again")
        assert run.tail(10_000).count("ended by SIGKILL") == len(pids)
    assert not list(tmp_path.joinpath("run").glob("*-*.pid"))


@asynccontextmanager
async def supervised(system: LiveSystem) -> AsyncIterator[Process]:
    """`ledger-streams run` with two workers, which has to end well when it is told to."""
    command = [sys.executable, "-m", "ledger_streams", "run", "--workers", "2"]
    environment = system.environment() | {"LEDGER_HTTP_PORT": str(free_port())}
    run = Process("run", command, environment, system.settings.home / "run.log")
    run.start()
    try:
        yield run
    finally:
        run.stop()
    assert run.exit_code == 0, run.tail()


async def _ended(system: LiveSystem, count: int) -> bool:
    (row,) = await system.rows("SELECT count(*) AS ended FROM payments WHERE ended_at IS NOT NULL")
    return bool(row["ended"] >= count)
