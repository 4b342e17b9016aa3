"""Generated bank transactions for the demo, if there is no real file.

They have the columns of the real file (see data/README.md).  The seed is fixed: a second
demo generates the same file and finds its payments already there.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Final

HEADER: Final = "trans_id,account_id,date,direction,operation,amount,balance,k_symbol,bank,account"
SEED: Final = 1993
FIRST_DAY: Final = date(1993, 1, 1)
DAYS: Final = 455
CREDIT_SHARE: Final = 0.45
_OPERATIONS: Final = {"credit": ("VKLAD", "PREVOD Z UCTU", ""), "debit": ("VYBER", "PREVOD NA UCET")}


def write_transactions(path: Path, *, rows: int = 2_000, accounts: int = 60) -> None:
    """Write a file of `rows` transactions ordered by date; the first one of each account is a credit."""
    source = random.Random(SEED)  # noqa: S311 (generated amounts, not a secret)
    balances: Counter[int] = Counter()
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    written.write(HEADER + "\n")
    for number in range(rows):
        account = number if number < accounts else source.randrange(accounts)
        credit = number < accounts or source.random() < CREDIT_SHARE
        amount = source.randrange(100_00, 5_000_00)
        balances[account] += amount if credit else -amount
        direction = "credit" if credit else "debit"
        day = FIRST_DAY + timedelta(days=number * DAYS // rows)
        operation = source.choice(_OPERATIONS[direction])
        amounts = f"{amount / 100:.2f}", f"{balances[account] / 100:.2f}"
        lines.writerow((100_000 + number, 1 + account, day, direction, operation, *amounts, "", "", ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(written.getvalue().encode(), mtime=0))
