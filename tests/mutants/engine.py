"""Mutants of the engine: transactions, fences, own records read ahead, timers, takeovers and dead letters."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ENGINE = (
    Mutant(
        name="offsets-fenced",
        rule="Source offsets bear the group's generation, so that a stale owner's are refused.",
        file="ledger_streams/kafka/fenced_offsets.py",
        old="membership.generation,\n            membership.member_id,\n            membership.instance_id,",
        new='-1,\n            "",\n            None,',
        tests=(
            "tests/integration/test_fenced_offsets.py"
            "::test_another_is_refused_and_its_records_never_appear[an old generation]",
        ),
    ),
    Mutant(
        name="fence-is-there",
        rule="Offsets are not sent in the name of a membership that the broker would not check.",
        file="ledger_streams/kafka/fenced_offsets.py",
        old="if membership.generation < 0 or not membership.member_id:",
        new="if False:",
        tests=(
            "tests/integration/test_fenced_offsets.py"
            "::test_a_membership_that_would_not_be_checked_is_refused_before_anything_is_sent",
        ),
    ),
    Mutant(
        name="stable-positions",
        rule="A committed position is read only when no open transaction may still move it.",
        file="ledger_streams/kafka/fenced_offsets.py",
        old="for topic, ps in topics.items()], True, {})",
        new="for topic, ps in topics.items()], False, {})",
        tests=(
            "tests/integration/test_fenced_offsets.py::test_a_position_is_not_read_while_a_transaction_is_open_on_it",
        ),
    ),
    Mutant(
        name="static-member-replaced",
        rule="A worker whose place in the group another process has taken ends.",
        file="ledger_streams/kafka/static_membership.py",
        old="if is_fenced and asker.member_id == self.membership.member_id:",
        new="if False:",
        tests=("tests/integration/test_engine_worker_ids.py::test_of_two_that_are_idle_the_older_ends",),
    ),
    Mutant(
        name="transactional-ids",
        rule="A worker's producers have the same transactional ids after a restart: they fence the old ones.",
        file="ledger_streams/kafka/transactions.py",
        old='transactional_id=f"{self._transactional_id}-{number}"',
        new='transactional_id=f"{self._transactional_id}-{number}-{id(self)}"',
        tests=(
            "tests/integration/test_engine_transactions.py::test_one_that_another_process_has_fenced"
            "_is_a_lost_cycle_too_and_the_group_says_whose_it_is",
        ),
    ),
    Mutant(
        name="given-up-is-aborted",
        rule="A cycle given up leaves nothing that a later transaction of its producer commits.",
        file="ledger_streams/kafka/transactions.py",
        old="        await self.drop()\n\n    @asynccontextmanager",
        new="\n    @asynccontextmanager",
        tests=(
            "tests/integration/test_engine_transactions.py::test_a_round_given_up_is_never_committed"
            "_by_a_later_one_after_an_abortable_error_neither[True]",
        ),
    ),
    Mutant(
        name="ahead-once",
        rule="A worker's own record is not taken ahead once the consumer has read it.",
        file="ledger_streams/engine/loopback.py",
        old="if batch.first_offset == next_offset:",
        new="if True:",
        tests=("tests/unit/test_ahead.py::test_what_the_consumer_has_read_is_forgotten",),
    ),
    Mutant(
        name="ahead-in-place",
        rule="A worker's own record is taken ahead in its place: what stands before it comes first.",
        file="ledger_streams/engine/loopback.py",
        old="            next_offset = self._next(tp, read_to)\n",
        new="            next_offset = waiting[0].first_offset\n",
        tests=("tests/unit/test_ahead.py::test_what_another_has_written_before_it_is_waited_for",),
    ),
    Mutant(
        name="ahead-ends-at-takeover",
        rule="What a lost cycle has sent itself is forgotten at the takeover.",
        file="ledger_streams/engine/ledger_committer.py",
        old="        self.ahead.clear()\n",
        new="",
        tests=(
            "tests/integration/test_ledger_committer.py"
            "::test_what_a_lost_cycle_has_sent_to_its_own_partition_is_forgotten_at_the_takeover",
        ),
    ),
    Mutant(
        name="cycle-sees-itself",
        rule="The second request of a payment in one batch sees the first: one id is one payment.",
        file="ledger_streams/engine/state/store.py",
        old="state = self._overlay.get(key)",
        new="state = None",
        tests=("tests/unit/test_agents.py::test_one_payment_asked_for_twice_in_a_cycle_has_one_saga",),
    ),
    Mutant(
        name="store-after-commit",
        rule="A table is written only after the transaction is committed.",
        file="ledger_streams/engine/ledger_committer.py",
        old="self._note_sent(cycle, await self._transactions.commit(",
        new="self._committed(cycle, sources); self._note_sent(cycle, await self._transactions.commit(",
        tests=(
            "tests/integration/test_ledger_committer.py"
            "::test_a_cycle_that_the_broker_refuses_is_not_in_the_table",
        ),
    ),
    Mutant(
        name="timer-not-early",
        rule="No timer fires before its time.",
        file="ledger_streams/engine/state/timers.py",
        old=" and next_ms <= until_ms",
        new="",
        tests=("tests/unit/test_deadlines.py::test_deadlines_come_in_their_order_and_none_before_its_time",),
    ),
    Mutant(
        name="timer-fires-again",
        rule="The timers of a lost cycle fire again.",
        file="ledger_streams/engine/state/timers.py",
        old="            heapq.heappush(self._heap, (due_ms, key))\n        self._given.clear()",
        new="            pass\n        self._given.clear()",
        tests=("tests/unit/test_deadlines.py::test_what_a_lost_cycle_was_given_comes_again",),
    ),
    Mutant(
        name="timer-after-records",
        rule="A timer never overtakes a record that was appended before it.",
        file="ledger_streams/engine/consumer_positions.py",
        old="if fetched is None or self.position(tp) < fetched.stable_end:",
        new="if fetched is None:",
        tests=(
            "tests/unit/test_reading.py::test_after_a_lost_cycle_nothing_is_granted_before_all_is_read_again",
        ),
    ),
    Mutant(
        name="changelog-to-its-end",
        rule="A takeover reads each changelog to its end before it serves.",
        file="ledger_streams/engine/state/takeover.py",
        old="if changelog_next >= ends[tp]:",
        new="if True:",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_changelog_is_read_to_its_end_though_no_poll_brings_all_of_it",
        ),
    ),
    Mutant(
        name="open-changelog-is-awaited",
        rule="A takeover waits for the transactions that are open in a changelog.",
        file="ledger_streams/engine/state/restore.py",
        old="await log_ends.end_offsets(list(stores))",
        new="await changelogs.end_offsets(list(stores))",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_transaction_that_is_open_in_a_changelog_is_waited_for",
        ),
    ),
    Mutant(
        name="position-of-the-table",
        rule="Without a group's offset a source goes on at the position in its table's changelog.",
        file="ledger_streams/engine/state/takeover.py",
        old="known.append(store.position.source_next)",
        new="pass",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_changelog_is_read_to_its_end_though_no_poll_brings_all_of_it",
        ),
    ),
    Mutant(
        name="source-offset-log",
        rule="A source without a table goes on at the position of its log, even when the group's is older.",
        file="ledger_streams/engine/state/takeover.py",
        old="for offset in (commit.offset, logged)",
        new="for offset in (commit.offset,)",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_source_without_a_table_goes_on_where_its_position_log_is",
        ),
    ),
    Mutant(
        name="source-offset-is-logged",
        rule="Each cycle writes the positions of sources without a table to their position logs.",
        file="ledger_streams/engine/ledger_committer.py",
        old="self._position_logs.records({",
        new="PositionLogs().records({",
        tests=(
            "tests/integration/test_ledger_committer.py"
            "::test_a_cycle_without_a_table_writes_its_position_to_the_position_log",
        ),
    ),
    Mutant(
        name="dead-letter-limit",
        rule="The process ends before one dead letter too many in a row, and parks nothing beyond it.",
        file="ledger_streams/engine/dlq_limit.py",
        old="if self._count_max and self.count >= self._count_max:",
        new="if False:",
        tests=("tests/unit/test_letter_run.py::test_a_letter_too_many_cuts_the_share_before_it",),
    ),
    Mutant(
        name="dead-letters-in-a-row",
        rule="A record that is carried out ends the row of dead letters.",
        file="ledger_streams/engine/dlq_limit.py",
        old="        if at != self._next_at:\n            self.count = 0\n",
        new="",
        tests=(
            "tests/unit/test_letter_run.py"
            "::test_a_good_record_ends_the_row_and_an_outcome_or_a_redriven_one_does_not",
        ),
    ),
    Mutant(
        name="back-pressure",
        rule="No new request is polled while too many records are in flight.",
        file="ledger_streams/engine/consumer_thread.py",
        old="if not active or under_way < UNDER_WAY_MAX:",
        new="if True:",
        tests=("tests/unit/test_back_pressure.py::test_while_much_is_under_way_requests_are_not_polled",),
    ),
    Mutant(
        name="hanging-is-committed",
        rule="A starting producer commits what its predecessor had committed, where no marker came.",
        file="ledger_streams/kafka/hanging_transactions.py",
        old="if state == COMMITTED:",
        new="if False:",
        tests=(
            "tests/integration/test_hanging_transactions.py"
            "::test_who_starts_next_ends_it_everywhere_as_it_was_decided[True]",
        ),
    ),
    Mutant(
        name="look-back",
        rule="A worker that lives on commits what a broker has forgotten to tell its partitions.",
        file="ledger_streams/kafka/hanging_transaction_scan.py",
        old="if committed == own:",
        new="if False:",
        tests=("tests/integration/test_hanging_transactions.py::test_who_lives_on_commits_it_after_a_while",),
    ),
    Mutant(
        name="look-back-at-its-own",
        rule="Looking back commits nothing once another process has started under the same transactional id.",
        file="ledger_streams/kafka/hanging_transaction_scan.py",
        old="if committed == own:",
        new="if committed is not None:",
        tests=(
            "tests/integration/test_hanging_transactions.py"
            "::test_who_looks_back_does_not_commit_what_another_start_has_aborted",
        ),
    ),
    Mutant(
        name="wrong-partition",
        rule="A record in another partition than its key's is a dead letter.",
        file="ledger_streams/engine/batches.py",
        old=".partition) == record.partition:",
        new=".partition) >= 0:",
        tests=(
            "tests/unit/test_cycles.py::test_a_record_is_in_its_place_where_kafkas_default_partitioner_puts_it",
        ),
    ),
    Mutant(
        name="wrong-partition-payment",
        rule="A payment in another partition than its id's starts no saga.",
        file="agents/payments.py",
        old="        PAYMENT_EVENTS.check_place(record)\n        if requested",
        new="        if requested",
        tests=("tests/unit/test_agents.py::test_a_payment_in_a_wrong_partition_starts_no_saga",),
    ),
)
