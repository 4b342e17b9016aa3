-- Lists of payments, the newest first: $1 the statuses, from $2 on, before ($3, $4), $5 at most.  Each status is read
-- from the end of one index, and no further than the list is long; the statuses are merged.

-- name: of_all
SELECT found.*
  FROM unnest($1::text[]) AS asked (status)
 CROSS JOIN LATERAL (
    SELECT * FROM payments
     WHERE status COLLATE "C" = asked.status AND requested_at >= $2 AND (requested_at, payment_id) < ($3, $4::uuid)
     ORDER BY requested_at DESC, payment_id DESC LIMIT $5
 ) AS found
 ORDER BY found.requested_at DESC, found.payment_id DESC LIMIT $5

-- name: of_user
SELECT found.*
  FROM unnest($1::text[]) AS asked (status)
 CROSS JOIN LATERAL (
    SELECT * FROM payments
     WHERE user_id = $6::uuid AND status = asked.status
       AND requested_at >= $2 AND (requested_at, payment_id) < ($3, $4::uuid)
     ORDER BY requested_at DESC, payment_id DESC LIMIT $5
 ) AS found
 ORDER BY found.requested_at DESC, found.payment_id DESC LIMIT $5

-- name: of_wallet
-- Out of the wallet or into it, and of one user where $7 is not null.  What names it twice is found as the first.
SELECT found.*
  FROM unnest($1::text[]) AS asked (status)
 CROSS JOIN LATERAL (
    (SELECT * FROM payments
      WHERE source_wallet_id = $6::uuid AND status = asked.status
        AND requested_at >= $2 AND (requested_at, payment_id) < ($3, $4::uuid)
        AND ($7::uuid IS NULL OR user_id = $7)
      ORDER BY requested_at DESC, payment_id DESC LIMIT $5)
    UNION ALL
    (SELECT * FROM payments
      WHERE target_wallet_id = $6::uuid AND status = asked.status AND source_wallet_id IS DISTINCT FROM $6
        AND requested_at >= $2 AND (requested_at, payment_id) < ($3, $4::uuid)
        AND ($7::uuid IS NULL OR user_id = $7)
      ORDER BY requested_at DESC, payment_id DESC LIMIT $5)
 ) AS found
 ORDER BY found.requested_at DESC, found.payment_id DESC LIMIT $5

-- name: shown
-- A list, as `listed`, with what the payments' requests say beside it, in the one month each is in.  Metadata is shown
-- up to 4 KiB.  The provider of a refund is that of the payment it gives back, once that has granted it.
SELECT p.payment_id::text, p.kind, p.status, p.reason, p.detail, p.amount::text, p.currency, p.source_wallet_id::text,
       p.target_wallet_id::text, p.fingerprint, p.refunded::text, COALESCE(g.provider, p.provider) AS provider,
       p.user_id::text, p.requested_at, p.ended_at, r.request,
       (SELECT to_char(a.month, 'YYYY-MM') FROM archives a
         WHERE a.month = date_trunc('month', p.requested_at AT TIME ZONE 'UTC')::date LIMIT 1) AS archived_month
  FROM listed AS p
  LEFT JOIN LATERAL (
      SELECT jsonb_build_array(event_data -> 'refund_of', event_data -> 'hold_id',
                               CASE WHEN octet_length((event_data -> 'metadata')::text) <= 4096
                                    THEN event_data -> 'metadata' END) AS request
        FROM events
       WHERE aggregate_id = p.payment_id AND occurred_at = p.requested_at AND event_type = 'PaymentRequested'
       ORDER BY source_offset LIMIT 1
  ) AS r ON true
  LEFT JOIN LATERAL (
      SELECT event_data ->> 'provider' AS provider FROM events
       WHERE p.kind = 'refund' AND aggregate_id = p.payment_id AND occurred_at >= p.requested_at - INTERVAL '5 minutes'
         AND event_type = 'RefundGranted'
       LIMIT 1
  ) AS g ON true
 ORDER BY p.requested_at DESC, p.payment_id DESC
