-- name: wallet
SELECT wallet_id::text, user_id::text, status, last_event_version, balances, as_of
  FROM wallet_snapshots
 WHERE wallet_id = $1;

-- name: wallet_at
-- The last version up to which every event occurred by then: one descent of wallet_events_as_of.
SELECT wallet_state, occurred_at
  FROM wallet_events
 WHERE wallet_id = $1 AND COALESCE(ordered_at, occurred_at) <= $2
 ORDER BY COALESCE(ordered_at, occurred_at) DESC, event_version DESC
 LIMIT 1;

-- name: wallets_of_user
SELECT wallet_id::text, user_id::text, status, last_event_version, balances, as_of
  FROM wallet_snapshots
 WHERE user_id = $1 AND wallet_id > $2
 ORDER BY wallet_id
 LIMIT $3;

-- name: wallet_events
SELECT event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 WHERE wallet_id = $1 AND event_version > $2
 ORDER BY event_version
 LIMIT $3;

-- name: wallet_events_before
SELECT event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 WHERE wallet_id = $1 AND event_version < $2
 ORDER BY event_version DESC
 LIMIT $3;

-- name: movements
-- Versions above $2 up to $3 that changed the balance.  The request is looked up in the one month it is in; what
-- it says beside the payment is shown up to 4 KiB.
SELECT e.event_id::text, e.event_version AS version, e.occurred_at, e.event_type AS type, e.currency,
       CASE e.event_type WHEN 'BalanceDeducted' THEN '-' ELSE '' END || (e.event_data ->> 'amount') AS amount,
       e.wallet_state -> 'balances' -> e.currency ->> 'balance' AS balance, e.payment_id::text, p.kind,
       CASE WHEN p.source_wallet_id = e.wallet_id THEN p.target_wallet_id ELSE p.source_wallet_id END::text AS counterparty,
       p.provider, r.metadata
  FROM wallet_events e
  LEFT JOIN payments p ON p.payment_id = e.payment_id
  LEFT JOIN LATERAL (
      SELECT event_data -> 'metadata' AS metadata FROM events
       WHERE aggregate_id = p.payment_id AND occurred_at = p.requested_at AND event_type = 'PaymentRequested'
         AND octet_length((event_data -> 'metadata')::text) <= 4096
       ORDER BY source_offset LIMIT 1
  ) AS r ON true
 WHERE e.wallet_id = $1 AND e.event_version > $2 AND e.event_version <= $3
   AND e.event_type IN ('BalanceAdded', 'BalanceDeducted') AND ($4::text IS NULL OR e.currency = $4)
 ORDER BY e.event_version
 LIMIT $5;

-- name: turnovers
-- What came in and went out, by currency.
SELECT currency, count(*) AS movements,
       sum((event_data ->> 'amount')::numeric) FILTER (WHERE event_type = 'BalanceAdded')::text AS total_in,
       sum((event_data ->> 'amount')::numeric) FILTER (WHERE event_type = 'BalanceDeducted')::text AS total_out
  FROM wallet_events
 WHERE wallet_id = $1 AND event_version > $2 AND event_version <= $3
   AND event_type IN ('BalanceAdded', 'BalanceDeducted') AND ($4::text IS NULL OR currency = $4)
 GROUP BY currency;

-- name: wallet_event_of
-- Administrative commands only; the partial index of this WHERE makes it cheap.
SELECT event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 WHERE wallet_id = $1 AND causation_id = $2 AND payment_id IS NULL
 ORDER BY event_version
 LIMIT 1;

-- name: holds
-- A snapshot has the sums alone; the holds are in the state that the wallet's last event carries.
SELECT h.hold_id, h.hold ->> 'amount' AS amount, h.hold ->> 'currency' AS currency,
       h.hold ->> 'payment_id' AS payment_id, h.hold ->> 'expires_at' AS expires_at
  FROM (SELECT wallet_state FROM wallet_events WHERE wallet_id = $1 ORDER BY event_version DESC LIMIT 1) AS last,
       jsonb_each(last.wallet_state -> 'holds') AS h (hold_id, hold)
 ORDER BY h.hold_id;

