"""CSV in an import: records by RFC 4180, without misreading."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_streams.importer import rows
from ledger_streams.importer.import_file import ImportFile, read_file
from ledger_streams.importer.rows import UnusableFile

HEADER = "trans_id,account_id,date,direction,amount,memo\n"
THANKS = '3001,77,2026-01-31,credit,1.00,"thank you\n'
MILLION = '3002,77,2026-01-31,credit,1000000.00,gift"\n'
LAST = "3009,77,2026-01-31,credit,2.00,last\n"


def read(tmp_path: Path, content: str, **how: str) -> ImportFile:
    path = tmp_path / "file.csv"
    path.write_bytes(content.encode(how.get("encoding", "utf-8")))
    return read_file(path, currency="CZK", **how)


def amounts(file: ImportFile) -> list[tuple[int, str]]:
    return [(row.line, row.data["amount"]) for row in file.rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_line_break_stays_inside_its_cell(tmp_path: Path, end: str) -> None:
    file = read(tmp_path, (HEADER + THANKS + MILLION + LAST).replace("\n", end))
    assert amounts(file) == [(2, "1.00"), (4, "2.00")]
    assert file.rows[0].data["metadata"]["memo"] == ("thank you\n" + MILLION[:-2]).replace("\n", end)


def test_refused_rows_have_the_number_of_their_first_line(tmp_path: Path) -> None:
    bad = '1,77,2026-01-31,credit,x,"a ""b""\n\nc,\nd"\n'
    file = read(tmp_path, HEADER + THANKS + MILLION + bad + "\n" + LAST + "2,77\n")
    assert [(row.line, row.field) for row in file.refused] == [(4, "amount"), (10, None)]
    assert amounts(file) == [(2, "1.00"), (9, "2.00")]


@pytest.mark.parametrize("memo", ['"a ""quoted"" word"', '""', '"a,b"', '"""', '"""" "', '"a" ', "'a'", 'a"'])
def test_a_cell_is_read_by_rfc_4180_or_refused(tmp_path: Path, memo: str) -> None:
    row = f"1,77,2026-01-31,credit,5.00,{memo}\n"
    wellformed = {'"a ""quoted"" word"': 'a "quoted" word', '""': None, '"a,b"': "a,b", "'a'": "'a'"}
    if memo == '"""':
        with pytest.raises(UnusableFile, match="opened in line 2 is never closed"):
            read(tmp_path, HEADER + row + LAST)
        return
    file = read(tmp_path, HEADER + row + LAST)
    if memo in wellformed:
        assert file.rows[0].data["metadata"].get("memo") == wellformed[memo]
    else:
        assert [refused.line for refused in file.refused] == [2]
    assert amounts(file)[-1] == (3, "2.00")


@pytest.mark.parametrize(
    "broken",
    [
        '3001,77,2026-01-31,credit,1.00, "thank you\n' + MILLION,
        '3001,77,2026-01-31,credit,1.00,x"thank you\n' + MILLION,
        '3001,77,2026-01-31,credit,1.00,"thank" you "so\n' + MILLION,
        '3001,77,2026-01-31,credit,1.00,"a"b,"thank\n' + MILLION,
        '3001,77,2026-01-31,credit,1.00, "thank\n' + MILLION.replace('"', "") + '"\n',
        '3001,77,2026-01-31,credit,1.00,"thank\nyou"so "much\n' + MILLION,
    ],
)
def test_a_broken_quote_is_refused_with_all_lines_that_its_record_may_span(
    tmp_path: Path, broken: str
) -> None:
    file = read(tmp_path, HEADER + broken + LAST)
    assert [(row.line, row.detail[:7]) for row in file.refused] == [(2, "not CSV")]
    assert [amount for _, amount in amounts(file)] == ["2.00"]


def test_a_broken_quote_in_one_row_does_not_change_quoted_rows_after_it(tmp_path: Path) -> None:
    quoted = '"4","77","2026-01-31","credit","4.00","a, ""b"""\n'
    file = read(tmp_path, HEADER + '3,77,2026-01-31,credit,3.00,5" pipe\n' + LAST + quoted)
    assert [row.line for row in file.refused] == [2]
    assert amounts(file) == [(3, "2.00"), (4, "4.00")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + THANKS + LAST, "a quote opened in line 2 is never closed"),
        (HEADER + LAST + '5,77,2026-01-31,credit,5.00,"', "opened in line 3"),
        (HEADER.replace("memo", "amount") + LAST, "column amount occurs twice"),
        (HEADER.replace("memo", " date\t") + LAST, "column date occurs twice"),
        (HEADER.replace("memo", '"memo') + LAST, "never closed"),
        (HEADER.replace("memo", 'me"mo') + LAST, "the header is not CSV"),
        (HEADER.replace("memo", "me\0mo") + LAST, r"column 6 contains the character U\+0000"),
        (HEADER.replace("memo", "\0") + LAST, r"column 6 contains the character U\+0000"),
        (HEADER.replace("memo", "am\u200bount") + LAST, r"column 6 contains an invisible character, U\+200B"),
        ("\ufeff\ufeff" + HEADER + LAST, r"column 1 contains an invisible character, U\+FEFF"),
        (HEADER.replace("memo", "") + LAST, "column 6 has no name"),
        (HEADER.replace("amount,", "") + LAST, "column missing: amount"),
        ((HEADER + LAST).replace("\n", "\r"), "carriage return"),
        ("\ufeff", "empty"),
        ("\n\r\n", "empty"),
        (HEADER.replace(",", ";") + LAST, "try --delimiter ';'"),
        (HEADER.replace(",", "\t") + LAST, r"U\+0009 \(see --delimiter\)"),
    ],
)
def test_a_file_without_separable_rows_is_unusable_with_a_one_sentence_reason(
    tmp_path: Path, content: str, words: str
) -> None:
    with pytest.raises(UnusableFile, match=words) as caught:
        read(tmp_path, content)
    assert caught.value.exit_code == 1
    assert caught.value.format_message().startswith("unusable file: ")
    assert "\n" not in caught.value.format_message()


