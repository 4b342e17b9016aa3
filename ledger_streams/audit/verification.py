"""Verification of history: hash chains, roots of closed days, and Kafka's copy of the roots."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.audit.chains import Finding
from ledger_streams.audit.database import STATEMENT_S_MAX, open_audit
from ledger_streams.audit.published_roots import published_roots
from ledger_streams.audit.roots import Root, disagreements
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Rejected
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings


class Verification(msgspec.Struct, frozen=True):
    """Counts of the verified rows, and all findings; the fields are the JSON keys."""

    events: int
    archived: int
    """Archived events among `events`; their content is in files, which `archive verify` checks."""
    wallet_events: int
    days: int
    seconds: float
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """Return 0 if nothing was changed."""
        return 1 if self.findings else 0


async def verify_history(config: Settings, from_day: str | None, wallet_id: str | None) -> Verification:
    """Verify all of the history, or only one wallet's, or only from a day on."""
    began_s, wallets = time.monotonic(), config.topic(topics.WALLET_EVENTS)
    events, archived, since, findings = 0, 0, None, list[Finding]()
    pool = await create_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX)
    try:
        async with open_audit(pool) as look:
            if from_day is not None:
                since = _before(look.roots, from_day)
            if wallet_id is None:
                check, findings = await look.events(since)
                events, archived = check.rows, check.archived
            wallet_events, in_wallets = await look.wallets(wallets, since, wallet_id)
            if wallet_id is not None and not wallet_events and not in_wallets:
                in_wallets = [Finding("wallet_events", f"wallet {wallet_id}", "", "", "no such wallet")]
            findings += in_wallets
            if wallet_id is None:
                findings += await look.days(wallets, since, config.audit_key)
                findings += await _elsewhere(config, look.roots)
    finally:
        await close_within("postgres", pool.close())
    days = 0 if wallet_id else sum(1 for root in look.roots if since is None or root.day > since.day)
    seconds = round(time.monotonic() - began_s, 3)
    return Verification(events, archived, wallet_events, days, seconds, findings)


def _before(closed: Sequence[Root], from_day: str) -> Root | None:
    """Return the last closed day before `from_day`; raises Rejected for a day in the future."""
    if date.fromisoformat(from_day) > datetime.now(UTC).date():
        detail = f"--from: must not be in the future, got {from_day}"
        raise Rejected(status=400, title="Unknown day", detail=detail)
    return next((root for root in reversed(closed) if root.day < from_day), None)


async def _elsewhere(config: Settings, here: Sequence[Root]) -> list[Finding]:
    """Return the differences between the roots in PostgreSQL and on Kafka."""
    topic = config.topic(topics.AUDIT_ROOTS)
    async with opened_log(client_options(config)) as log:
        published = await published_roots(log, topic)
    found = disagreements(here, published)
    return [Finding("audit_roots", topic, "root", day, detail) for day, detail in found]
