"""The pages in docs/reference agree with the code, and their links resolve."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ledger_streams.cli import FAUST_COMMANDS, OWN_COMMANDS
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.domain.wallet import WalletStatus
from ledger_streams.settings import Settings
from tests.reference.markdown import anchor
from tests.reference.pages import PAGES, checked_in
from tests.reference.reasons import meaning_and_advice
from tests.reference.settings import variable

ALL = [*PAGES, "postgres"]
_link = re.compile(r"\]\((?:(\w+)\.md)?#([^)]+)\)")
_heading = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_each_page_agrees_with_the_code(name: str) -> None:
    assert checked_in(name) == PAGES[name](), (
        f"docs/reference/{name}.md differs from the code: run make reference"
    )


def links() -> Iterator[tuple[str, str, str]]:
    """Yield each link from page to page: the page, the page it leads to, and the heading's anchor."""
    for name in ALL:
        for target, fragment in _link.findall(checked_in(name)):
            yield name, target or name, fragment


def test_each_link_leads_to_a_heading() -> None:
    anchors = {name: {anchor(heading) for heading in _heading.findall(checked_in(name))} for name in ALL}
    broken = [link for link in links() if link[2] not in anchors[link[1]]]
    assert len(list(links())) > 100
    assert broken == []


@pytest.mark.parametrize("name", ALL)
def test_no_two_headings_of_a_page_have_one_anchor(name: str) -> None:
    anchors = [anchor(heading) for heading in _heading.findall(checked_in(name))]
    assert len(anchors) == len(set(anchors))


def test_each_setting_has_a_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert all(f"| `{variable(name)}` |" in checked_in("settings") for name in Settings.model_fields)


@pytest.mark.parametrize("values", [PaymentStatus, Reason, PaymentKind, WalletStatus])
def test_each_status_reason_and_kind_has_a_meaning(values: type[Reason]) -> None:
    assert [value for value in values if not meaning_and_advice(values, value)[0]] == []


@pytest.mark.parametrize("values", [PaymentStatus, Reason])
def test_each_status_and_reason_names_the_caller_s_options(values: type[Reason]) -> None:
    assert [value for value in values if not meaning_and_advice(values, value)[1]] == []


@pytest.mark.parametrize("command", [*OWN_COMMANDS, *FAUST_COMMANDS])
def test_each_command_is_listed(command: str) -> None:
    assert f"ledger-streams {command}" in checked_in("cli")
