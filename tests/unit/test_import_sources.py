"""An import file's bytes: encodings, byte order marks, gzip, standard input, and JSON lines in them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams.importer.import_file import ImportFile, read_file
from ledger_streams.importer.rows import UnusableFile

NS = uuid5(NAMESPACE_URL, "ledger-streams")
HEADER = "trans_id,account_id,date,direction,amount,Zákazník\n"
GOOD = "1,77,2026-01-31,credit,10.00,Jörg\n"
WALLET, PAYMENT, OTHER = (str(uuid5(NS, name)) for name in ("a", "p", "q"))
READER = (
    "from ledger_streams.importer.import_file import *;"
    "file = read_file(Path('-'), currency='CZK'); print(len(file.rows), len(file.refused))"
)
DEPOSIT = {
    "payment_id": PAYMENT,
    "kind": "deposit",
    "target_wallet_id": WALLET,
    "amount": "10.25",
    "currency": "EUR",
}


def packed(content: bytes) -> bytes:
    """Compress without the time, so that tests have the same names in each run."""
    return gzip.compress(content, mtime=0)


def read(tmp_path: Path, content: bytes, name: str = "file.csv", **how: str) -> ImportFile:
    path = tmp_path / name
    path.write_bytes(content)
    return read_file(path, currency="CZK", **how)


def json_file(tmp_path: Path, *lines: str) -> ImportFile:
    last = json.dumps({**DEPOSIT, "payment_id": OTHER})
    file = read(tmp_path, "\n".join([*lines, last]).encode(), "payments.jsonl")
    assert [row.payment_id for row in file.rows][-1] == OTHER, "the others go on"
    return file


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        ((HEADER + GOOD).encode("latin-1"), "utf-8", "column 6 is not UTF-8 text"),
        ((HEADER + GOOD).encode("utf-16"), "utf-8", "byte order mark of utf-16"),
        ((HEADER + GOOD).encode("utf-32"), "utf-8", "byte order mark of utf-32"),
        ((HEADER + GOOD).encode("utf-16-le"), "utf-8", "unusable|U.0000|neither"),
        ((HEADER + GOOD).encode("utf-8-sig"), "latin-1", "byte order mark of utf-8"),
        ((HEADER + GOOD).encode(), "utf-16", "not utf-16 text"),
        ((HEADER + GOOD).encode("utf-16-be"), "utf-16-le", "invisible character"),
        ((HEADER + GOOD).encode("utf-16")[:-1], "utf-16", "not utf-16 text"),
        (packed((HEADER + GOOD * 900).encode())[:-20], "utf-8", "damaged gzip"),
        (packed((HEADER + GOOD).encode())[:5], "utf-8", "damaged gzip"),
        (packed((HEADER + GOOD).encode()) + b"rest", "utf-8", "damaged gzip"),
        (packed(b""), "utf-8", "empty"),
        (packed(packed((HEADER + GOOD).encode())), "utf-8", "header|UTF-8|U.0000|neither"),
    ],
)
def test_bytes_of_another_encoding_and_damaged_gzip_are_an_unusable_file(
    tmp_path: Path, content: bytes, encoding: str, words: str
) -> None:
    with pytest.raises(UnusableFile, match=words) as caught:
        read(tmp_path, content, encoding=encoding)
    assert caught.value.exit_code == 1


def test_cells_of_another_encoding_refuse_their_row_by_name(tmp_path: Path) -> None:
    latin = "2,77,2026-01-31,credit,10.00,Jörg\n".encode("latin-1")
    file = read(tmp_path, (HEADER + GOOD).encode() + latin)
    assert [(row.line, row.field) for row in file.refused] == [(3, "Zákazník")]
    assert len(file.rows) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_dash_reads_standard_input_gzip_or_not(packed: bool) -> None:
    content = (HEADER + GOOD).encode()
    given = gzip.compress(content) if packed else content
    with subprocess.Popen([sys.executable, "-c", READER], stdin=PIPE, stdout=PIPE) as reader:
        assert reader.stdin is not None
        for piece in (given[:1], given[1:3], given[3:]):  # as a slow pipe delivers them
            reader.stdin.write(piece)
            reader.stdin.flush()
        assert reader.communicate()[0].split() == [b"1", b"0"]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ('{"amount": "1", "amount": "250"}', "amount", "repeats"),
        ('{"am\\u006funt": "1", "amount": "250"}', "amount", "repeats"),
        (json.dumps(DEPOSIT)[:-1] + ', "metadata": {"a": 1, "a": 2}}', "a", "repeats"),
        (json.dumps({**DEPOSIT, "holdId": WALLET}), "holdId", "not a field of a payment"),
        (json.dumps({**DEPOSIT, "hold-id": None}), "hold-id", "not a field of a payment"),
        (json.dumps({**DEPOSIT, "Amount": "1"}), "Amount", "not a field of a payment"),
        (json.dumps({**DEPOSIT, "\x1b[2J": "1"}), "\\x1b[2J", "not a field of a payment"),
        (json.dumps({**DEPOSIT, "metadata": {"a": {"b": "x\0y"}}}), "metadata.a.b", "U+0000"),
        (json.dumps({**DEPOSIT, "metadata": {"a\0": 1}}), "metadata", "cannot be stored"),
        (json.dumps({**DEPOSIT, "metadata": {"a": "\ud800"}}), None, "JSON"),
        (
            json.dumps(DEPOSIT)[:-1] + f', "metadata": {{"a": {"[" * 70 + "]" * 70}}}}}',
            "metadata.a",
            "nested",
        ),
        (json.dumps(DEPOSIT)[:-1] + ', "metadata": {"a": 1e-9999}}', "metadata.a", "out of range"),
        (json.dumps(DEPOSIT)[:-1] + ', "metadata": {"a": 1.10000000000000000001}}', "metadata", "digits"),
        (json.dumps(DEPOSIT)[:-1] + ', "metadata": {"a": NaN}}', None, "JSON"),
        (json.dumps({**DEPOSIT, "amount": 10.25}), "amount", "decimal string"),
        (json.dumps({**DEPOSIT, "metadata": [1]}), "metadata", "must be an object or null"),
        (json.dumps({**DEPOSIT, "payment_id": PAYMENT.upper()}), "payment_id", "UUID"),
        (json.dumps({**DEPOSIT, "payment_id": "\ufeff" + PAYMENT}), "payment_id", "UUID"),
        ("[1]", None, "must be a JSON object"),
        ("12", None, "must be a JSON object"),
        ("null", None, "must be a JSON object"),
        ('"text"', None, "must be a JSON object"),
        ("[" * 100_000, None, "nested"),
        (
            json.dumps({**DEPOSIT, "metadata": {"a": "x" * 899_000}})[:-1] + " " * 2_000 + "}",
            None,
            "longer than",
        ),
        (
            json.dumps({**DEPOSIT, "metadata": {"a": "é" * 449_000}}, ensure_ascii=False)[:-1] + ',"x":1}',
            "x",
            "no",
        ),
    ],
)
def test_a_row_that_the_workers_could_not_read_is_refused_by_name_and_the_others_go_on(
    tmp_path: Path, line: str, field: str | None, words: str
) -> None:
    (refused,) = json_file(tmp_path, line).refused
    assert (refused.line, refused.field) == (1, field)
    assert words in refused.detail


def test_null_metadata_and_repeated_rows_are_no_error(tmp_path: Path) -> None:
    null, other = {**DEPOSIT, "metadata": None}, {**DEPOSIT, "metadata": None, "amount": "1"}
    file = json_file(tmp_path, json.dumps(null), json.dumps(DEPOSIT), json.dumps(other))
    assert (len(file.rows), file.repeated) == (2, 1)
    assert [(row.line, row.field, row.reason) for row in file.refused] == [
        (3, "payment_id", "duplicate_mismatch")
    ]


def test_unknown_columns_of_payments_are_refused_by_name(tmp_path: Path) -> None:
    header = "payment_id,kind,target_wallet_id,amount,currency,holdId\n"
    file = read(tmp_path, f"{header}{PAYMENT},deposit,{WALLET},1.50,EUR,{WALLET}\n".encode())
    assert [(row.line, row.field) for row in file.refused] == [(2, "holdId")]
    assert file.rows == ()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ('{""a"": 1, ""a"": 2}', "repeats"),
        ("[1]", "must be a JSON object"),
        ("{", "not valid JSON"),
        ('{""a"": ""\\u0000""}', "U+0000"),
        ('{""a"": 1.00000000000000000001}', "digits"),
    ],
)
def test_metadata_in_a_csv_cell_is_read_as_strictly(tmp_path: Path, metadata: str, words: str) -> None:
    header = "payment_id,kind,target_wallet_id,amount,currency,metadata\n"
    file = read(tmp_path, f'{header}{PAYMENT},deposit,{WALLET},1.50,EUR,"{metadata}"\n'.encode())
    (refused,) = file.refused
    assert refused.field is not None
    assert refused.field.startswith("metadata")
    assert words in refused.detail


def test_a_closed_standard_input_is_unusable_with_a_one_sentence_reason() -> None:
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
    command = [sys.executable, "-c", code, "from ledger_streams.cli import main; main(['import', '-'])"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Error: unusable file: standard input: it is closed\n"
