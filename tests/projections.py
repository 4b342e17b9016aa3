"""The content of a system's projections, to compare before and after a rebuild."""

from __future__ import annotations

from typing import Final

from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.topics import PAYMENT_EVENTS, SAGA_EVENTS, WALLET_EVENTS
from tests.live import LiveSystem, eventually

COLUMNS: Final = {
    "events": "event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic,"
    " source_partition, source_offset, correlation_id, causation_id, chain_hash",
    "event_repeats": "event_id, event_data, topic, source_partition, source_offset, chain_hash",
    "payments": "payment_id, kind, status, reason, detail, amount, currency, source_wallet_id,"
    " target_wallet_id, provider, user_id, fingerprint, wallets, requested_at, ended_at, refunded",
    "wallet_events": "wallet_id, event_version, event_id, user_id, event_type, currency, event_data,"
    " wallet_state, payment_id, schema_version, correlation_id, causation_id, occurred_at, ordered_at,"
    " source_partition, source_offset, chain_hash",
    "wallet_snapshots": "wallet_id, user_id, status, last_event_version, balances, as_of,"
    " source_partition, source_offset, chain_hash",
    "postings": "event_id, leg, account, currency, amount_minor, payment_id, occurred_at",
    "projection_positions": "topic, partition, next_offset, chain_hash",
}
"""All columns but those that say when PostgreSQL heard of it, and how far the cache is."""


async def projections(live: LiveSystem) -> dict[str, list[str]]:
    """Return the rows of each table as text, in an order of their own."""
    found = {}
    for table, columns in COLUMNS.items():
        rows = await live.rows(f"SELECT ROW({columns})::text AS row FROM {table} ORDER BY 1")
        found[table] = [row["row"] for row in rows]
    return found


async def at_rest(live: LiveSystem) -> dict[str, list[str]]:
    """Return what the projections say once the projector has passed the last transactions' markers."""
    names = [live.settings.topic(name) for name in (PAYMENT_EVENTS, SAGA_EVENTS, WALLET_EVENTS)]

    async def are_passed() -> bool:
        async with opened_log(live.settings.kafka) as log:
            ends = {partition: end for partition, end in (await log.ends(names)).items() if end}
        rows = await live.rows("SELECT topic, partition, next_offset FROM projection_positions")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows} == ends

    await eventually(are_passed, what="all markers are passed", every_s=0.5)
    return await projections(live)


def differing(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> dict[str, tuple[list[str], list[str]]]:
    """Return by table the rows that only one of the two has."""
    return {
        table: (sorted(set(one[table]) - set(other[table])), sorted(set(other[table]) - set(one[table])))
        for table in one
        if one[table] != other[table]
    }
