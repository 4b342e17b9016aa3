-- name: set_positions
-- Moves those positions that stand where the writer believes; whatever is missing from the
-- answer is not the writer's any more.  Waits for a writer of the same partition to end.  Says where chains are.
WITH claims AS (
    SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS c (topic, partition, expected, new)
), updated AS (
    UPDATE projection_positions p SET next_offset = c.new
      FROM claims c
     WHERE p.topic = c.topic AND p.partition = c.partition AND p.next_offset = c.expected
    RETURNING p.topic, p.partition, p.chain_hash
), inserted AS (
    INSERT INTO projection_positions (topic, partition, next_offset)
    SELECT topic, partition, new FROM claims WHERE expected IS NULL
    ON CONFLICT DO NOTHING
    RETURNING topic, partition, chain_hash
)
SELECT topic, partition, chain_hash FROM updated UNION ALL SELECT topic, partition, chain_hash FROM inserted;

-- name: set_heads
UPDATE projection_positions p SET chain_hash = h.head
  FROM unnest($1::text[], $2::int[], $3::bytea[]) AS h (topic, partition, head)
 WHERE p.topic = h.topic AND p.partition = h.partition;

-- name: positions
SELECT p.topic, p.partition, p.next_offset
  FROM projection_positions p
  JOIN unnest($1::text[], $2::int[]) AS c (topic, partition) USING (topic, partition);

-- name: repeated_events
-- Numbers, from 1, of those of the given events which are in the store.  LIMIT keeps the planner
-- to one index look-up for each, in the one partition of its time.  What is older than the end of the last
-- archived month is looked for among the archived, too; while nothing is archived this is one look at nothing.
SELECT r.number
  FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS r (event_id, occurred_at, number)
 CROSS JOIN LATERAL (
    SELECT 1 FROM events e WHERE e.event_id = r.event_id AND e.occurred_at = r.occurred_at LIMIT 1
 ) AS known
 UNION ALL
SELECT r.number
  FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS r (event_id, occurred_at, number)
 CROSS JOIN LATERAL (
    SELECT 1 FROM archived_events a WHERE a.event_id = r.event_id AND a.occurred_at = r.occurred_at LIMIT 1
 ) AS known
 WHERE r.occurred_at < (SELECT (max(month) + INTERVAL '1 month') AT TIME ZONE 'UTC' FROM archives);

-- name: wallet_versions
-- latest: of all occurred_at of the wallet's events so far.
SELECT s.wallet_id::text, s.last_event_version, s.chain_hash, GREATEST(s.as_of, o.ordered_at) AS latest
  FROM wallet_snapshots s
  LEFT JOIN (SELECT wallet_id, max(ordered_at) AS ordered_at FROM wallet_events
              WHERE ordered_at IS NOT NULL AND wallet_id = ANY($1::uuid[]) GROUP BY wallet_id) AS o USING (wallet_id)
 WHERE s.wallet_id = ANY($1::uuid[]);

-- name: put_snapshots
INSERT INTO wallet_snapshots
       (wallet_id, user_id, status, last_event_version, balances, as_of, source_partition, source_offset, chain_hash)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::jsonb[], $6::timestamptz[], $7::int[],
                     $8::bigint[], $9::bytea[])
    ON CONFLICT (wallet_id) DO UPDATE
   SET status = EXCLUDED.status, last_event_version = EXCLUDED.last_event_version, balances = EXCLUDED.balances,
       as_of = EXCLUDED.as_of, source_partition = EXCLUDED.source_partition, source_offset = EXCLUDED.source_offset,
       chain_hash = EXCLUDED.chain_hash;

-- name: put_payments
-- The first request of a payment is the payment; later ones are repetitions or mismatches.
INSERT INTO payments
       (payment_id, kind, status, amount, currency, source_wallet_id, target_wallet_id, provider, user_id,
        fingerprint, requested_at)
SELECT payment_id, kind, 'pending', amount::numeric, currency, source, target, provider, user_id, fingerprint, requested_at
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $9::text[],
              $10::timestamptz[])
    AS r (payment_id, kind, amount, currency, source, target, provider, user_id, fingerprint, requested_at)
    ON CONFLICT (payment_id) DO NOTHING;

-- name: end_payments
-- Inserts only what never had a readable request.
INSERT INTO payments
       (payment_id, status, reason, detail, wallets, requested_at, ended_at, amount, currency, source_wallet_id, target_wallet_id)
SELECT payment_id, status, reason, detail, wallets, ended_at, ended_at, amount::numeric, currency, source, target
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::text[], $8::text[],
              $9::uuid[], $10::uuid[])
    AS o (payment_id, status, reason, detail, wallets, ended_at, amount, currency, source, target)
    ON CONFLICT (payment_id) DO UPDATE
   SET status = EXCLUDED.status, reason = EXCLUDED.reason, detail = EXCLUDED.detail,
       wallets = payments.wallets || EXCLUDED.wallets, ended_at = COALESCE(payments.ended_at, EXCLUDED.ended_at),
       amount = COALESCE(payments.amount, EXCLUDED.amount), currency = COALESCE(payments.currency, EXCLUDED.currency),
       source_wallet_id = COALESCE(payments.source_wallet_id, EXCLUDED.source_wallet_id),
       target_wallet_id = COALESCE(payments.target_wallet_id, EXCLUDED.target_wallet_id);

-- name: refund_payments
-- The sum only grows, and the last row of a payment has it.
UPDATE payments p SET status = r.status, refunded = r.refunded::numeric
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r (payment_id, status, refunded)
 WHERE p.payment_id = r.payment_id;

-- name: dirty_wallets
-- Wallets written since the cache was last known to have them.
SELECT s.wallet_id::text, s.user_id::text, s.status, s.last_event_version, s.balances, s.as_of
  FROM wallet_snapshots s
  JOIN projection_positions p ON p.partition = s.source_partition AND s.source_offset >= p.cached_offset
 WHERE p.topic = $1 AND p.partition = $2;

-- name: mark_cached
UPDATE projection_positions p SET cached_offset = c.cached
  FROM unnest($1::text[], $2::int[], $3::bigint[]) AS c (topic, partition, cached)
 WHERE p.topic = c.topic AND p.partition = c.partition AND p.cached_offset < c.cached;