-- name: hold_event
-- Callers' holds only; the partial index of this WHERE makes it cheap.
SELECT event_id::text, event_type, schema_version, wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state
  FROM wallet_events
 WHERE wallet_id = $1 AND event_data ->> 'hold_id' = $2 AND event_type = 'FundsHeld' AND payment_id IS NULL
 ORDER BY event_version
 LIMIT 1;

-- name: payments
-- archived_month: that of the request, where its events, steps of the payment among them, are in a file.
SELECT payment_id::text, kind, status, reason, detail, amount::text, currency, source_wallet_id::text, target_wallet_id::text,
       fingerprint, refunded::text, provider, user_id::text, requested_at, ended_at,
       (SELECT to_char(a.month, 'YYYY-MM') FROM archives a
         WHERE a.month = date_trunc('month', requested_at AT TIME ZONE 'UTC')::date LIMIT 1) AS archived_month
  FROM payments
 WHERE payment_id = ANY($1::uuid[]);

-- name: steps
-- In the order of the saga, not of the clocks: a request's occurred_at is its sender's.
-- Of several requests under one id the first is the payment; what came later is no step of it.
WITH first AS (
    SELECT aggregate_id, min(source_offset) AS source_offset FROM events
     WHERE aggregate_id = ANY($1::uuid[]) AND event_type = 'PaymentRequested'
     GROUP BY aggregate_id
)
SELECT e.aggregate_id::text, e.event_type, e.occurred_at, e.event_data ->> 'provider' AS provider,
       CASE e.event_type WHEN 'PaymentRequested' THEN
           jsonb_build_array(e.event_data -> 'refund_of', e.event_data -> 'hold_id', e.event_data -> 'metadata')
       END AS request
  FROM events e
  LEFT JOIN first f ON f.aggregate_id = e.aggregate_id
 WHERE e.aggregate_id = ANY($1::uuid[])
   AND (e.event_type <> 'PaymentRequested' OR e.source_offset = f.source_offset)
 ORDER BY CASE WHEN e.event_type = 'PaymentRequested' THEN 0 WHEN e.event_type LIKE 'Payment%' THEN 2 ELSE 1 END,
          e.event_version, e.source_offset;

-- name: steps_of_one
-- The same of one payment. What is asked of a list is planned anew each time, over all months twice, and that takes
-- longer than the rest; of one id the server keeps its plan.
SELECT e.aggregate_id::text, e.event_type, e.occurred_at, e.event_data ->> 'provider' AS provider,
       CASE e.event_type WHEN 'PaymentRequested' THEN
           jsonb_build_array(e.event_data -> 'refund_of', e.event_data -> 'hold_id', e.event_data -> 'metadata')
       END AS request
  FROM events e
 WHERE e.aggregate_id = $1::uuid
   AND (e.event_type <> 'PaymentRequested' OR e.source_offset =
        (SELECT min(source_offset) FROM events WHERE aggregate_id = $1::uuid AND event_type = 'PaymentRequested'))
 ORDER BY CASE WHEN e.event_type = 'PaymentRequested' THEN 0 WHEN e.event_type LIKE 'Payment%' THEN 2 ELSE 1 END,
          e.event_version, e.source_offset;

-- name: outcomes
-- A row for each wallet of each ended payment, or one without a wallet for a payment that touched none.
SELECT p.payment_id::text, p.kind, p.status, p.reason, p.detail, p.amount::text, p.currency, p.source_wallet_id::text,
       p.target_wallet_id::text, p.fingerprint, p.refunded::text, p.provider, p.user_id::text, p.requested_at, p.ended_at,
       NULL AS archived_month,
       w.wallet_id IS NULL OR COALESCE(s.last_event_version >= w.version::bigint, false) AS reached,
       s.wallet_id::text, s.user_id::text AS owner_id, s.status AS wallet_status, s.last_event_version, s.balances, s.as_of
  FROM payments p
  LEFT JOIN LATERAL jsonb_each_text(p.wallets) AS w (wallet_id, version) ON true
  LEFT JOIN wallet_snapshots s ON s.wallet_id = w.wallet_id::uuid
 WHERE p.payment_id = ANY($1::uuid[]) AND p.ended_at IS NOT NULL;

-- name: under_way
SELECT count(*) AS payments, min(requested_at) AS oldest FROM payments WHERE status COLLATE "C" = 'pending' AND requested_at < $1;
