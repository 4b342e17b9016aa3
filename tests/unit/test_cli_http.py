"""Commands that ask a worker over HTTP, against a real server that answers with what a worker would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import click
import pytest
from click.testing import CliRunner

from ledger_streams.cli.http import get_document
from ledger_streams.cli.payments import payments
from ledger_streams.cli.wallets import wallets

BALANCE = {"available": "1.00", "held": "0.00", "balance": "1.00", "overdraft_limit": "0.00"}
WALLET = {"wallet_id": "w", "user_id": "u", "status": "open", "version": 2, "balances": {"EUR": BALANCE}}
ANSWERS: dict[str, tuple[int, object]] = {
    "/v1/wallets/w": (200, WALLET),
    "/v1/users/u/wallets": (200, {"wallets": [WALLET]}),
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


def test_a_user_s_wallets_are_listed(url: str) -> None:
    listed = CliRunner().invoke(wallets, ["list", "--user", "u", "--url", url])
    assert listed.output.splitlines()[2].split() == ["w", "open", "2", "EUR", "1.00", "0.00", "1.00", "0.00"]


def test_what_a_worker_refuses_is_said_in_its_words(url: str) -> None:
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
