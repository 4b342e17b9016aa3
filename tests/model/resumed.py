"""A pure system after the loss of its log: what projections had of it, resumed, as a system.

Each topic's partitions are cut anywhere, independently: nothing orders them.  Providers'
books are the outside world's, and stay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from ledger_streams import topics, wire
from ledger_streams.domain.events import PaymentCompleted, PaymentOutcome, PaymentRefunded
from ledger_streams.domain.payment import PaymentKnown
from ledger_streams.domain.saga.state import PATIENCE_MS
from ledger_streams.recovery.saga_resume_facts import LostLeg
from ledger_streams.recovery.saga_resume_families import ResumeTerms, resume_families
from ledger_streams.recovery.saga_resume_records import PaymentFactsCollector
from ledger_streams.recovery.wallet_resume import reissue_lost_legs
from tests.model.pure import COMMANDS, PAYMENTS, SAGAS, WALLET_EVENTS, PureSystem
from tests.model.system import Booked, Ended, Refunded

Logged = tuple[str, bytes | None, bytes | None, int]
PARTITIONS = 3


def cut(log: Sequence[Logged], random: Random, *, whole: int) -> list[Logged]:
    """Return a prefix of each partition of each projected topic; the first `whole` records stay."""
    partitions: dict[tuple[str, int], list[Logged]] = defaultdict(list)
    for record in log[whole:]:
        partitions[record[0], sum(record[1] or b"") % PARTITIONS].append(record)
    kept = [record for record in log[:whole] if record[0] in (PAYMENTS, SAGAS, WALLET_EVENTS)]
    for topic, number in sorted(partitions):
        records = partitions[topic, number]
        if topic in (PAYMENTS, SAGAS, WALLET_EVENTS):
            kept += records[: random.choice([len(records), random.randint(0, len(records))])]
    return kept


class ResumedSystem(PureSystem):
    """The system that goes on from what is left of `before`."""

    def __init__(
        self, before: PureSystem, left: Sequence[Logged], *, seed: int, providers: Sequence[str]
    ) -> None:
        super().__init__(seed=seed, providers=providers)
        self._now_ms = before._now_ms
        self._provider = before._provider
        self.gathered = PaymentFactsCollector()
        self._left = len(left)
        self.written: list[Logged] = list(left)
        """The final content of the projections."""
        for topic, key, value, append_ms in left:
            if topic == PAYMENTS:
                self.gathered.add_payment_event(value, key=key, at_ms=append_ms)
            elif topic == SAGAS:
                self.gathered.add_saga_event(value, key=key)
            else:
                self.gathered.add_wallet_event(value, key=key)
                assert key is not None
                assert value is not None
                self.wallet_events[key.decode()].append(value)
        for wallet_id, values in self.wallet_events.items():
            self.wallets[wallet_id] = wire.read_wallet(values[-1])
        self._resume(ResumeTerms(self._now_ms, PATIENCE_MS, providers))
        self._take_outcomes()
        self.orphans = {
            payment_id
            for payment_id, known in self.gathered.payments.items()
            if known.fingerprint is None and not known.saga_events
        }

    def _resume(self, terms: ResumeTerms) -> None:
        lost: dict[str, list[LostLeg]] = defaultdict(list)
        for family in resume_families(self.gathered, terms):
            for payment_id, resumed in family.items():
                self._known[payment_id] = PaymentKnown(resumed.fingerprint)
                if resumed.saga is not None:
                    self.sagas[payment_id] = resumed.saga
                    self._keep_due((SAGAS, payment_id), resumed.saga.due_ms)
                for leg in resumed.lost:
                    lost[leg.command.wallet_id].append(leg)
                for sent in resumed.sent:
                    if sent.topic in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS):
                        self.written.append((sent.topic, sent.key.encode(), sent.value, self._now_ms))
                    else:
                        self._append(sent.topic, sent.key.encode(), sent.value)
        for wallet_id, legs in lost.items():
            for again in reissue_lost_legs(self.wallets.get(wallet_id), legs):
                self.wallets[wallet_id] = again.wallet
                self.wallet_events[wallet_id].append(again.value)
        for wallet_id, state in self.wallets.items():
            ends_ms = [hold.expires_ms for hold in state.holds.values() if hold.expires_ms is not None]
            self._keep_due((COMMANDS, wallet_id), min(ends_ms, default=None))

    def _take_outcomes(self) -> None:
        for topic, key, value, append_ms in self.written:
            if topic != PAYMENTS:
                continue
            gathered = PaymentFactsCollector()
            gathered.add_payment_event(value, key=key, at_ms=append_ms)
            for read in [read for known in gathered.payments.values() for read in known.outcomes]:
                self._note(read.outcome)

    def _note(self, outcome: PaymentOutcome) -> None:
        payment_id = outcome.payment_id
        if isinstance(outcome, PaymentRefunded):
            sums = (outcome.amount_minor, outcome.refunded_minor, outcome.paid_minor)
            self._refunds[payment_id].append(Refunded(outcome.refund_id, *sums))
        elif isinstance(outcome, PaymentCompleted):
            self._outcomes[payment_id].append(Ended("PaymentCompleted", None, outcome.amount_minor))
        else:
            self._outcomes[payment_id].append(Ended("PaymentFailed", outcome.reason))

    async def booked(self) -> Mapping[str, Booked]:
        known = self.gathered.payments
        booked = await super().booked()
        return {p: one for p, one in booked.items() if p in known}

    def written_twice(self) -> list[str]:
        """Return the ids of events that the projections had, or were given, and that came once more.

        The model's providers answer an order twice at times; that is no matter of the loss.
        """
        after = [record for record in self.log if record[0] in (PAYMENTS, SAGAS)]
        counts = Counter(_event_ids(self.written[self._left :]))
        twice = [event_id for event_id, count in counts.items() if count > 1]
        return [*twice, *({*_event_ids(self.written)} & {*_event_ids(after)})]


def _event_ids(records: Sequence[Logged]) -> Iterator[str]:
    """Yield the ids of events that the system derives."""
    for topic, key, value, append_ms in records:
        gathered = PaymentFactsCollector()
        if topic == SAGAS:
            gathered.add_saga_event(value, key=key)
        elif topic == PAYMENTS:
            gathered.add_payment_event(value, key=key, at_ms=append_ms)
        for known in gathered.payments.values():
            yield from (read.event_id for read in known.saga_events)
            yield from (read.envelope.event_id for read in known.outcomes)
