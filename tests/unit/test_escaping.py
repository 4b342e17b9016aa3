"""Escaping: terminals, log lines and spreadsheets show input text and do not execute it."""

from __future__ import annotations

import csv
import io
import json
import logging
import unicodedata
from typing import Any

import pytest

from ledger_streams.cli.output import json_text, table
from ledger_streams.cli.payments import payment_text
from ledger_streams.cli.wallets import COLUMNS, _write_csv
from ledger_streams.dlq.letter_details import LetterDetails, details_text
from ledger_streams.dlq.letters import DeadLetter
from ledger_streams.escaping import csv_cell, escape_log_arguments, json_for_terminal, terminal_text

EVIL = "a\x1b[2Jb\r\x07\x9b31m\u202e\u200b[red]c[/red][link=x]:bomb:\\"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
            "＝1", "＋1", "－1", "＠x", "  =1", "\u200b=1",
            "\ufeff=1", "\xa0=1", "﹣1", "-", "=")  # fmt: skip


def is_harmless(text: str) -> bool:
    """Tell whether nothing in the lines is obeyed by a terminal."""
    return not {"Cc", "Cf", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, text.replace("\n", "")))


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_is_text_in_a_spreadsheet(text: str) -> None:
    assert csv_cell(text) == f"'{terminal_text(text)}"


@pytest.mark.parametrize("value", ["1", "a=1", "a-1", "", "2026-11-28", "Ä", 5, -5, None, "'x"])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert csv_cell(value) == value


@pytest.mark.parametrize("text", ["-1.00", "0.00", "12", "-7"])
def test_numbers_that_we_print_ourselves_stay_numbers(text: str) -> None:
    assert csv_cell(text, is_number=True) == text
    assert csv_cell(f"{text}+cmd", is_number=True) == (f"'{text}+cmd" if text[0] == "-" else f"{text}+cmd")


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_statement_as_csv_escapes_each_cell_of_text(
    formula: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, formula)
    _write_csv(
        iter([row | {"version": 7, "amount": "-1.00", "balance": "-2.50", "metadata": {"date": formula}}])
    )
    _, cells = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    named = dict(zip((*COLUMNS, "date"), cells, strict=True))
    assert (named.pop("version"), named.pop("amount"), named.pop("balance")) == ("7", "-1.00", "-2.50")
    assert all(cell[0] == "'" for cell in named.values())


def test_control_characters_are_shown_to_the_reader_and_not_executed_by_the_terminal() -> None:
    assert terminal_text("Ada Ä 5 €") == "Ada Ä 5 €"
    assert terminal_text("a\x1b[2J\n\u202e\x9b") == r"a\x1b[2J\n\u202e\x9b"
    assert is_harmless(terminal_text("".join(map(chr, range(0x110000)))))


def test_tables_take_text_as_text_neither_control_nor_markup_nor_emoji() -> None:
    text = table(EVIL, ("one",), [(EVIL,), ("[bold]x",), ("tail\\",), (None,)])
    assert is_harmless(text)
    assert "[red]c[/red][link=x]:bomb:\\" in text
    assert "[bold]x" in text


def test_json_for_a_terminal_means_the_same() -> None:
    document = {
        "a": EVIL,
        "b": ["\x7f\x85\u2028\U000e0001", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
    }
    for text in (json_text(document), json_for_terminal(json.dumps(document, ensure_ascii=False))):
        assert is_harmless(text)
        assert json.loads(text) == document


def test_texts_of_payments_and_dead_letters_are_escaped() -> None:
    payment = {"payment_id": EVIL, "kind": EVIL, "status": "failed", "reason": EVIL, "amount": "1",
               "currency": EVIL, "waiting_for": {"what": "answer", "provider": EVIL, "since": EVIL},
               "steps": [{"occurred_at": EVIL, "event_type": EVIL}]}  # fmt: skip
    assert is_harmless(payment_text(payment))
    texts: dict[str, Any] = dict.fromkeys(DeadLetter.__struct_fields__, EVIL)
    others: dict[str, Any] = {"partition": 1, "offset": 1, "value_bytes": 1, "too_large": False}
    letter = DeadLetter(**{**texts, **others})
    value = json.dumps({"x": "\x9b\u202e"}, ensure_ascii=False).encode()
    assert is_harmless(details_text(LetterDetails(letter, [(EVIL, EVIL)], "json", value)))


def test_text_from_outside_cannot_add_a_line_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    escape_log_arguments()
    try:
        with caplog.at_level(logging.INFO):
            logging.getLogger("ledger_streams.test").info("parked: %s", "x\n2026-11-28 [INFO] forged\x1b[2J")
            logging.getLogger("web.test").warning("%s; %d", ValueError("a\nb"), 5)
            logging.getLogger("ledger_streams.test").info("%(x)s", {"x": "\r"})
            logging.getLogger("another").info("%s", "a\nb")
    finally:
        logging.setLogRecordFactory(before)
    *ours, other = [record.getMessage() for record in caplog.records]
    assert ours == ["parked: x\\n2026-11-28 [INFO] forged\\x1b[2J", "a\\nb; 5", "\\r"]
    assert other == "a\nb"
