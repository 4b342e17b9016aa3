-- Each query answers with (subject, detail) of what differs; no rows is well.
-- They run in one repeatable-read transaction, so that a live projector does not show as a difference.

-- name: snapshot_is_sum_of_events
WITH sums AS (
    SELECT wallet_id, currency,
           SUM(CASE event_type WHEN 'BalanceAdded' THEN 1 ELSE -1 END * (event_data->>'amount')::numeric) AS balance
      FROM wallet_events
     WHERE event_type IN ('BalanceAdded', 'BalanceDeducted')
     GROUP BY wallet_id, currency
), shown AS (
    SELECT s.wallet_id, b.currency, (b.amounts->>'balance')::numeric AS balance
      FROM wallet_snapshots s CROSS JOIN LATERAL jsonb_each(s.balances) AS b (currency, amounts)
)
SELECT wallet_id::text || ' ' || currency AS subject,
       format('snapshot %s, events %s', shown.balance, sums.balance) AS detail
  FROM shown FULL JOIN sums USING (wallet_id, currency)
 WHERE COALESCE(shown.balance, 0) <> COALESCE(sums.balance, 0)
 ORDER BY 1;

-- name: snapshot_is_sum_of_postings
-- Wire amounts carry all of a currency's digits: without the point they are minor units.
WITH sums AS (
    SELECT account, currency, SUM(amount_minor) AS balance_minor
      FROM postings
     WHERE account LIKE 'wallet:%'
     GROUP BY account, currency
), shown AS (
    SELECT 'wallet:' || s.wallet_id AS account, b.currency,
           replace(b.amounts->>'balance', '.', '')::numeric AS balance_minor
      FROM wallet_snapshots s CROSS JOIN LATERAL jsonb_each(s.balances) AS b (currency, amounts)
)
SELECT account || ' ' || currency AS subject,
       format('snapshot %s, postings %s minor units', shown.balance_minor, sums.balance_minor) AS detail
  FROM shown FULL JOIN sums USING (account, currency)
 WHERE COALESCE(shown.balance_minor, 0) <> COALESCE(sums.balance_minor, 0)
 ORDER BY 1;

-- name: snapshot_is_last_event
SELECT COALESCE(s.wallet_id, e.wallet_id)::text AS subject,
       format('snapshot version %s, last event %s', s.last_event_version, e.version) AS detail
  FROM wallet_snapshots s
  FULL JOIN (SELECT wallet_id, max(event_version) AS version FROM wallet_events GROUP BY wallet_id) e USING (wallet_id)
 WHERE s.last_event_version IS DISTINCT FROM e.version
 ORDER BY 1;

-- name: event_postings_sum_to_zero
SELECT event_id::text AS subject, format('%s minor units of %s too much', SUM(amount_minor), currency) AS detail
  FROM postings
 GROUP BY event_id, currency
HAVING SUM(amount_minor) <> 0
 ORDER BY 1;

-- name: event_that_moves_money_has_postings
SELECT e.event_id::text AS subject, format('%s of wallet %s has no postings', e.event_type, e.wallet_id) AS detail
  FROM wallet_events e
 WHERE e.event_type IN ('BalanceAdded', 'BalanceDeducted')
   AND NOT EXISTS (SELECT FROM postings p WHERE p.event_id = e.event_id)
 ORDER BY 1;

-- name: ended_payment_leaves_nothing
-- In all, and in transit.  Wallets that are not projected as far as the outcome says come later.
SELECT p.payment_id::text AS subject,
       format('%s minor units of %s left, %s of them in transit', SUM(l.amount_minor), l.currency,
              COALESCE(SUM(l.amount_minor) FILTER (WHERE l.account LIKE 'transit:%'), 0)) AS detail
  FROM payments p JOIN postings l USING (payment_id)
 WHERE p.ended_at IS NOT NULL
   AND NOT EXISTS (
        SELECT FROM jsonb_each_text(p.wallets) AS w (wallet_id, version)
          LEFT JOIN wallet_snapshots s ON s.wallet_id = w.wallet_id::uuid
         WHERE COALESCE(s.last_event_version, 0) < w.version::bigint)
 GROUP BY p.payment_id, l.currency
