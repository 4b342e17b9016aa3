"""Options of `import` that say how a file is read, and what its help tells about the formats."""

from __future__ import annotations

import codecs
from typing import Final

import click

MEANINGS: Final = {
    "payment_id": "UUID, lower-case and hyphenated; names the payment, so that it is booked once",
    "kind": "transfer, deposit, withdrawal or refund",
    "amount": "decimal text like 10.25; a refund without it is of all that is left",
    "currency": "ISO 4217 code like EUR; a refund without an amount need not name it",
    "source_wallet_id": "UUID of the wallet that pays, in a transfer or withdrawal",
    "target_wallet_id": "UUID of the wallet that is paid, in a transfer or deposit",
    "provider": "name of the provider of a deposit or withdrawal; none: no provider is called",
    "user_id": "UUID of the user who pays",
    "hold_id": "UUID of the hold to pay out of, in a transfer or withdrawal without a provider",
    "refund_of": "UUID of the payment that a refund gives back",
    "metadata": "JSON object, kept with the payment",
}
"""The fields of a payment, and of a CSV file its columns, with what each holds."""
DELIMITERS: Final = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_NEVER_DELIMITERS: Final = frozenset('"\r\n \0')
_WIDTH: Final = max(map(len, MEANINGS))

EPILOG: Final = """\
\b
Bank transactions, CSV with a header:
  trans_id    the bank's id of the transaction, at most 100 visible characters
  account_id  the bank's id of the account, likewise; its wallet is opened
  date        like 1993-01-31
  direction   credit (a deposit) or debit (a withdrawal)
  amount      decimal text like 10.25, in the currency of --currency
Any other column is kept as the payment's metadata, and so are ids and date.

\b
  trans_id,account_id,date,direction,amount,memo
  3001,77,2026-01-31,credit,10.25,"rent, January"

\b
Payments, a JSON object a line, or CSV with a header (an empty cell is null):
""" + "\n".join(
    [
        *(f"  {name:<{_WIDTH}}  {meaning}" for name, meaning in MEANINGS.items()),
        "payment_id and kind are required, other fields as the kind has it; an unknown one is refused.",
        "",
        "\b",
        '  {"payment_id": "0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7a11", "kind": "deposit", "amount": "10.25",',
        '   "currency": "EUR", "target_wallet_id": "6ba598a2-8b7b-5e3e-9e17-7e32484db2b7"}',
        "on one line, or",
        "  payment_id,kind,target_wallet_id,amount,currency",
        "  0b8e7e0c-9f3e-4b43-8e6a-0f6a3c0b7a11,deposit,6ba598a2-8b7b-5e3e-9e17-7e32484db2b7,10.25,EUR",
        "",
        "\b",
        "CSV is RFC 4180: a cell with a delimiter, a quote or a line break is quoted, a quote in it doubled.",
        "A row that cannot be read is refused by line, field and reason, and the others go on. A row is",
        "900,000 bytes at most. A header that cannot be read, a column that stands twice or is missing, a",
        "quote that is never closed, a damaged gzip: unusable file, and nothing is sent.",
        "",
        "\b",
        "Exit codes:",
        "  0    every row has ended (a refusal of the ledger is an end)",
        "  1    rows were refused as unreadable or have not ended, the import stopped early (Kafka or",
        "       PostgreSQL away), or the file is unusable",
        "  2    wrong usage: options, or no such file",
        "  130  interrupted (Ctrl-C); 143: terminated. The report tells what was sent.",
    ]
)
"""Below the options; each paragraph after a `\\b` keeps its lines."""


def delimiter_of(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """Return the delimiter that the text names: one character, or `tab`."""
    delimiter = DELIMITERS.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in _NEVER_DELIMITERS or delimiter.isalnum():
        raise click.BadParameter("must be one character such as ',', ';' or '|', or `tab`")
    return delimiter


def encoding_of(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """Return the encoding's name when it is one of text."""
    try:
        codecs.lookup(text)
        "\n".encode(text).decode(text)
    except (LookupError, ValueError) as error:
        raise click.BadParameter(
            f"is no encoding of text ({error}); use utf-8, latin-1, cp1252, utf-16, ..."
        ) from error
    return text