@pytest.mark.parametrize(
    ("cell", "field"),
    [
        ("tra\u200bns", "trans_id"),
        ("\ufeff7", "account_id"),
        ("7\u00ad", "account_id"),
        ("7\u2060", "trans_id"),
    ]
    + [
        (f"7{character}7", "account_id")
        for character in "\u00a0\u3164\u2800\ufe0f\u202e\x1f\x85\t\u2028\u034f"
    ]
    + [("\U000e0041", "trans_id"), (" 7", "trans_id"), ("7\u3000", "account_id")],
)
def test_invisible_characters_in_an_id_are_refused_with_the_column_s_name(
    tmp_path: Path, cell: str, field: str
) -> None:
    ids = {"trans_id": "1", "account_id": "77"} | {field: cell}
    row = f"{ids['trans_id']},{ids['account_id']},2026-01-31,credit,5.00,a\u200bb\n"
    file = read(tmp_path, HEADER + row + LAST)
    assert [(row.line, row.field) for row in file.refused] == [(2, field)]
    assert amounts(file) == [(3, "2.00")]


@pytest.mark.parametrize(
    "date",
    [
        "2026-1-5",
        "20260105",
        "2026-W01-1",
        "２０２６-01-05",
        "2026-01-05 ",
        "2026-01-05T00:00",
        "05.01.2026",
        "",
    ],
)
def test_dates_have_exactly_the_form_named_in_the_message(tmp_path: Path, date: str) -> None:
    file = read(tmp_path, f"{HEADER}1,77,{date},credit,5.00,\n{LAST}")
    assert [(row.field, row.detail) for row in file.refused] == [
        ("date", f"must be a date like 1993-01-31, got {date!r}")
    ]


@pytest.mark.parametrize("memo", ["a\rb", '"a"\r', "a\r"])
def test_a_carriage_return_that_ends_no_line_is_refused_outside_of_quotes(tmp_path: Path, memo: str) -> None:
    file = read(tmp_path, f"{HEADER}1,77,2026-01-31,credit,5.00,{memo}\r\n{LAST}")
    assert [row.line for row in file.refused] == [2]
    assert amounts(file) == [(3, "2.00")]


@pytest.mark.parametrize("memo", ["x" * 900_000, '"' + "x\n" * 450_000 + '"', "x" * 2_000_000, "é" * 450_000])
def test_a_record_beyond_the_size_limit_is_refused_and_later_rows_are_read(tmp_path: Path, memo: str) -> None:
    file = read(tmp_path, f"{HEADER}1,77,2026-01-31,credit,5.00,{memo}\n{LAST}")
    (refused,) = file.refused
    assert (refused.line, refused.detail) == (2, f"longer than {rows.RECORD_BYTES_MAX:,} bytes")
    assert [amount for _, amount in amounts(file)] == ["2.00"]


def test_a_long_cell_within_the_bound_is_read_whole(tmp_path: Path) -> None:
    memo = "x" * 500_000
    file = read(tmp_path, f"{HEADER}1,77,2026-01-31,credit,5.00,{memo}\n")
    assert file.rows[0].data["metadata"]["memo"] == memo


@pytest.mark.parametrize(("memo", "words"), [("\x01" * 300_000, "too long"), ("\\" * 600_000, "too long")])
def test_a_cell_that_grows_when_it_is_encoded_is_refused_by_name(
    tmp_path: Path, memo: str, words: str
) -> None:
    file = read(tmp_path, f"{HEADER}1,77,2026-01-31,credit,5.00,{memo}\n{LAST}")
    assert [(row.line, row.field, words in row.detail) for row in file.refused] == [(2, "metadata", True)]
    assert amounts(file) == [(3, "2.00")]


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [
        ("latin-1", ";"),
        ("cp1252", "\t"),
        ("utf-16", ";"),
        ("utf-16-le", ","),
        ("utf-8", "|"),
        ("utf-8-sig", ","),
    ],
)
def test_encoding_and_delimiter_follow_the_options(tmp_path: Path, encoding: str, delimiter: str) -> None:
    content = (HEADER + '1,77,2026-01-31,credit,5.00,"Příjem, döner"\n').replace("ří", "é")
    written = content.replace(",", delimiter).replace(f"{delimiter} döner", ", döner")
    (row,) = read(tmp_path, written, encoding=encoding, delimiter=delimiter).rows
    assert row.data["metadata"]["memo"] == "Péjem, döner"
