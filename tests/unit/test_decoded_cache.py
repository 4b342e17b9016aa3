"""Cache of decoded records: a worker's own record needs no decoding, once, for the same key and value."""

from __future__ import annotations

from agents.decoded_cache import GENERATION_RECORDS_MAX, VALUE_BYTES_MAX, DecodedRecordCache


def test_the_same_key_and_value_return_the_written_record() -> None:
    written: DecodedRecordCache[str] = DecodedRecordCache()
    written.keep(b"key", b"value", "content")
    assert written.take(b"key", bytes([*b"value"])) == "content"


def test_a_record_is_returned_once() -> None:
    written: DecodedRecordCache[str] = DecodedRecordCache()
    written.keep(b"key", b"value", "content")
    written.take(b"key", b"value")
    assert written.take(b"key", b"value") is None


def test_another_key_or_value_is_not_in_the_cache() -> None:
    written: DecodedRecordCache[str] = DecodedRecordCache()
    written.keep(b"key", b"value", "content")
    assert written.take(b"other", b"value") is None
    assert written.take(b"key", b"value ") is None
    assert written.take(None, None) is None


def test_a_long_value_is_not_cached() -> None:
    written: DecodedRecordCache[str] = DecodedRecordCache()
    written.keep(b"key", bytes(VALUE_BYTES_MAX + 1), "content")
    assert written.take(b"key", bytes(VALUE_BYTES_MAX + 1)) is None


def test_old_entries_are_dropped_and_the_newest_kept() -> None:
    written: DecodedRecordCache[int] = DecodedRecordCache()
    for number in range(3 * GENERATION_RECORDS_MAX):
        written.keep(b"key", b"%d" % number, number)
    known = [
        number
        for number in range(3 * GENERATION_RECORDS_MAX)
        if written.take(b"key", b"%d" % number) is not None
    ]
    assert known[-1] == 3 * GENERATION_RECORDS_MAX - 1
    assert GENERATION_RECORDS_MAX <= len(known) <= 2 * GENERATION_RECORDS_MAX


def test_no_entry_is_lost_between_two_generations() -> None:
    written: DecodedRecordCache[int] = DecodedRecordCache()
    numbers = list(range(GENERATION_RECORDS_MAX + 1))
    for number in numbers:
        written.keep(b"key", b"%d" % number, number)
    assert [written.take(b"key", b"%d" % number) for number in numbers] == numbers
