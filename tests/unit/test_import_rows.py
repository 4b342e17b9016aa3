"""Import files: rows, refused rows with their reasons, and unusable files."""

from __future__ import annotations

import gzip
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams.importer.import_file import ImportFile, read_file
from ledger_streams.importer.rows import UnusableFile
from ledger_streams.local.demo_bank import write_transactions

NS = uuid5(NAMESPACE_URL, "ledger-streams")
HEADER = "trans_id,account_id,date,direction,operation,amount,balance,k_symbol,bank,account\n"
GOOD = "1,704,1993-01-01,credit,VKLAD,1000.00,1000.00,,YZ,77\n"
WALLET_A, WALLET_B, PAYMENT = (str(uuid5(NS, name)) for name in ("a", "b", "p"))


def read(tmp_path: Path, content: str | bytes, name: str = "file.csv") -> ImportFile:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_file(path, currency="CZK")


def test_a_credit_is_a_deposit_with_derived_ids_and_the_rest_as_metadata(tmp_path: Path) -> None:
    (row,) = read(tmp_path, HEADER + GOOD).rows
    assert row.line == 2
    assert row.lane == str(uuid5(NS, "account:704"))
    assert row.data == {
        "payment_id": str(uuid5(NS, "trans:1")),
        "kind": "deposit",
        "target_wallet_id": str(uuid5(NS, "account:704")),
        "amount": "1000.00",
        "currency": "CZK",
        "provider": None,
        "user_id": str(uuid5(NS, "owner:704")),
        "metadata": {
            "trans_id": "1",
            "account_id": "704",
            "date": "1993-01-01",
            "operation": "VKLAD",
            "balance": "1000.00",
            "bank": "YZ",
            "account": "77",
        },
    }


def test_a_debit_is_a_withdrawal(tmp_path: Path) -> None:
    (row,) = read(tmp_path, HEADER + GOOD.replace("credit", "debit")).rows
    assert row.data["kind"] == "withdrawal"
    assert row.data["source_wallet_id"] == row.lane
    assert "target_wallet_id" not in row.data


@pytest.mark.parametrize("packed", [False, True])
def test_gzip_and_a_byte_order_mark_make_no_difference(tmp_path: Path, packed: bool) -> None:
    content = b"\xef\xbb\xbf" + (HEADER + GOOD).encode()
    file = read(tmp_path, gzip.compress(content) if packed else content, name="any.name")
    assert (file.form, len(file.rows), file.refused) == ("bank transactions", 1, ())


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("1,704,1993-01-01,credit,V,0.00,,,,\n", "amount", "must be positive"),
        ("1,704,1993-01-01,credit,V,-5.00,,,,\n", "amount", "decimal string"),
        ("1,704,1993-01-01,credit,V,1.001,,,,\n", "amount", "3 digits after the point, CZK has 2"),
        ("1,704,1993-01-01,credit,V,1e3,,,,\n", "amount", "decimal string"),
        ("1,704,1993-01-01,credit,V,,,,,\n", "amount", "decimal string"),
        ("1,704,1993-01-01,credit,V, 5.00,,,,\n", "amount", "decimal string"),
        ("1,704,1993-01-01,Credit,V,5.00,,,,\n", "direction", "credit or debit"),
        ("1,704,1993-02-30,credit,V,5.00,,,,\n", "date", "1993-01-31"),
        (",704,1993-01-01,credit,V,5.00,,,,\n", "trans_id", "must be an id"),
        ("1, 704,1993-01-01,credit,V,5.00,,,,\n", "account_id", "without leading or trailing spaces"),
        ("1,704,1993-01-01\n", None, "3 values for 10 columns"),
        ('1,704,1993-01-01,credit,"V"x,5.00,,,,\n', None, "not CSV"),
        ("1,704,1993-01-01,credit,V\x00,5.00,,,,\n", "operation", "not UTF-8 text"),
    ],
)
def test_a_bad_row_is_refused_and_the_rows_after_it_go_on(
    tmp_path: Path, line: str, field: str | None, words: str
) -> None:
    file = read(tmp_path, HEADER + line + GOOD)
    (refused,) = file.refused
    assert (refused.line, refused.field, refused.reason) == (2, field, "invalid")
    assert words in refused.detail
    assert [row.line for row in file.rows] == [3]


