"""Expected balances of a bank's transactions, computed row by row without the project's code."""

from __future__ import annotations

import csv
import gzip
import uuid
from decimal import Decimal
from pathlib import Path

NS = uuid.UUID("4ae1f559-ee5c-5076-ba59-1ab5386f97ef")


def carried_out(path: Path, *, overdraft: bool) -> tuple[dict[str, Decimal], list[int]]:
    """Return each wallet's balance in the end, and the lines of debits refused for want of an overdraft."""
    balances: dict[str, Decimal] = {}
    refused: list[int] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            wallet_id = str(uuid.uuid5(NS, f"account:{row['account_id']}"))
            before, amount = balances.get(wallet_id, Decimal(0)), Decimal(row["amount"])
            after = before + amount if row["direction"] == "credit" else before - amount
            if after < 0 and not overdraft:
                refused.append(line)
                after = before
            balances[wallet_id] = after
    return balances, refused
