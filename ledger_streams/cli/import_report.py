"""The report of an import for people: counts, totals by currency, the first of the refused rows."""

from __future__ import annotations

from typing import Final

from ledger_streams.cli.output import table
from ledger_streams.importer.tally import ImportReport

REFUSED_ON_SCREEN_MAX: Final = 20


def report_text(report: ImportReport) -> str:
    """Return the report for people: counts, totals per currency, and the first of the refused rows."""
    parts = [_counts(report)]
    if report.totals:
        parts.append(_totals(report))
    if report.refused:
        parts.append(_refused(report))
    return "\n\n".join(parts)


def _totals(report: ImportReport) -> str:
    kinds = ["deposits", "withdrawals", "transfers"]
    if any(total.refunds is not None for total in report.totals):
        kinds.append("refunds")
    columns = ("currency", *kinds, "net", "net, whole file")
    rows = [
        (total.currency, *(getattr(total, kind) for kind in kinds), total.net, total.net_whole_file)
        for total in report.totals
    ]
    return table("Completed", columns, rows, numbers=columns[1:])


def _counts(report: ImportReport) -> str:
    already = report.already_completed + report.already_failed
    lines = [
        f"{report.file}: {report.rows:,} rows of {report.form}",
        f"  taken              {report.taken:>10,}",
        f"  already there      {already:>10,}  ({report.already_failed:,} of them failed)",
        f"  refused by ledger  {report.refused_by_ledger:>10,}",
        f"  unreadable         {report.unreadable:>10,}",
    ]
    if report.repeated:
        lines.append(f"  repeated in file   {report.repeated:>10,}")
    if report.not_ended:
        lines.append(
            f"  NOT ENDED          {report.not_ended:>10,}  (run it again when worker and projector are up)"
        )
    if report.not_ended or report.stopped:
        ended = f"{report.completed:,} completed, {report.failed:,} failed, {report.unknown:,} unknown"
        lines.append(f"  sent               {report.sent:>10,}  ({ended}; {report.not_sent:,} not sent)")
    if report.stopped:
        lines.append(f"  STOPPED: {report.stopped}; run it again, it is safe to repeat")
    unseen = report.wallets_sent - report.wallets_opened
    told = f"  ({unseen:,} more were asked for)" if unseen > 0 else ""
    lines.append(f"  wallets opened     {report.wallets_opened:>10,}{told}")
    lines.append(f"  {report.seconds:.1f} s, {report.payments_per_s:,.0f} payments/s")
    return "\n".join(lines)


def _refused(report: ImportReport) -> str:
    shown = report.refused[:REFUSED_ON_SCREEN_MAX]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.reasons.items())
    columns = ("line", "field", "reason", "detail")
    rows = [(row.line, row.field, row.reason, row.detail) for row in shown]
    text = table(f"Refused ({reasons})", columns, rows, numbers=("line",))
    left = len(report.refused) - len(shown)
    return f"{text}\n... and {left:,} more: see --json or --report FILE" if left else text
