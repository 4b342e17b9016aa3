"""Output of commands compared with golden files; UPDATE_GOLDEN=1 rewrites them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.cli.dlq import letters_text
from ledger_streams.cli.imports import report_text
from ledger_streams.cli.output import json_text
from ledger_streams.cli.payments import payment_text
from ledger_streams.cli.reconcile import result_text
from ledger_streams.cli.sagas import open_saga, sagas_text
from ledger_streams.cli.wallets import wallet_text
from ledger_streams.dlq.letter_details import details_text, letter_details
from ledger_streams.dlq.letters import dead_letter
from ledger_streams.dlq.redrive import RedriveResult, redrive_text
from ledger_streams.domain.saga.decisions import decide
from ledger_streams.importer.rows import RefusedRow
from ledger_streams.importer.tally import CurrencyTotals, ImportReport
from ledger_streams.kafka.redrive import Mark
from ledger_streams.reconciliation.comparison import Reconciliation
from tests.model.samples import AT_MS, deposit, refund, started

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
WALLET = "7b551d24-ee71-5e09-8457-b246b832b826"
PAYMENT = "6ba598a2-8b7b-5e3e-9e17-7e32484db2b7"

REPORT = ImportReport(
    file="bank-transactions-1993.csv.gz",
    form="bank transactions",
    rows=29_465,
    taken=29_439,
    already_completed=0,
    already_failed=0,
    repeated=0,
    unreadable=1,
    refused_by_ledger=25,
    not_ended=0,
    wallets_opened=725,
    totals=(CurrencyTotals("CZK", "125000000.00", "101379559.70", "0.00", "23620440.30", "23620440.30"),),
    reasons={"insufficient_funds": 25, "invalid": 1},
    refused=(
        RefusedRow(17, "amount", "invalid", "must be positive"),
        *(
            RefusedRow(100 + n, None, "insufficient_funds", f"withdrawal of {n}.00 CZK, wallet {WALLET}")
            for n in range(1, 26)
        ),
    ),
    seconds=12.5,
    payments_per_s=2357.1,
)
AGREES = Reconciliation(725, 700, {"CZK": "23042073.00", "JPY": "12"}, {}, 8, [])
DIFFERS = Reconciliation(
    2,
    1,
    {"EUR": "11.00"},
    {"wallet-events[3]": 12},
    0,
    [Difference("cache_is_snapshot", f"{WALLET} EUR", "snapshot balance 1.00, cache balance 2.00")],
)
BALANCES = {
    "EUR": {"available": "10.25", "held": "0.00", "balance": "10.25", "overdraft_limit": "100.00"},
    "JPY": {"available": "-10", "held": "0", "balance": "-10", "overdraft_limit": "1000"},
}
SHOWN = {
    "wallet_id": WALLET,
    "user_id": PAYMENT,
    "status": "open",
    "version": 7,
    "balances": BALANCES,
    "as_of": "2026-11-24T22:00:00.000000Z",
}
FAILED = {
    "payment_id": PAYMENT,
    "kind": "transfer",
    "status": "failed",
    "reason": "insufficient_funds",
    "amount": "10.25",
    "currency": "EUR",
    "source_wallet_id": WALLET,
    "target_wallet_id": PAYMENT,
    "steps": [
        {"event_type": "PaymentRequested", "occurred_at": "2026-11-24T22:00:00.000000Z"},
        {"event_type": "PaymentFailed", "occurred_at": "2026-11-24T22:00:00.040000Z"},
    ],
}
REFUND = {
    **FAILED,
    "kind": "refund",
    "reason": "limit_exceeded",
    "detail": "data.amount: 0.00 EUR of the payment are left\x1b[1m",
    "refund_of": PAYMENT,
    "hold_id": PAYMENT,
    "provider": "acme",
    "user_id": WALLET,
    "metadata": {"note": "J\xf6rg \x9b1m"},
    "requested_at": "2026-11-24T22:00:00.000000Z",
    "ended_at": "2026-11-24T22:00:00.040000Z",
}
WAITING = {
    **FAILED,
    "kind": "deposit",
    "status": "pending",
    "reason": None,
    "source_wallet_id": None,
    "refunded": "0.00",
    "waiting_for": {"what": "provider", "provider": "acme", "since": "2026-11-24T22:00:00.020000Z"},
    "steps": [{"event_type": "ProviderTimedOut", "occurred_at": "2026-11-24T22:00:05.020000Z"}],
}
SAGAS = [
    open_saga(saga, AT_MS + 61_500)
    for saga in (
        decide(None, started(deposit(provider="acme")), at_ms=AT_MS).saga,
        decide(None, started(refund(amount=None, currency=None)), at_ms=AT_MS + 1_000).saga,
    )
    if saga is not None
]


def letter(key: bytes | None, value: bytes | None, **about: str) -> SimpleNamespace:
    headers = [(f"dlq.{name}", text.encode()) for name, text in about.items()]
    where = {"topic": "payment-events.dlq", "partition": 3, "offset": 4, "timestamp": 1_795_557_600_123}
    return SimpleNamespace(key=key, value=value, headers=(*headers, ("trace", b"x")), **where)


ABOUT = {"topic": "payment-events", "partition": "3", "offset": "41"}
PLACE = "payment-events.dlq:3:4"
MARKS = {PLACE: Mark("payment-events", 3, 57, at_ms=1_795_557_700_000)}
BAD_AMOUNT = letter(
    PAYMENT.encode(),
    b'{"data": {"amount": 1.10, "name": "J\xc3\xb6rg \\u001b[1m"}}',
    **ABOUT,
    reason="invalid",
    detail="data.amount: must be a string",
    redriven="payment-events.dlq:3:1",
)
SHOWN_LETTERS = {
    "json": letter_details(BAD_AMOUNT, MARKS),
    "text": letter_details(letter(None, b"amount: 10 EUR", **ABOUT)),
    "hex": letter_details(letter(b"\xff", b"\x1b[1m")),
    "none": letter_details(letter(b"k", None)),
}
LETTERS = [
    dead_letter(
        letter(PAYMENT.encode(), b"{}", **ABOUT, reason="invalid", detail="data.amount: must be positive")
    ),
    dead_letter(letter(b"\xff\x00", b"not json", **ABOUT, reason="invalid", detail="[bold]not JSON[/bold]")),
    dead_letter(letter(None, b"x" * 2_000)),
    dead_letter(BAD_AMOUNT, MARKS),
]
OUTPUTS = {
    "import_report.txt": report_text(REPORT),
    "reconcile_agrees.txt": result_text(AGREES),
    "reconcile_differs.txt": result_text(DIFFERS),
    "reconcile_differs.json": json_text(DIFFERS),
    "wallets_show.txt": wallet_text(SHOWN),
    "payments_show.txt": payment_text(FAILED),
    "payments_show_waiting.txt": payment_text(WAITING),
    "payments_show_refund.txt": payment_text(REFUND),
    "payments_show_refunded.txt": payment_text(
        {**FAILED, "status": "refunded", "reason": None, "refunded": "10.25"}
    ),
    "sagas_list.txt": sagas_text(SAGAS),
    "sagas_list.json": json_text(SAGAS),
    "dlq_list.txt": letters_text(LETTERS),
    "dlq_list.json": json_text(LETTERS),
    "dlq_list_empty.txt": letters_text([]),
    **{f"dlq_show_{form}.txt": details_text(shown) for form, shown in SHOWN_LETTERS.items()},
    "dlq_show_json.json": json_text(SHOWN_LETTERS["json"]),
    "dlq_redrive.txt": redrive_text(RedriveResult("payment-events", False, LETTERS[:2], 3, 1)),
    "dlq_redrive_dry_run.txt": redrive_text(RedriveResult("payment-events", True, LETTERS[:1], 0, 0)),
    "dlq_redrive_nothing.txt": redrive_text(RedriveResult("payment-events", False, [], 2, 0)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_is_as_checked_in(name: str) -> None:
    path, text = GOLDEN / name, OUTPUTS[name] + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_a_difference_or_a_lag_makes_the_exit_code_1() -> None:
    lagging = Reconciliation(1, 1, {}, {"payment-events[0]": 1}, 0, [])
    assert (AGREES.exit_code, DIFFERS.exit_code, lagging.exit_code) == (0, 1, 1)


def test_a_payment_that_could_not_be_read_shows_no_none() -> None:
    invalid = {**FAILED, "kind": None, "amount": None, "currency": None, "reason": "invalid"}
    lines = payment_text(invalid).splitlines()
    assert lines[1] == "kind     not readable"
    assert lines[3] == "amount   not readable"
