"""The page of metrics: names as Prometheus shows them, types, units, labels, buckets and help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ledger_streams import metrics
from tests.reference.markdown import codes, document, one_line, table
from tests.reference.source import attribute_docs

UNITS: Final = {"seconds": "seconds", "bytes": "bytes", "ms": "milliseconds", "ratio": "ratio"}
INTRO: Final = """\
Workers and the API answer `GET /metrics` in Prometheus' text format; gateways and projectors do so with
`--with-web`. The metrics of the Python process come beside those below. A metric with labels appears once
it has been set. Prometheus adds `_bucket`, `_sum` and `_count` to the name of a histogram."""


def page() -> str:
    """Return the page."""
    notes = attribute_docs(metrics)
    parts = [
        part
        for name, metric in vars(metrics).items()
        if isinstance(metric, MetricWrapperBase)
        for part in _section(metric, notes.get(name, ""))
    ]
    return document("Metrics", "`ledger_streams/metrics.py`", INTRO, [_overview(), *parts])


def _overview() -> str:
    ours = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    rows = [[f"[{shown(metric)}](#{shown(metric)})", str(metric._type), unit(metric)] for metric in ours]
    return table(["metric", "type", "unit"], rows)


def _section(metric: MetricWrapperBase, note: str) -> Iterator[str]:
    yield f"## {shown(metric)}"
    yield f"{one_line(metric._documentation).rstrip('.')}."
    yield one_line(note)
    lines = [f"- Type: {metric._type}, unit: {unit(metric)}"]
    if metric._labelnames:
        lines.append(f"- Labels: {codes(metric._labelnames)}")
    if isinstance(metric, Histogram):
        bounds = metric._kwargs["buckets"]
        lines.append(f"- Buckets: {', '.join(f'{bound:g}' for bound in bounds)}")
    yield "\n".join(lines)


def shown(metric: MetricWrapperBase) -> str:
    """Return the name as /metrics has it."""
    return f"{metric._name}_total" if isinstance(metric, Counter) else metric._name


def unit(metric: MetricWrapperBase) -> str:
    """Return the unit, which a name ends in; a name without one is a count."""
    return UNITS.get(metric._name.rpartition("_")[2], "count")
