"""Mutants of the engine: transactions, fences, loopback, timers, takeovers and dead letters."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ENGINE = (
    Mutant(
        name="offsets-fenced",
        rule="Source offsets carry the group's generation, so the broker refuses those of a stale owner.",
        file="ledger_streams/kafka/fenced_offsets.py",
        old="membership.generation,\n            membership.member_id,\n            membership.instance_id,",
        new='-1,\n            "",\n            None,',
        tests=(
            "tests/integration/test_fenced_offsets.py"
            "::test_a_commit_of_another_member_is_refused_and_its_records_never_appear[an old generation]",
        ),
    ),
    Mutant(
        name="fence-is-there",
        rule="No offsets are sent under a membership that the broker would not check.",
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
        rule="A worker exits when another process has taken its place in the group.",
        file="ledger_streams/kafka/static_membership.py",
        old="if is_fenced and asker.member_id == self.membership.member_id:",
        new="if False:",
        tests=(
            "tests/integration/test_engine_worker_ids.py::test_the_older_of_two_idle_workers_with_one_id_exits",
        ),
    ),
    Mutant(
        name="transactional-ids",
        rule="A worker's producers have the same transactional ids after a restart: they fence the old ones.",
        file="ledger_streams/kafka/transactions.py",
        old='transactional_id=f"{self._transactional_id}-{number}"',
        new='transactional_id=f"{self._transactional_id}-{number}-{id(self)}"',
        tests=(
            "tests/integration/test_engine_transactions.py"
            "::test_a_transaction_fenced_by_another_process_is_a_lost_cycle",
        ),
    ),
    Mutant(
        name="aborted-cycle-is-never-committed",
        rule="No later transaction of its producer commits records of an aborted cycle.",
        file="ledger_streams/kafka/transactions.py",
        old="        await self.drop()\n\n    @asynccontextmanager",
        new="\n    @asynccontextmanager",
        tests=(
            "tests/integration/test_engine_transactions.py"
            "::test_an_abandoned_round_is_never_committed_by_a_later_one_even_after_an_abortable_error[True]",
        ),
    ),
    Mutant(
        name="loopback-once",
        rule="The loopback queue drops a record once the consumer has read it.",
        file="ledger_streams/engine/loopback.py",
        old="if batch.first_offset == next_offset:",
        new="if True:",
        tests=("tests/unit/test_loopback.py::test_a_batch_that_the_consumer_has_read_is_dropped",),
    ),
    Mutant(
        name="loopback-in-place",
        rule="A looped-back record waits until the partition has been read up to it.",
        file="ledger_streams/engine/loopback.py",
        old="            next_offset = self._next(tp, read_to)\n",
        new="            next_offset = waiting[0].first_offset\n",
        tests=("tests/unit/test_loopback.py::test_a_batch_waits_for_another_producers_record_before_it",),
    ),
    Mutant(
        name="loopback-cleared-at-takeover",
        rule="A takeover clears the loopback queue of a lost cycle.",
        file="ledger_streams/engine/ledger_committer.py",
        old="        self.loopback.clear()\n",
        new="",
        tests=(
            "tests/integration/test_ledger_committer.py"
            "::test_a_takeover_clears_the_loopback_queue_of_a_lost_cycle",
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
        tests=("tests/integration/test_ledger_committer.py::test_a_refused_cycle_is_not_in_the_table",),
    ),
    Mutant(
        name="timer-not-early",
        rule="No timer fires before its time.",
        file="ledger_streams/engine/state/timers.py",
        old=" and next_ms <= until_ms",
        new="",
        tests=("tests/unit/test_timers.py::test_timers_fire_in_order_and_none_before_its_time",),
    ),
    Mutant(
        name="timer-fires-again",
        rule="The timers of a lost cycle fire again.",
        file="ledger_streams/engine/state/timers.py",
        old="            heapq.heappush(self._heap, (due_ms, key))\n        self._fired.clear()",
        new="            pass\n        self._fired.clear()",
        tests=("tests/unit/test_timers.py::test_timers_of_a_lost_cycle_fire_again",),
    ),
    Mutant(
        name="timer-after-records",
        rule="A timer never fires before a record that was appended earlier.",
        file="ledger_streams/engine/consumer_positions.py",
        old="if fetched is None or self.position(tp) < fetched.stable_end:",
        new="if fetched is None:",
        tests=(
            "tests/unit/test_consumer_positions.py::test_after_a_lost_cycle_nothing_counts_until_all_is_read_again",
        ),
    ),
    Mutant(
        name="changelog-to-its-end",
        rule="A takeover reads each changelog to its end before the first poll.",
        file="ledger_streams/engine/state/takeover.py",
        old="if changelog_next >= ends[tp]:",
        new="if True:",
        tests=("tests/integration/test_takeover.py::test_a_changelog_is_read_to_its_end_over_several_polls",),
    ),
    Mutant(
        name="open-changelog-is-awaited",
        rule="A takeover waits for the transactions that are open in a changelog.",
        file="ledger_streams/engine/state/restore.py",
        old="await log_ends.end_offsets(list(stores))",
        new="await changelogs.end_offsets(list(stores))",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_takeover_waits_for_an_open_transaction_in_a_changelog",
        ),
    ),
    Mutant(
        name="position-of-the-table",
        rule="Without a group offset a source continues at the source offset in its table's changelog.",
        file="ledger_streams/engine/state/takeover.py",
        old="known.append(store.position.source_next)",
        new="pass",
        tests=("tests/integration/test_takeover.py::test_a_changelog_is_read_to_its_end_over_several_polls",),
    ),
    Mutant(
        name="source-offset-log",
        rule="A source without a table continues at its source offset log even if the group's is older.",
        file="ledger_streams/engine/state/takeover.py",
        old="for offset in (commit.offset, logged)",
        new="for offset in (commit.offset,)",
        tests=(
            "tests/integration/test_takeover.py"
            "::test_a_source_without_a_table_continues_at_its_source_offset_log",
        ),
    ),
    Mutant(
        name="source-offset-is-logged",
        rule="Each cycle writes the source offsets of sources without a table to their source offset logs.",
        file="ledger_streams/engine/ledger_committer.py",
        old="self._source_offset_logs.records(",
        new="SourceOffsetLogs().records(",
        tests=(
            "tests/integration/test_ledger_committer.py"
            "::test_a_cycle_without_a_table_writes_its_source_offset_log",
        ),
    ),
    Mutant(
        name="dead-letter-limit",
        rule="The process exits at the limit of consecutive dead letters, and parks none beyond it.",
        file="ledger_streams/engine/dlq_limit.py",
        old="if self._count_max and self.count >= self._count_max:",
        new="if False:",
        tests=("tests/unit/test_dlq_limit.py::test_a_letter_beyond_the_limit_cuts_the_batch_before_it",),
    ),
    Mutant(
        name="consecutive-dead-letters",
        rule="A record that is carried out resets the count of consecutive dead letters.",
        file="ledger_streams/engine/dlq_limit.py",
        old="        if at != self._next_at:\n            self.count = 0\n",
        new="",
        tests=(
            "tests/unit/test_dlq_limit.py"
            "::test_a_good_record_resets_the_count_and_an_outcome_or_a_redriven_letter_does_not",
        ),
    ),
    Mutant(
        name="back-pressure",
        rule="No new request is polled while too many records are in flight.",
        file="ledger_streams/engine/consumer_thread.py",
        old="if not active or in_flight < IN_FLIGHT_MAX:",
        new="if True:",
        tests=(
            "tests/unit/test_back_pressure.py::test_request_topics_are_not_polled_while_too_many_records_are_in_flight",
        ),
    ),
    Mutant(
        name="hanging-is-committed",
        rule="A starting producer commits a hanging transaction that its predecessor had committed.",
        file="ledger_streams/kafka/hanging_transactions.py",
        old="if state == COMMITTED:",
        new="if False:",
        tests=(
            "tests/integration/test_hanging_transactions.py"
            "::test_the_next_start_completes_a_hanging_transaction_in_every_partition_as_decided[True]",
        ),
    ),
    Mutant(
        name="hanging-transaction-scan",
        rule="A running worker commits its own hanging transactions that the coordinator had committed.",
        file="ledger_streams/kafka/hanging_transaction_scan.py",
        old="if committed == own:",
        new="if False:",
        tests=(
            "tests/integration/test_hanging_transactions.py::test_a_running_worker_completes_its_hanging_transaction_after_a_while",
        ),
    ),
    Mutant(
        name="hanging-transaction-scan-own-only",
        rule="The scan commits nothing once another process has started under the same transactional id.",
        file="ledger_streams/kafka/hanging_transaction_scan.py",
        old="if committed == own:",
        new="if committed is not None:",
        tests=(
            "tests/integration/test_hanging_transactions.py"
            "::test_a_scan_does_not_commit_a_transaction_that_another_start_has_aborted",
        ),
    ),
    Mutant(
        name="wrong-partition",
        rule="A record in another partition than its key's is a dead letter.",
        file="ledger_streams/engine/batches.py",
        old=".partition) == record.partition:",
        new=".partition) >= 0:",
        tests=(
            "tests/unit/test_batches.py::test_a_record_belongs_to_the_partition_of_kafkas_default_partitioner",
        ),
    ),
    Mutant(
        name="wrong-partition-payment",
        rule="A payment in another partition than its id's starts no saga.",
        file="agents/payments.py",
        old="            self._payment_events.check_partition(record)\n            if requested",
        new="            if requested",
        tests=("tests/unit/test_agents.py::test_a_payment_in_a_wrong_partition_starts_no_saga",),
    ),
)
