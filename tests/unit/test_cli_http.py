"""Commands that send requests to a worker, against a real HTTP server with a worker's responses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import click
import pytest
from click.testing import CliRunner

from ledger_streams.cli.http import get_document
from ledger_streams.cli.payments import COLUMNS, payments
from ledger_streams.cli.wallets import wallets

BALANCE = {"available": "1.00", "held": "0.00", "balance": "1.00", "overdraft_limit": "0.00"}
WALLET = {"wallet_id": "w", "user_id": "u", "status": "open", "version": 2, "balances": {"EUR": BALANCE}}
OTHER_WALLET = WALLET | {"wallet_id": "other"}
PAYMENT = {
    "payment_id": "p",
    "kind": "deposit",
    "status": "failed",
    "reason": "wallet_frozen",
    "amount": "1.00",
    "currency": "EUR",
    "requested_at": "2026-11-24T22:00:00.000000Z",
}
MOVEMENT = {
    "event_id": "e",
    "version": 2,
    "occurred_at": "2026-11-24T22:00:00.000000Z",
    "type": "BalanceAdded",
    "currency": "EUR",
    "amount": "1.00",
    "balance": "1.00",
    "payment_id": "p",
    "kind": "deposit",
    "counterparty": None,
    "provider": "acme",
    "metadata": {"date": "1993-01-31"},
}
SUMS = {
    "currency": "EUR",
    "opening": "0.00",
    "total_in": "2.00",
    "total_out": "0.00",
    "closing": "2.00",
    "movements": 2,
}
PAGE = {"wallet_id": "w", "from": "2026-11-01T00:00:00Z", "to": "T", "sums": [SUMS], "movements": [MOVEMENT]}
LATER = MOVEMENT | {"version": 4, "balance": "2.00", "metadata": None}
ANSWERS: dict[str, tuple[int, object]] = {
    "/v1/wallets/w": (200, WALLET),
    "/v1/wallets/w/statement?from=2026-11-01T00%3A00%3A00Z&limit=1000": (200, PAGE | {"next": 2}),
    "/v1/wallets/w/statement?from=2026-11-01T00%3A00%3A00Z&to=T&after=2&limit=1000": (
        200,
        PAGE | {"sums": None, "movements": [LATER], "next": None},
    ),
    "/v1/users/u/wallets?limit=1000": (200, {"wallets": [WALLET], "next": "w"}),
    "/v1/users/u/wallets?limit=1000&after=w": (200, {"wallets": [OTHER_WALLET], "next": None}),
    "/v1/payments?status=failed&from=2026-11-24T22%3A00%3A00Z&limit=3": (
        200,
        {"payments": [PAYMENT, PAYMENT], "next": "c=="},
    ),
    "/v1/payments?status=failed&from=2026-11-24T22%3A00%3A00Z&limit=1&after=c%3D%3D": (
        200,
        {"payments": [PAYMENT | {"payment_id": "last"}], "next": "d"},
    ),
    "/v1/payments/absent": (404, {"title": "Not found", "detail": "There is no such payment."}),
    "/v1/wallets/a%2Fb": (404, {"title": "Not found"}),
}


class Worker(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (500, "nothing here"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Worker) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_wallet_is_shown_as_text_and_as_json(url: str) -> None:
    shown = CliRunner().invoke(wallets, ["show", "w", "--url", url])
    assert shown.output.startswith("wallet   w\nuser     u\nstatus   open, version 2\n")
    as_json = CliRunner().invoke(wallets, ["show", "w", "--url", url, "--json"])
    assert json.loads(as_json.output) == WALLET


STATEMENT = ["statement", "w", "--from", "2026-11-01"]


def test_a_statement_is_all_of_its_pages(url: str) -> None:
    printed = CliRunner().invoke(wallets, [*STATEMENT, "--url", url, "--json"])
    assert json.loads(printed.output) == PAGE | {"movements": [MOVEMENT, LATER], "next": None}


def test_a_statement_is_a_table_for_people(url: str) -> None:
    printed = CliRunner().invoke(wallets, [*STATEMENT, "--url", url])
    assert printed.output.splitlines() == [
        "wallet   w",
        "period   2026-11-01T00:00:00Z to T",
        "",
        "currency  opening  total_in  total_out  closing  movements",
        "EUR          0.00      2.00       0.00     2.00          2",
        "",
        "version  occurred_at                  currency  amount  balance  kind     counterparty  date",
        "      2  2026-11-24T22:00:00.000000Z  EUR         1.00     1.00  deposit                1993-01-31",
        "      4  2026-11-24T22:00:00.000000Z  EUR         1.00     2.00  deposit",
    ]


def test_a_statement_is_a_line_a_movement_in_csv(url: str) -> None:
    printed = CliRunner().invoke(wallets, [*STATEMENT, "--url", url, "--csv"])
    head, first, _ = printed.output.splitlines()
    assert head.startswith("version,occurred_at,type,currency,amount,balance,kind")
    assert first == ("2,2026-11-24T22:00:00.000000Z,BalanceAdded,EUR,1.00,1.00,deposit,,acme,p,e,1993-01-31")
    both = CliRunner().invoke(wallets, [*STATEMENT, "--url", url, "--csv", "--json"])
    assert (both.exit_code, "not both" in both.output) == (2, True)


def test_a_user_s_wallets_are_listed(url: str) -> None:
    listed = CliRunner().invoke(wallets, ["list", "--user", "u", "--url", url])
    assert listed.output.splitlines()[2].split() == ["w", "open", "2", "EUR", "1.00", "0.00", "1.00", "0.00"]


def test_all_pages_of_a_user_s_wallets_are_listed(url: str) -> None:
    listed = CliRunner().invoke(wallets, ["list", "--user", "u", "--url", url, "--json"])
    assert json.loads(listed.output) == {"user_id": "u", "wallets": [WALLET, OTHER_WALLET]}


def test_payments_are_listed_page_by_page_as_many_as_are_asked_for(url: str) -> None:
    asked = ["list", "--status", "failed", "--from", "2026-11-24T22:00:00Z", "--limit", "3", "--url", url]
    listed = CliRunner().invoke(payments, asked)
    head, *rows = listed.output.splitlines()[1:]
    assert head.split() == [*COLUMNS]
    ids = ["p", "p", "last"]
    fields = ["deposit", "failed", "wallet_frozen", "1.00", "EUR"]
    assert [row.split() for row in rows] == [[PAYMENT["requested_at"], each, *fields] for each in ids]
    document = json.loads(CliRunner().invoke(payments, [*asked, "--json"]).output)
    assert ([each["payment_id"] for each in document["payments"]], document["next"]) == (ids, "d")


def test_a_problem_of_a_worker_ends_the_command_with_its_detail(url: str) -> None:
    shown = CliRunner().invoke(payments, ["show", "absent", "--url", url])
    assert (shown.exit_code, shown.output) == (1, "Error: 404: There is no such payment.\n")


def test_an_id_cannot_leave_its_place_in_the_path(url: str) -> None:
    shown = CliRunner().invoke(wallets, ["show", "a/b", "--url", url])
    assert shown.output == "Error: 404: Not found\n"


def test_no_worker_and_no_url_are_explained() -> None:
    with pytest.raises(click.ClickException, match=r"no worker answers at http://127.0.0.1:1"):
        get_document("http://127.0.0.1:1", "/")
    with pytest.raises(click.UsageError, match="--url must be like"):
        get_document("127.0.0.1:6066", "/")
