"""The alert rules use existing metrics."""

from __future__ import annotations

import re

from prometheus_client.metrics import MetricWrapperBase

from ledger_streams import metrics
from tests.unit.test_tidy import ROOT

RULES = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()


def test_every_metric_of_a_rule_is_declared() -> None:
    asked = set(re.findall(r"\bledger_\w+", RULES))
    ours = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    declared = {str(next(iter(one.describe())).name) for one in ours}
    assert asked
    assert asked <= declared


def test_every_rule_names_the_remedy() -> None:
    assert RULES.count("alert:") == RULES.count("expr:") == RULES.count("description:") > 0
