"""The outcomes of an import's rows, and the report.

Every row of the file is counted once: taken, already there, repeated in the file, refused
(by the import or by the ledger), or not ended in time.  Rows that have not ended are
unknown if they may have been sent, else not sent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from ledger_streams.domain.money import format_amount, parse_amount
from ledger_streams.importer.import_file import ImportFile, mismatch_row
from ledger_streams.importer.rows import PaymentRow, RefusedRow
from ledger_streams.ports import PaymentView

ReportProgress = Callable[[int], None]
"""Called with the number of newly counted rows."""
SIGNS: Final = {"deposit": 1, "withdrawal": -1, "transfer": 0}
"""Sign of a completed payment in the sum of all wallets, by kind."""
REFUND: Final = "refund"
"""A refund has the opposite sign of the refunded payment."""
UNREADABLE_REASON: Final = "invalid"
STOPPED_EXIT_CODES: Final = {"interrupted": 130, "terminated": 143}
"""128 + signal number, as shells report SIGINT and SIGTERM."""


class CurrencyTotals(msgspec.Struct, frozen=True):
    """Completed payments of one currency; `net` is deposits minus withdrawals."""

    currency: str
    deposits: str
    withdrawals: str
    transfers: str
    net: str
    net_whole_file: str
    """Including payments of earlier imports of the file: the sum of the wallets if no others paid."""
    refunds: str | None = None
    """Sum of refunds in both directions; None if there were none."""


class ImportReport(msgspec.Struct, frozen=True):
    """The report of an import; the fields are its JSON keys."""

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
    sent: int = 0
    """Payments whose request Kafka has acknowledged in this run."""
    completed: int = 0
    failed: int = 0
    """Failed payments that this run has waited for, like `completed`."""
    unknown: int = 0
    """Payments not ended that were sent, or may have been: the connection broke before the response."""
    not_sent: int = 0
    wallets_sent: int = 0
    """OpenWallet commands that were or may have been sent."""
    stopped: str | None = None
    """Reason of an early end; None if the import ran to its end."""

    @property
    def exit_code(self) -> int:
        """Return 0 if all rows were readable and have ended, completed or refused."""
        if self.stopped in STOPPED_EXIT_CODES:
            return STOPPED_EXIT_CODES[self.stopped]
        return 1 if self.unreadable or self.not_ended or self.stopped else 0


def unusable_report(name: str, sentence: str) -> ImportReport:
    """Return the report of an unusable file, of which nothing was sent."""
    return ImportReport(
        file=name,
        form="unknown",
        rows=0,
        taken=0,
        already_completed=0,
        already_failed=0,
        repeated=0,
        unreadable=0,
        refused_by_ledger=0,
        not_ended=0,
        wallets_opened=0,
        totals=(),
        reasons={},
        refused=(),
        seconds=0.0,
        payments_per_s=0.0,
        stopped=sentence,
    )


class Tally:
    """Counts the outcomes of rows."""

    def __init__(self, file: ImportFile, placed: ReportProgress) -> None:
        self._file = file
        self._placed = placed
        self._sums: Counter[tuple[str, str]] = Counter()
        self._net: Counter[str] = Counter()
        self._sums_before: Counter[str] = Counter()
        self._unreadable = list(file.refused)
        self._refused_by_ledger: list[RefusedRow] = []
        self._taken = 0
        self._already: Counter[bool] = Counter()
        self.wallets_opened = 0
        self.wallets_sent = 0
        self.sent = 0
        self.under_way = 0
        self.seconds = 0.0

    def wallet_commands_sent(self, count: int) -> None:
        """Count OpenWallet commands."""
        self.wallets_sent += count

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the duration of the block, also after an error."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.seconds = time.monotonic() - began_s

    def already(self, row: PaymentRow, known: PaymentView) -> None:
        """Count a row whose payment had ended before this run."""
        self._placed(1)
        completed = known.status != "failed"
        self._already[completed] += 1
        if completed:
            currency, amount_minor = _money(row, known)
            self._sums_before[currency] += _sign(row, known) * amount_minor

    def other_content(self, row: PaymentRow, known: PaymentView) -> None:
        """Count a row whose payment_id exists in the ledger with other content."""
        self._placed(1)
        detail = "the ledger has this payment_id with other content (another --currency?)"
        if known.status == "failed" and known.reason == UNREADABLE_REASON:
            detail = "a payment with this id was sent before, and its content could not be read"
        self._unreadable.append(mismatch_row(row, detail))

    def ended(self, row: PaymentRow, payment: PaymentView) -> None:
        """Count a row whose payment has ended in this run."""
        self._placed(1)
        if payment.status == "failed":
            self._refused_by_ledger.append(_refusal(row, payment))
            return
        self._taken += 1
        currency, amount_minor = _money(row, payment)
        self._sums[currency, row.data["kind"]] += amount_minor
        self._net[currency] += _sign(row, payment) * amount_minor

    def report(self, *, name: str, seconds: float, stopped: str | None = None) -> ImportReport:
        """Return the report; rows that were not counted have not ended."""
        file, refused = self._file, [*self._unreadable, *self._refused_by_ledger]
        rows = len(file.rows) + len(file.refused) + file.repeated
        placed = self._taken + self._already.total() + file.repeated + len(refused)
        ended = self._taken + len(self._refused_by_ledger)
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
            payments_per_s=round(ended / seconds, 1) if seconds > 0 else 0.0,
            sent=self.sent,
            completed=self._taken,
            failed=len(self._refused_by_ledger),
            unknown=self.under_way,
            not_sent=rows - placed - self.under_way,
            wallets_sent=self.wallets_sent,
            stopped=stopped,
        )

    def _currencies(self) -> list[str]:
        return sorted({currency for currency, _ in self._sums} | set(self._sums_before))

    def _totals(self, currency: str) -> CurrencyTotals:
        sums = {kind: self._sums[currency, kind] for kind in SIGNS}
        net, refunds_minor = self._net[currency], self._sums[currency, REFUND]
        return CurrencyTotals(
            currency,
            deposits=format_amount(sums["deposit"], currency),
            withdrawals=format_amount(sums["withdrawal"], currency),
            transfers=format_amount(sums["transfer"], currency),
            net=format_amount(net, currency),
            net_whole_file=format_amount(net + self._sums_before[currency], currency),
            refunds=format_amount(refunds_minor, currency) if refunds_minor else None,
        )


def _money(row: PaymentRow, payment: PaymentView) -> tuple[str, int]:
    """Return currency and minor units; a refund's are those of the completed payment, not of the row."""
    is_refund = row.data["kind"] == REFUND
    currency = payment.currency if is_refund else row.data["currency"]
    return currency, parse_amount(payment.amount if is_refund else row.data["amount"], currency)


def _sign(row: PaymentRow, payment: PaymentView) -> int:
    kind = row.data["kind"]
    if kind != REFUND:
        return SIGNS[kind]
    return (payment.target_wallet_id is not None) - (payment.source_wallet_id is not None)


def _refusal(row: PaymentRow, payment: PaymentView) -> RefusedRow:
    data = row.data
    wallets = [data[side] for side in ("source_wallet_id", "target_wallet_id") if data.get(side)]
    amount = f"{data['amount']} {data['currency']}" if data.get("amount") else "all that is left"
    whose = f"payment {data['refund_of']}" if data.get("refund_of") else f"wallet {' to '.join(wallets)}"
    return RefusedRow(row.line, None, payment.reason or "failed", f"{data['kind']} of {amount}, {whose}")
