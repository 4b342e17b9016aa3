"""Mutants of the edges: PostgreSQL, Redis, the wire and HTTP."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

EDGES = (
    Mutant(
        name="position-in-transaction",
        rule="A projector's position moves in the PostgreSQL transaction of the rows, or not at all.",
        file="ledger_streams/adapters/postgres/sink.py",
        old="async with connection.transaction():",
        new="if True:",
        tests=(
            "tests/integration/test_postgres_sink.py::test_a_version_gap_is_refused_and_nothing_is_written",
        ),
    ),
    Mutant(
        name="stale-projector",
        rule="A projector whose position is not the stored one writes nothing.",
        file="ledger_streams/adapters/postgres/sql/projections.sql",
        old=" AND p.next_offset = c.expected",
        new="",
        tests=("tests/integration/test_postgres_sink.py::test_of_two_writers_at_once_one_is_refused",),
    ),
    Mutant(
        name="projected-without-gap",
        rule="The projector refuses a wallet event that does not follow the wallet's last version.",
        file="ledger_streams/adapters/postgres/order.py",
        old="if row.event_version != last + 1:",
        new="if row.event_version <= last:",
        tests=(
            "tests/integration/test_postgres_sink.py::test_a_version_gap_is_refused_and_nothing_is_written",
        ),
    ),
    Mutant(
        name="behind-a-parked-record",
        rule="Later records of an aggregate wait behind its parked record.",
        file="ledger_streams/adapters/postgres/parking.py",
        old="if part.aggregate_id in self._blocked:",
        new="if False:",
        tests=(
            "tests/integration/test_parking.py"
            "::test_later_records_of_the_aggregate_wait_behind_in_order_and_the_others_go_on",
        ),
    ),
    Mutant(
        name="hash-chain",
        rule="Each row's hash covers the hash of the row before it.",
        file="ledger_streams/adapters/postgres/hash_chain.py",
        old="sha256(before + content)",
        new="sha256(content)",
        tests=(
            "tests/property/test_audit_properties.py"
            "::test_a_missing_row_is_named_by_what_comes_after_or_by_the_head",
        ),
    ),
    Mutant(
        name="cached-version",
        rule="An older version of a wallet never replaces a newer one in Redis.",
        file="ledger_streams/adapters/redis/put_newer.lua",
        old="wallet.version > tonumber(ARGV[1])",
        new="false",
        tests=("tests/contract/test_balance_cache.py::test_an_older_version_never_replaces_a_newer_one",),
    ),
    Mutant(
        name="cached-epoch",
        rule="An entry of an earlier epoch of Redis is no answer.",
        file="ledger_streams/adapters/redis/balances.py",
        old="if entry.epoch != epoch or self._unwritten",
        new="if self._unwritten",
        tests=(
            "tests/contract/test_balance_cache.py"
            "::test_an_entry_of_another_epoch_is_ignored_and_keeps_older_ones_out",
        ),
    ),
    Mutant(
        name="breaker-trial",
        rule="After the open time a breaker lets one call through, the trial.",
        file="ledger_streams/adapters/redis/breaker_allow_call.lua",
        old="if state ~= 'OPEN' and state ~= 'HALF_OPEN' then",
        new="if state ~= 'OPEN' then",
        tests=("tests/contract/test_breakers.py::test_after_the_open_time_one_trial_call_is_allowed",),
    ),
    Mutant(
        name="repeated-key",
        rule="A body in which a key stands twice is refused.",
        file="ledger_streams/wire/repeated_keys.py",
        old="    return find_repeated_key(text)\n",
        new="    return None\n",
        tests=("tests/unit/test_web_bodies.py::test_the_second_amount_of_a_payment_is_not_booked",),
    ),
    Mutant(
        name="unknown-field",
        rule="A payment with an unknown field is refused.",
        file="web/payments/input.py",
        old="if name not in FIELDS:",
        new="if False:",
        tests=("tests/unit/test_web_bodies.py::test_a_misspelt_hold_takes_no_free_money",),
    ),
    Mutant(
        name="idempotency-key",
        rule="The same Idempotency-Key gives a payment the same id.",
        file="web/http/idempotency.py",
        old="services.new_id() if id_seed is None else derived_id(prefix + id_seed)",
        new="services.new_id()",
        tests=("tests/unit/test_web_payments.py::test_without_an_id_the_idempotency_key_gives_it",),
    ),
    Mutant(
        name="key-of-another-payment",
        rule="An Idempotency-Key beside the id of another payment is refused.",
        file="web/http/idempotency.py",
        old="if id_seed is not None and given != (derived := derived_id(prefix + id_seed)):",
        new='if (derived := "") and id_seed:',
        tests=("tests/unit/test_web_payments.py::test_a_key_with_another_payment_id_is_422_in_either_order",),
    ),
)
