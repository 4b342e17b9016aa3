"""What became of an import's rows: counted while they end, reported when all have.

Every row of the file is in exactly one place: taken, already there, repeated in the
file, refused (by us or by the ledger), or not ended in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from ledger_streams.cli.import_file import ImportFile, mismatch
from ledger_streams.cli.rows import PaymentRow, RefusedRow
from ledger_streams.domain.money import format_amount, parse_amount
from ledger_streams.ports import PaymentView

Placed = Callable[[int], None]
"""Told how many more rows have found their place."""
SIGNS: Final = {"deposit": 1, "withdrawal": -1, "transfer": 0}
"""What a completed payment of the kind adds to all wallets together."""


class CurrencyTotals(msgspec.Struct, frozen=True):
    """Completed payments of one currency; `net` is deposits less withdrawals."""

    currency: str
    deposits: str
    withdrawals: str
    transfers: str
    net: str
    net_whole_file: str
    """With what was there already: the sum of the wallets if the file is all they know."""


class ImportReport(msgspec.Struct, frozen=True):
    """The end of an import, as printed and as JSON."""

    file: str
    form: str
    rows: int
    taken: int
    already_completed: int
    already_failed: int
    repeated: int
    unreadable: int
    refused_by_ledger: int
    not_ended: int
    wallets_opened: int
    totals: tuple[CurrencyTotals, ...]
    reasons: dict[str, int]
    refused: tuple[RefusedRow, ...]
    seconds: float
    payments_per_s: float

    @property
    def exit_code(self) -> int:
        """Return 0 when all rows were readable and have ended, in whichever way the ledger decided."""
        return 1 if self.unreadable or self.not_ended else 0


class Tally:
    """Counts rows into their places."""

    def __init__(self, file: ImportFile, placed: Placed) -> None:
        self._file = file
        self._placed = placed
        self._sums: Counter[tuple[str, str]] = Counter()
        self._sums_before: Counter[str] = Counter()
        self._unreadable = list(file.refused)
        self._refused_by_ledger: list[RefusedRow] = []
        self._taken = 0
        self._already: Counter[bool] = Counter()
        self.wallets_opened = 0

    def already(self, row: PaymentRow, known: PaymentView) -> None:
        """Count a row whose payment had ended before this import."""
        self._placed(1)
        completed = known.status != "failed"
        self._already[completed] += 1
        if completed:
            currency, kind = row.data["currency"], row.data["kind"]
            self._sums_before[currency] += SIGNS[kind] * parse_amount(row.data["amount"], currency)

    def other_content(self, row: PaymentRow) -> None:
        """Count a row whose payment_id the ledger knows with other content."""
        self._placed(1)
        detail = "the ledger knows this payment with other content (another currency?)"
        self._unreadable.append(mismatch(row, detail))

    def ended(self, row: PaymentRow, payment: PaymentView) -> None:
        """Count a row whose payment has ended now."""
        self._placed(1)
        currency, kind = row.data["currency"], row.data["kind"]
        if payment.status == "failed":
            self._refused_by_ledger.append(_refusal(row, payment))
            return
        self._taken += 1
        self._sums[currency, kind] += parse_amount(row.data["amount"], currency)

    def report(self, *, name: str, seconds: float) -> ImportReport:
        """Return what there is to say; what was counted nowhere has not ended."""
        file, refused = self._file, [*self._unreadable, *self._refused_by_ledger]
        rows = len(file.rows) + len(file.refused) + file.repeated
        placed = self._taken + self._already.total() + file.repeated + len(refused)
        sent = self._taken + len(self._refused_by_ledger)
        return ImportReport(
            file=name,
            form=file.form,
            rows=rows,
            taken=self._taken,
            already_completed=self._already[True],
            already_failed=self._already[False],
            repeated=file.repeated,
            unreadable=len(self._unreadable),
            refused_by_ledger=len(self._refused_by_ledger),
            not_ended=rows - placed,
            wallets_opened=self.wallets_opened,
            totals=tuple(self._totals(currency) for currency in self._currencies()),
            reasons=dict(Counter(row.reason for row in refused).most_common()),
            refused=tuple(sorted(refused, key=lambda row: row.line)),
            seconds=round(seconds, 3),
            payments_per_s=round(sent / seconds, 1) if seconds > 0 else 0.0,
        )

    def _currencies(self) -> list[str]:
        return sorted({currency for currency, _ in self._sums} | set(self._sums_before))

    def _totals(self, currency: str) -> CurrencyTotals:
        sums = {kind: self._sums[currency, kind] for kind in SIGNS}
        net = sum(SIGNS[kind] * amount for kind, amount in sums.items())
        return CurrencyTotals(
            currency,
            deposits=format_amount(sums["deposit"], currency),
            withdrawals=format_amount(sums["withdrawal"], currency),
            transfers=format_amount(sums["transfer"], currency),
            net=format_amount(net, currency),
            net_whole_file=format_amount(net + self._sums_before[currency], currency),
        )


def _refusal(row: PaymentRow, payment: PaymentView) -> RefusedRow:
    data = row.data
    wallets = [data[side] for side in ("source_wallet_id", "target_wallet_id") if data.get(side)]
    detail = f"{data['kind']} of {data['amount']} {data['currency']}, wallet {' to '.join(wallets)}"
    return RefusedRow(row.line, None, payment.reason or "failed", detail)
