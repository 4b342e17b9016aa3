-- name: lock
-- One closes at a time.
SELECT pg_try_advisory_xact_lock(hashtextextended('ledger-streams audit', 0));

-- name: long
-- These read whole tables; a role's own limit is for those that do not.
SET LOCAL statement_timeout = '1h';

-- name: due
-- Whether a whole day has ended that is not closed.  The first one began when something had been projected before:
-- midnight, in UTC, of yesterday.
SELECT CASE
       WHEN EXISTS (SELECT FROM audit_roots)
       THEN NOT EXISTS (SELECT FROM audit_roots WHERE day >= (now() AT TIME ZONE 'UTC')::date - 1)
       ELSE EXISTS (SELECT FROM events WHERE recorded_at <= d.yesterday)
         OR EXISTS (SELECT FROM event_repeats WHERE recorded_at <= d.yesterday)
         OR EXISTS (SELECT FROM wallet_events WHERE recorded_at <= d.yesterday)
        END
  FROM (SELECT ((now() AT TIME ZONE 'UTC')::date - 1)::timestamp AT TIME ZONE 'UTC' AS yesterday) AS d;

-- name: next_day
-- The day after the last one that is closed; at first the first whole day, which has what came before it, too.
SELECT coalesce((SELECT max(day) + 1 FROM audit_roots),
                CASE WHEN began = date_trunc('day', began) THEN began::date ELSE began::date + 1 END)::text
  FROM (SELECT min(recorded_at) AT TIME ZONE 'UTC' AS began
          FROM (SELECT min(recorded_at) AS recorded_at FROM events
                 UNION ALL SELECT min(recorded_at) FROM event_repeats
                 UNION ALL SELECT min(recorded_at) FROM wallet_events) AS firsts) AS f;

-- name: roots
SELECT day::text, encode(root, 'hex') AS root, leaves, boundaries, keyed, encode(seal, 'hex') AS seal, moved
  FROM audit_roots ORDER BY day;

-- name: boundaries
-- Under one snapshot with the rows: whatever is below is there, and nothing above is.
SELECT topic, partition, next_offset, encode(chain_hash, 'hex') AS head FROM projection_positions ORDER BY topic, partition;

-- name: boundaries_of
-- Boundaries at the end of a day ($1), in UTC: before the first row of each partition that was projected later, from the
-- boundaries of the day before ($3 to $5) on; $2 is the topic that wallet_events are of.
WITH before AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[]) AS b (topic, partition, since)
), cuts AS MATERIALIZED (
    SELECT l.topic, l.source_partition AS partition, min(l.source_offset) AS until
      FROM (SELECT topic, source_partition, source_offset, recorded_at FROM events
             UNION ALL
            SELECT topic, source_partition, source_offset, recorded_at FROM event_repeats
             UNION ALL
            SELECT $2, source_partition, source_offset, recorded_at FROM wallet_events) AS l
      LEFT JOIN before b ON b.topic = l.topic AND b.partition = l.source_partition
     WHERE l.recorded_at >= ($1::text::date + 1)::timestamp AT TIME ZONE 'UTC'
       AND l.source_offset >= coalesce(b.since, '-9223372036854775808')
     GROUP BY l.topic, l.source_partition
)
SELECT p.topic, p.partition, least(p.next_offset, c.until) AS next_offset,
       encode(CASE WHEN c.until IS NULL OR c.until >= p.next_offset THEN p.chain_hash
                   ELSE (SELECT e.chain_hash
                           FROM (SELECT topic, source_partition, source_offset, chain_hash FROM events
                                  UNION ALL SELECT topic, source_partition, source_offset, chain_hash FROM event_repeats
                                  UNION ALL SELECT topic, source_partition, source_offset, chain_hash FROM archived_events) AS e
                          WHERE e.topic = p.topic AND e.source_partition = p.partition AND e.source_offset < c.until
                          ORDER BY e.source_offset DESC LIMIT 1) END, 'hex') AS head
  FROM projection_positions p
  LEFT JOIN cuts c ON c.topic = p.topic AND c.partition = p.partition
 ORDER BY p.topic, p.partition;

-- name: put_root
INSERT INTO audit_roots (day, root, leaves, boundaries, keyed, seal)
VALUES ($1::text::date, decode($2, 'hex'), $3, $4, $5, decode($6, 'hex'));

-- name: leaves
-- The chain hashes of some spans, sorted; $5 is the topic that wallet_events are of.  The bounds over all spans are for the
-- indexes on source_offset.
WITH spans AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS s (topic, partition, since, until)
)
SELECT e.chain_hash
  FROM events e JOIN spans s ON s.topic = e.topic AND s.partition = e.source_partition
 WHERE e.source_offset >= s.since AND e.source_offset < s.until AND e.source_offset >= $6 AND e.source_offset < $7
 UNION ALL
SELECT e.chain_hash
  FROM event_repeats e JOIN spans s ON s.topic = e.topic AND s.partition = e.source_partition
 WHERE e.source_offset >= s.since AND e.source_offset < s.until
 UNION ALL
SELECT e.chain_hash
  FROM archived_events e JOIN spans s ON s.topic = e.topic AND s.partition = e.source_partition
 WHERE e.source_offset >= s.since AND e.source_offset < s.until AND e.source_offset >= $6 AND e.source_offset < $7
 UNION ALL