HAVING SUM(l.amount_minor) <> 0 OR SUM(l.amount_minor) FILTER (WHERE l.account LIKE 'transit:%') <> 0
 ORDER BY 1;

-- name: versions_have_no_gap
SELECT wallet_id::text AS subject,
       format('%s events of versions %s to %s', count(*), min(event_version), max(event_version)) AS detail
  FROM wallet_events
 GROUP BY wallet_id
HAVING min(event_version) <> 1 OR max(event_version) <> count(*)
 ORDER BY 1;

-- name: versions_are_in_order_of_time
-- An event counts from the latest occurred_at up to it, or the past of its wallet is read wrong.
SELECT wallet_id::text AS subject, format('version %s counts from %s, not %s', event_version, counts, latest) AS detail
  FROM (SELECT wallet_id, event_version, COALESCE(ordered_at, occurred_at) AS counts,
               max(occurred_at) OVER (PARTITION BY wallet_id ORDER BY event_version) AS latest
          FROM wallet_events) AS e
 WHERE counts <> latest
 ORDER BY wallet_id, event_version;

-- name: archived_event_is_there_once
-- In a file or in the table; an event that comes again is found among the archived, and kept as a repeat.
SELECT event_id::text AS subject, format('archived with %s, and in events', to_char(a.month, 'YYYY-MM')) AS detail
  FROM archived_events a JOIN events e USING (event_id, occurred_at)
 ORDER BY 1;

-- name: event_id_is_used_once
-- Of what the system derives; a request may come more than once from outside, with one id.
SELECT event_id::text AS subject, format('%s times: %s', count(*), string_agg(event_type, ', ')) AS detail
  FROM (SELECT event_id, event_type FROM events WHERE event_type <> 'PaymentRequested'
         UNION ALL SELECT event_id, event_type FROM wallet_events) AS derived
 GROUP BY event_id
HAVING count(*) > 1
 ORDER BY 1;

-- name: wallet_balances_is_sum_of_events
-- The view is as of its last refresh, so each of its rows is compared at the version that it is of.
WITH sums AS (
    SELECT b.wallet_id, b.currency, b.current_balance, b.last_event_version,
           SUM(CASE e.event_type WHEN 'BalanceAdded' THEN 1 WHEN 'BalanceDeducted' THEN -1 ELSE 0 END
               * COALESCE(e.event_data->>'amount', '0')::numeric) AS balance
      FROM wallet_balances b
      LEFT JOIN wallet_events e
        ON e.wallet_id = b.wallet_id AND e.currency = b.currency AND e.event_version <= b.last_event_version
     GROUP BY b.wallet_id, b.currency, b.current_balance, b.last_event_version
)
SELECT wallet_id::text || ' ' || currency AS subject,
       format('view %s at version %s, events %s', current_balance, last_event_version, balance) AS detail
  FROM sums
 WHERE current_balance IS DISTINCT FROM balance
 ORDER BY 1;

-- name: wallet_balances_has_what_was_there
-- An event whose transaction was over when the refresh began is in the view.  Of a row's xmin the lower half is kept: it is
-- taken for the latest transaction that it may be, so that at worst an event is not asked for.
SELECT e.wallet_id::text || ' ' || e.currency AS subject,
       format('version %s was there before the refresh at %s', e.event_version, r.refreshed_at) AS detail
  FROM wallet_events e
 CROSS JOIN wallet_balances_refreshed r
  LEFT JOIN wallet_balances b ON b.wallet_id = e.wallet_id AND b.currency = e.currency
 WHERE e.event_version > COALESCE(b.last_event_version, 0) AND e.currency IS NOT NULL AND e.recorded_at < r.refreshed_at
   AND pg_visible_in_snapshot((SELECT (newest - ((newest - e.xmin::text::bigint) & 4294967295))::text::xid8
                                 FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest) AS n), r.contains)
 ORDER BY 1, e.event_version;
