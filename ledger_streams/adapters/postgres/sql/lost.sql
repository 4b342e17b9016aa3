-- What PostgreSQL has of a log that is lost, and how it is told of the new one.

-- name: events
-- In the order of the log that they came from.
SELECT e.event_id::text, e.event_type, e.aggregate_id::text, e.event_version, e.occurred_at, e.correlation_id::text,
       e.causation_id::text, e.event_data, e.topic, e.source_partition, e.source_offset
  FROM (SELECT * FROM events UNION ALL SELECT * FROM event_repeats) AS e
 ORDER BY e.topic, e.source_partition, e.source_offset;

-- name: fingerprints
-- A payment that nobody is known to have asked for has none.
SELECT payment_id::text, fingerprint FROM payments WHERE fingerprint <> '';

-- name: payments_wallet_events
SELECT event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 WHERE payment_id IS NOT NULL
 ORDER BY wallet_id, event_version;

-- name: last_wallet_events
SELECT DISTINCT ON (wallet_id)
       event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 ORDER BY wallet_id, event_version DESC;

-- name: lock_positions
LOCK TABLE projection_positions IN EXCLUSIVE MODE;

-- name: put_positions
-- The cache is behind the snapshots for all that is known: it is filled from them.
INSERT INTO projection_positions (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, cached_offset = 0;

-- name: span
-- How far offsets have to move back to come before all of a new log, and not onto each other.  Days end at positions.
SELECT GREATEST(COALESCE(max(source_offset) + 1, 0), (SELECT max(next_offset) FROM projection_positions))
       - LEAST(min(source_offset), 0)
  FROM (SELECT source_offset FROM events UNION ALL SELECT source_offset FROM event_repeats
         UNION ALL SELECT source_offset FROM archived_events UNION ALL SELECT source_offset FROM wallet_events) AS e;

-- name: move_events_back
UPDATE events SET source_offset = source_offset - $1;

-- name: move_repeats_back
UPDATE event_repeats SET source_offset = source_offset - $1;

-- name: move_archived_back
-- Files keep the offsets that their rows had; what is noted of a row is found by its event.
UPDATE archived_events SET source_offset = source_offset - $1;

-- name: move_wallet_events_back
UPDATE wallet_events SET source_offset = source_offset - $1;

-- name: move_days_back
UPDATE audit_roots SET moved = moved + $1;
