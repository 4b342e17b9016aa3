"""Commands against a live system: import, look, reconcile, and supervised workers that are killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger_streams.cli.demo_bank import write_transactions
from ledger_streams.cli.import_file import read_file
from ledger_streams.settings import Settings
from tests.live import LiveSystem, eventually, free_port


@pytest.fixture
async def live(migrated: Settings) -> AsyncIterator[LiveSystem]:
    system = LiveSystem(migrated)
    try:
        await system.start_all(workers=1)
        yield system
    finally:
        await system.close()


async def ledger_streams(system: LiveSystem, *arguments: str) -> tuple[int, str, str]:
    """Run a command as a user would; return exit code, stdout and stderr."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ledger_streams",
        *arguments,
        env=os.environ | system.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def answered(system: LiveSystem, *arguments: str) -> Any:
    code, out, err = await ledger_streams(system, *arguments)
    assert code == 0, err + out
    return json.loads(out)


async def test_an_import_is_exact_repeatable_and_reconciles(live: LiveSystem, tmp_path: Path) -> None:
    path = tmp_path / "bank.csv.gz"
    write_transactions(path, rows=600, accounts=40)
    first = await answered(live, "import", str(path), "--overdraft", "unlimited", "--json")
    assert (first["taken"], first["not_ended"], first["wallets_opened"]) == (600, 0, 40)

    again = await answered(live, "import", str(path), "--overdraft", "unlimited", "--json")
    assert (again["taken"], again["already_completed"], again["wallets_opened"]) == (0, 600, 0)

    reconciled = await answered(live, "reconcile", "--rocksdb", "--json")
    assert reconciled["totals"] == {"CZK": first["totals"][0]["net"]}
    assert (reconciled["wallets"], reconciled["differences"]) == (40, [])


async def test_a_wallet_and_a_payment_are_shown_over_http_and_from_rocksdb(
    live: LiveSystem, tmp_path: Path
) -> None:
    path = tmp_path / "bank.csv.gz"
    write_transactions(path, rows=30, accounts=3)
    await answered(live, "import", str(path), "--overdraft", "unlimited", "--json")
    file, url = read_file(path, currency="CZK"), f"http://127.0.0.1:{live.ports['worker-1']}"
    wallet_id = next(iter(file.accounts))
    shown = await answered(live, "wallets", "show", wallet_id, "--url", url, "--json")
    stored = await answered(live, "wallets", "show", wallet_id, "--rocksdb", "--json")
    assert shown["balances"] == stored["balances"]
    payment = await answered(live, "payments", "show", file.rows[0].payment_id, "--url", url, "--json")
    assert (payment["status"], payment["amount"]) == ("completed", file.rows[0].data["amount"])
    user_id = file.rows[0].data["user_id"]
    listed = await answered(live, "wallets", "list", "--user", user_id, "--url", url, "--json")
    assert wallet_id in json.dumps(listed)
    tables = {entry["table"]: entry["keys"] for entry in await answered(live, "tables", "--json")}
    assert (tables["wallets"], tables["payments"]) == (3, 30)


async def test_bad_rows_do_not_stop_the_rest_and_payments_come_as_json_lines(
    live: LiveSystem, tmp_path: Path
) -> None:
    bank = tmp_path / "bank.csv"
    header = "trans_id,account_id,date,direction,amount\n"
    bank.write_text(
        header + "1,1,1993-01-01,credit,10.00\n2,1,1993-01-01,debit,x\n3,2,1993-01-01,credit,1.00\n"
    )
    code, out, _ = await ledger_streams(live, "import", str(bank), "--json")
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
    report = await answered(live, "import", str(payments), "--json")
    assert (report["taken"], report["totals"][0]["transfers"]) == (1, "4.00")
    assert (await answered(live, "reconcile", "--json"))["totals"] == {"CZK": "11.00"}


async def test_the_real_bank_without_overdraft_refuses_25_debits(live: LiveSystem, bank_data: Path) -> None:
    report = await answered(live, "import", str(bank_data), "--json")
    assert (report["taken"], report["reasons"]) == (29_440, {"insufficient_funds": 25})
    assert report["totals"][0]["net"] == "23620440.30"
    assert (await answered(live, "reconcile", "--json"))["totals"] == {"CZK": "23620440.30"}


async def test_supervised_workers_come_back_and_an_import_through_it_is_exact(
    migrated: Settings, tmp_path: Path
) -> None:
    system = LiveSystem(migrated)
    path, log = tmp_path / "bank.csv.gz", tmp_path / "run.log"
    write_transactions(path, rows=1_500, accounts=60)
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "ledger_streams", "run", "--workers", "2"),
            env=os.environ | system.environment() | {"LEDGER_HTTP_PORT": str(free_port())},
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        importing = asyncio.create_task(
            answered(system, "import", str(path), "--overdraft", "unlimited", "--wait", "90", "--json")
        )
        for name in ("worker-1", "projector-1", "worker-2"):
            await asyncio.sleep(3)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int(_pid_file(migrated, name).read_text()), signal.SIGKILL)
        report = await importing
        assert (report["taken"], report["not_ended"]) == (1_500, 0)
        reconciled = await answered(system, "reconcile", "--wait", "60", "--json")
        assert reconciled["totals"] == {"CZK": report["totals"][0]["net"]}

        async def all_up() -> bool:
            return all(_pid_file(migrated, name).exists() for name in ("worker-1", "worker-2", "projector-1"))

        await eventually(all_up, what="all are up again")
    finally:
        running.terminate()
        code = await running.wait()
    assert code == 0, log.read_text()[-3_000:]
    assert not list(migrated.home.joinpath("run").glob("*-*.pid"))


def _pid_file(settings: Settings, name: str) -> Path:
    return settings.home / "run" / f"{name}.pid"