SELECT w.chain_hash
  FROM wallet_events w JOIN spans s ON s.topic = $5 AND s.partition = w.source_partition
 WHERE w.source_offset >= s.since AND w.source_offset < s.until AND w.source_offset >= $6 AND w.source_offset < $7
 ORDER BY chain_hash;

-- name: events
-- Records of payment-events and saga-events in the order of their chains, from an offset on in some partitions.  Of what
-- is archived there is no content here.
SELECT e.event_id::text, e.aggregate_id::text, e.event_type, e.event_data, e.event_version, e.occurred_at, e.topic,
       e.source_partition, e.source_offset, e.correlation_id::text, e.causation_id::text, e.chain_hash, e.stored_in
  FROM (SELECT event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
               source_offset, correlation_id, causation_id, chain_hash, 'events' AS stored_in FROM events
         UNION ALL
        SELECT event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
               source_offset, correlation_id, causation_id, chain_hash, 'event_repeats' FROM event_repeats
         UNION ALL
        SELECT event_id, NULL, NULL, NULL, NULL, occurred_at, topic, source_partition, source_offset, NULL, NULL,
               chain_hash, 'archived_events' FROM archived_events) AS e
  LEFT JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS s (topic, partition, since)
    ON s.topic = e.topic AND s.partition = e.source_partition
 WHERE e.source_offset >= coalesce(s.since, '-9223372036854775808')
 ORDER BY e.topic, e.source_partition, e.source_offset, e.stored_in;

-- name: wallet_events
-- Wallets whole, in the order of their chains, each event with its postings: one of them ($4), or those that have events
-- from an offset on in some partitions, or all.
SELECT w.wallet_id::text, w.event_version, w.event_id::text, w.user_id::text, w.event_type, w.currency, w.event_data,
       w.wallet_state, w.payment_id::text, w.schema_version, w.correlation_id::text, w.causation_id::text, w.occurred_at,
       w.source_partition, w.source_offset, w.chain_hash,
       (SELECT array_agg((p.event_id::text, p.leg, p.account, p.currency, p.amount_minor, p.payment_id::text, p.occurred_at)
                         ORDER BY p.leg) FROM postings p WHERE p.event_id = w.event_id) AS legs
  FROM wallet_events w
 WHERE ($4::uuid IS NULL OR w.wallet_id = $4)
   AND (cardinality($1::int[]) = 0 OR w.wallet_id IN (
        SELECT c.wallet_id
          FROM wallet_events c JOIN unnest($1::int[], $2::bigint[]) AS s (partition, since) ON s.partition = c.source_partition
         WHERE c.source_offset >= s.since AND c.source_offset >= $3))
 ORDER BY w.wallet_id, w.event_version;

-- name: wallet_heads
-- Wallets whose snapshot is not of their last event, by version and hash.
SELECT wallet_id::text, s.last_event_version AS said, w.event_version AS found
  FROM wallet_snapshots s
  FULL JOIN (SELECT DISTINCT ON (wallet_id) wallet_id, event_version, chain_hash FROM wallet_events
              WHERE $1::uuid IS NULL OR wallet_id = $1 ORDER BY wallet_id, event_version DESC) AS w USING (wallet_id)
 WHERE ($1::uuid IS NULL OR wallet_id = $1)
   AND (s.last_event_version IS DISTINCT FROM w.event_version OR s.chain_hash IS DISTINCT FROM w.chain_hash)
 ORDER BY wallet_id;

-- name: stray_postings
SELECT p.event_id::text, p.leg FROM postings p
 WHERE NOT EXISTS (SELECT FROM wallet_events w WHERE w.event_id = p.event_id)
 ORDER BY p.event_id, p.leg;

-- name: event
-- One event wherever it is; an outsider's id may be there more than once, and the first counts.
SELECT event_id::text, aggregate_id::text, event_type, event_data, event_version, occurred_at, topic, source_partition,
       source_offset, correlation_id::text, causation_id::text, chain_hash, stored_in
  FROM (SELECT event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
               source_offset, correlation_id, causation_id, chain_hash, 'events' AS stored_in
          FROM events WHERE event_id = $1
         UNION ALL
        SELECT event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
               source_offset, correlation_id, causation_id, chain_hash, 'event_repeats'
          FROM event_repeats WHERE event_id = $1) AS e
 ORDER BY topic, source_partition, source_offset LIMIT 1;

-- name: month_of_archived
SELECT to_char(month, 'YYYY-MM') FROM archived_events WHERE event_id = $1 LIMIT 1;

-- name: wallet_of_event
SELECT wallet_id::text FROM wallet_events WHERE event_id = $1;

-- name: hash_before
-- What the source partition's last row before an offset bears.
SELECT chain_hash
  FROM (SELECT topic, source_partition, source_offset, chain_hash FROM events
         UNION ALL SELECT topic, source_partition, source_offset, chain_hash FROM event_repeats
         UNION ALL SELECT topic, source_partition, source_offset, chain_hash FROM archived_events) AS e
 WHERE topic = $1 AND source_partition = $2 AND source_offset < $3
 ORDER BY source_offset DESC LIMIT 1;
