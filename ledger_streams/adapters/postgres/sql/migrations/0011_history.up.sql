-- As of a moment, in the order of versions.  occurred_at is the append time of a command, and a broker's clock may step
-- back.  Where it did, ordered_at is the latest occurred_at up to this version; everywhere else it is NULL.
ALTER TABLE wallet_events ADD COLUMN ordered_at TIMESTAMPTZ;
UPDATE wallet_events e SET ordered_at = o.latest
  FROM (SELECT wallet_id, event_version, occurred_at,
               max(occurred_at) OVER (PARTITION BY wallet_id ORDER BY event_version) AS latest
          FROM wallet_events) AS o
 WHERE o.wallet_id = e.wallet_id AND o.event_version = e.event_version AND o.latest > o.occurred_at;
DROP INDEX wallet_events_time;
CREATE INDEX wallet_events_as_of ON wallet_events (wallet_id, (COALESCE(ordered_at, occurred_at)), event_version);
-- Empty as long as clocks go on; tells the projector how late a wallet's latest event was.
CREATE INDEX wallet_events_out_of_order ON wallet_events (wallet_id, ordered_at) WHERE ordered_at IS NOT NULL;

-- Payments come by day, so that a range of pages has few days: a summary is enough, and costs the projector nothing.
CREATE INDEX payments_day ON payments USING BRIN (((requested_at AT TIME ZONE 'UTC')::date))
  WITH (pages_per_range = 32, autosummarize = on);

-- Views for analysts.  Beside the live tables, where projections are rebuilt, they stay in the schema of the rebuild.
CREATE SCHEMA IF NOT EXISTS analytics;
COMMENT ON SCHEMA analytics IS 'Views for analysts. Days are of UTC, amounts exact, and all is as far as the projector has come.';
SELECT set_config('search_path', 'analytics, ' || current_setting('search_path'), true)
 WHERE current_schema() <> 'replay';

CREATE VIEW payments_per_day AS
SELECT (requested_at AT TIME ZONE 'UTC')::date AS day, kind, currency,
       count(*) AS payments,
       count(*) FILTER (WHERE ended_at IS NOT NULL AND status <> 'failed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE ended_at IS NULL) AS pending,
       count(*) FILTER (WHERE refunded IS NOT NULL) AS refunded
  FROM payments
 GROUP BY day, kind, currency;
COMMENT ON VIEW payments_per_day IS
  'Payments by the day of their request, and how they stand; refunded ones, in part or whole, are completed too. '
  'Kind and currency are NULL where the request could not be read.';

CREATE VIEW success_per_day AS
SELECT (requested_at AT TIME ZONE 'UTC')::date AS day, kind, provider,
       count(*) AS ended,
       count(*) FILTER (WHERE status <> 'failed') AS completed,
       round(100.0 * count(*) FILTER (WHERE status <> 'failed') / count(*), 2) AS success_percent,
       mode() WITHIN GROUP (ORDER BY reason) AS main_reason
  FROM payments
 WHERE ended_at IS NOT NULL
 GROUP BY day, kind, provider;
COMMENT ON VIEW success_per_day IS
  'Of the payments of a day that have ended, the share that completed; main_reason is the most frequent of those that '
  'failed. Provider is NULL for payments without one.';

CREATE VIEW volume_per_day AS
SELECT (requested_at AT TIME ZONE 'UTC')::date AS day, currency, provider, kind,
       count(*) AS payments, sum(amount) AS amount, COALESCE(sum(refunded), 0) AS refunded
  FROM payments
 WHERE ended_at IS NOT NULL AND status <> 'failed'
 GROUP BY day, currency, provider, kind;
COMMENT ON VIEW volume_per_day IS
  'Money moved by completed payments, by the day of their request; refunded is what has gone back of them since. '
  'Refunds are payments too, of kind refund: leave them out where refunded is subtracted.';

CREATE VIEW wallets_by_size AS
SELECT b.currency,
       CASE WHEN b.balance < 0 THEN NULL WHEN b.balance < 1 THEN 0
            ELSE ('1e' || length(trunc(b.balance)::text) - 1)::numeric END AS at_least,
       count(*) AS wallets, sum(b.balance) AS balance
  FROM wallet_snapshots s
 CROSS JOIN LATERAL (
    SELECT key AS currency, (value ->> 'balance')::numeric AS balance FROM jsonb_each(s.balances)
 ) AS b
 WHERE s.status <> 'closed'
 GROUP BY b.currency, at_least;
COMMENT ON VIEW wallets_by_size IS
  'Wallets that are not closed by the size of their balance in a currency: at_least 100 are those of 100 to 999.99, '
  '0 those below 1, NULL those overdrawn. A wallet of two currencies counts in both.';

CREATE VIEW money_in_transit AS
SELECT p.currency, count(DISTINCT p.payment_id) AS payments,
       sum(sign(t.amount_minor::numeric) * (e.event_data ->> 'amount')::numeric) AS amount, min(p.requested_at) AS oldest
  FROM payments p
  JOIN postings t ON t.payment_id = p.payment_id AND t.account LIKE 'transit:%'
  JOIN wallet_events e ON e.event_id = t.event_id
 WHERE p.ended_at IS NULL
 GROUP BY p.currency;
COMMENT ON VIEW money_in_transit IS
  'Money that has left one wallet and not reached the next, of the payments that have not ended; oldest is the '
  'earliest request among them. Nothing is in transit for a payment that has ended.';

CREATE VIEW time_to_complete_per_day AS
SELECT (requested_at AT TIME ZONE 'UTC')::date AS day, kind, count(*) AS payments,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY ended_at - requested_at) AS p50,
       percentile_disc(0.9) WITHIN GROUP (ORDER BY ended_at - requested_at) AS p90,
       percentile_disc(0.99) WITHIN GROUP (ORDER BY ended_at - requested_at) AS p99,
       max(ended_at - requested_at) AS longest
  FROM payments
 WHERE ended_at IS NOT NULL AND status <> 'failed'
 GROUP BY day, kind;
COMMENT ON VIEW time_to_complete_per_day IS
  'How long completed payments took, from the time their sender gave them to the append time of the event that '
  'completed them; a sender''s clock that is ahead makes it shorter.';
