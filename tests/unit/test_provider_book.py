"""The provider simulator's book: idempotent orders, final cancellations, durable commits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_streams.domain.money import AMOUNT_MINOR_MAX
from ledger_streams.local.provider_simulator.book import Book, Entry, Order, Sums
from tests.projected import new_id


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.sqlite3"


@pytest.fixture
def book(path: Path) -> Iterator[Book]:
    opened = Book(path)
    yield opened
    opened.close()


def order(kind: str = "deposit", amount_minor: int = 1025, currency: str = "EUR") -> Order:
    return Order(new_id(), kind, amount_minor, currency)


def test_the_same_order_again_is_one_payment_and_one_answer(book: Book) -> None:
    key, wanted = new_id(), order()
    first = book.carry_out(key, wanted)
    assert first == Entry("approved", f"sim-{key}", wanted)
    assert book.carry_out(key, wanted) == first
    assert book.sums() == {"EUR": Sums("10.25", 1, "0.00", 0)}


@pytest.mark.parametrize(
    "other", [order(), order("withdrawal"), order(amount_minor=1), order(currency="USD")]
)
def test_another_order_under_a_known_key_changes_nothing(book: Book, other: Order) -> None:
    key, wanted = new_id(), order()
    book.carry_out(key, wanted)
    assert book.carry_out(key, other) is None
    assert book.entry(key) == Entry("approved", f"sim-{key}", wanted)


def test_a_declined_payment_stays_declined_and_has_no_effect(book: Book) -> None:
    key, wanted = new_id(), order()
    assert book.carry_out(key, wanted, refusal="no") == Entry("declined", "no", wanted)
    assert book.carry_out(key, wanted) == Entry("declined", "no", wanted)
    assert book.sums() == {}


def test_a_cancelled_key_that_was_never_seen_is_never_carried_out(book: Book) -> None:
    key, wanted = new_id(), order()
    book.cancel(key)
    assert book.entry(key) == Entry("cancelled")
    for _ in range(2):
        entry = book.carry_out(key, wanted)
        assert entry is not None
        assert entry.status == "cancelled"
    assert book.carry_out(key, order()) is None
    assert (book.sums(), list(book.effective())) == ({}, [])


def test_an_approved_payment_is_reversed_by_its_cancellation_for_ever(book: Book) -> None:
    key, kept, wanted = new_id(), new_id(), order()
    book.carry_out(key, wanted)
    book.carry_out(kept, wanted)
    for _ in range(2):
        book.cancel(key)
    assert book.carry_out(key, wanted) == Entry("cancelled", f"sim-{key}", wanted)
    assert list(book.effective()) == [(kept, wanted)]


def test_sums_are_exact_by_currency_and_kind(book: Book) -> None:
    for kind, amount_minor, currency in (
        ("deposit", 1, "EUR"),
        ("deposit", AMOUNT_MINOR_MAX, "EUR"),
        ("withdrawal", 1025, "EUR"),
        ("withdrawal", 500, "JPY"),
        ("deposit", 1234, "KWD"),
    ):
        book.carry_out(new_id(), order(kind, amount_minor, currency))
    assert book.sums() == {
        "EUR": Sums("10000000000000.01", 2, "10.25", 1),
        "JPY": Sums("0", 0, "500", 1),
        "KWD": Sums("1.234", 1, "0.000", 0),
    }


def test_another_reader_finds_each_answer_in_the_file_at_once(book: Book, path: Path) -> None:
    key, cancelled, wanted = new_id(), new_id(), order()
    book.carry_out(key, wanted)
    book.cancel(cancelled)
    reader = Book(path)
    assert (reader.entry(key), reader.entry(cancelled)) == (book.entry(key), Entry("cancelled"))
    assert reader.carry_out(key, wanted) == book.entry(key)
    reader.close()


def test_an_order_that_the_book_refuses_leaves_no_transaction_open(book: Book, path: Path) -> None:
    with pytest.raises(Exception, match="CHECK constraint"):
        book.carry_out(new_id(), order(amount_minor=0))
    assert book.carry_out(new_id(), order()) is not None
    assert book.sums()["EUR"].collected_count == 1