def test_bytes_that_are_not_utf8_refuse_their_row_only(tmp_path: Path) -> None:
    bad = GOOD.encode().replace(b"VKLAD", b"V\xffD").replace(b"1,704", b"2,704")
    file = read(tmp_path, HEADER.encode() + bad + GOOD.encode())
    assert [(row.line, row.field) for row in file.refused] == [(2, "operation")]
    assert len(file.rows) == 1


def test_a_transaction_that_stands_twice_is_one_and_with_other_content_is_refused(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + GOOD + GOOD + GOOD.replace("1000.00", "1.00"))
    assert (len(file.rows), file.repeated) == (1, 1)
    (refused,) = file.refused
    assert (refused.line, refused.field, refused.reason) == (4, "trans_id", "duplicate_mismatch")


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "\n" + GOOD + "\n")
    assert (len(file.rows), len(file.refused)) == (1, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"trans_id,account_id,date,direction\n", "column missing: amount"),
        (b"a,b,c\n1,2,3\n", "neither bank transactions"),
        (b"payment_id,kind,amount\n", "column missing: currency"),
        (gzip.compress(HEADER.encode(), mtime=0)[:-6], "damaged gzip"),
    ],
)
def test_an_unusable_file_is_said_to_be_so(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file"):
        read_file(tmp_path / "absent.csv", currency="CZK")


def test_json_lines_are_payments_independent_of_each_other(tmp_path: Path) -> None:
    line = (
        f'{{"payment_id": "{PAYMENT}", "kind": "transfer", "source_wallet_id": "{WALLET_A}",'
        f' "target_wallet_id": "{WALLET_B}", "amount": "1.5", "currency": "EUR",'
        ' "metadata": {"note": "kept"}}\n'
    )
    file = read(tmp_path, line + '{"payment_id"\n[1]\n\n{"payment_id": "x"}\n', name="p.jsonl")
    (row,) = file.rows
    assert (file.form, row.lane, row.data["metadata"]["note"]) == ("payments (JSON lines)", PAYMENT, "kept")
    assert [(bad.line, bad.field) for bad in file.refused] == [(2, None), (3, None), (5, "payment_id")]


def test_payments_come_as_csv_too_with_empty_cells_as_null(tmp_path: Path) -> None:
    header = "payment_id,kind,source_wallet_id,target_wallet_id,amount,currency,provider,metadata\n"
    good = f'{PAYMENT},deposit,,{WALLET_A},1.50,EUR,,"{{""a"": 1}}"\n'
    file = read(tmp_path, header + good + f"{PAYMENT},deposit,,{WALLET_A},1.50,EUR,,nonsense\n")
    (row,) = file.rows
    assert row.data["metadata"] == {"a": 1}
    assert "source_wallet_id" not in row.data
    assert [(bad.line, bad.field) for bad in file.refused] == [(3, "metadata")]


def test_the_made_up_bank_file_reads_like_the_real_one_and_is_always_the_same(tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        write_transactions(tmp_path / name, rows=200, accounts=7)
    file = read_file(tmp_path / "one.gz", currency="CZK")
    assert (len(file.rows), file.refused, len(file.accounts)) == (200, (), 7)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


@pytest.mark.slow
def test_the_real_bank_file_has_no_row_that_cannot_be_read(bank_data: Path) -> None:
    file = read_file(bank_data, currency="CZK")
    assert (len(file.rows), len(file.refused), len(file.accounts)) == (29_465, 0, 725)
