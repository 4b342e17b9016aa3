-- A history of payments over months, made by the database itself: sets in place of records.  The same numbers make
-- the same history.

-- name: facts
-- What each payment is, 1 to $1, spread over the months up to $2.  Of 20, 13 are transfers, 4 deposits, 2 withdrawals
-- by a provider, and one is a transfer that is refused; the last 200 have not ended.
CREATE TEMPORARY TABLE facts ON COMMIT PRESERVE ROWS AS
SELECT n, md5('payment ' || n)::uuid AS payment_id, kind, currency, outcome,
       CASE WHEN kind <> 'transfer' AND n % 2 = 0 THEN 'acme' WHEN kind = 'withdrawal' THEN 'zeta' END AS provider,
       CASE currency WHEN 'JPY' THEN (1 + n * 7919 % 500000)::numeric
                     ELSE round((1 + n * 7919 % 500000) / 100.0, 2) END AS amount,
       md5('wallet ' || currency || n * 104729 % $3)::uuid AS source,
       md5('wallet ' || currency || (n * 104729 + 1 + n * 31 % ($3 - 1)) % $3)::uuid AS target,
       $2::timestamptz - ($1 - n) * ($4::interval / $1) AS at
  FROM generate_series(1, $1::bigint) AS n
 CROSS JOIN LATERAL (
    SELECT CASE WHEN n % 20 < 14 OR n > $1 - 200 THEN 'transfer' WHEN n % 20 < 18 THEN 'deposit' ELSE 'withdrawal' END AS kind,
           (ARRAY['EUR', 'EUR', 'EUR', 'USD', 'JPY'])[1 + n / 20 % 5] AS currency,
           CASE WHEN n > $1 - 200 THEN 'pending' WHEN n % 20 = 13 THEN 'failed' ELSE 'completed' END AS outcome
 ) AS kinds;

-- name: months
SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date AS month
  FROM facts CROSS JOIN (VALUES (INTERVAL '0'), (INTERVAL '1 minute')) AS later (d)
 CROSS JOIN LATERAL (SELECT at + d) AS a (moment);

-- name: events
INSERT INTO events (event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
                    source_offset, correlation_id)
SELECT md5(step || n)::uuid, payment_id, step,
       jsonb_strip_nulls(jsonb_build_object(
           'payment_id', payment_id, 'kind', kind, 'amount', amount::text, 'currency', currency, 'provider', provider,
           'source_wallet_id', CASE WHEN kind <> 'deposit' THEN source END,
           'target_wallet_id', CASE WHEN kind <> 'withdrawal' THEN target END,
           'new_field', CASE WHEN step = 'PaymentCompleted' AND n % 1000 = 0 THEN n END)),
       number, at + (number - 1) * INTERVAL '15 ms' + n % 50 * INTERVAL '1 ms' * (number > 1)::int,
       CASE WHEN step LIKE 'Payment%' THEN 'payment-events' ELSE 'saga-events' END, n % 6, n * 6 + number, payment_id
  FROM facts
 CROSS JOIN LATERAL unnest(CASE
       WHEN outcome = 'failed' THEN ARRAY['PaymentRequested', 'SagaStarted', 'WalletDeductionRefused', 'SagaFailed', 'PaymentFailed']
       WHEN outcome = 'pending' THEN ARRAY['PaymentRequested', 'SagaStarted', 'WalletDeducted']
       WHEN kind = 'deposit' THEN ARRAY['PaymentRequested', 'SagaStarted', 'WalletCredited', 'SagaCompleted', 'PaymentCompleted']
       WHEN kind = 'withdrawal' THEN ARRAY['PaymentRequested', 'SagaStarted', 'WalletDeducted', 'SagaCompleted', 'PaymentCompleted']
       ELSE ARRAY['PaymentRequested', 'SagaStarted', 'WalletDeducted', 'WalletCredited', 'SagaCompleted', 'PaymentCompleted']
     END) WITH ORDINALITY AS steps (step, number);

-- name: payments
INSERT INTO payments (payment_id, kind, status, reason, amount, currency, source_wallet_id, target_wallet_id, provider,
                      requested_at, ended_at)
SELECT payment_id, kind, outcome, CASE outcome WHEN 'failed' THEN 'insufficient_funds' END, amount, currency,
       CASE WHEN kind <> 'deposit' THEN source END, CASE WHEN kind <> 'withdrawal' THEN target END, provider,
       at, CASE WHEN outcome <> 'pending' THEN at + (60 + n % 50) * INTERVAL '1 ms' END
  FROM facts ORDER BY n;

-- name: wallet_events
-- A wallet is opened with its first movement; each event carries the state after it.
INSERT INTO wallet_events (wallet_id, event_version, event_id, user_id, event_type, currency, event_data, wallet_state,
                           payment_id, schema_version, correlation_id, occurred_at)
WITH legs AS (
    SELECT n, source AS wallet_id, -amount AS change, 30 AS ms FROM facts WHERE kind <> 'deposit' AND outcome <> 'failed'
     UNION ALL
    SELECT n, target, amount, 45 FROM facts WHERE kind <> 'withdrawal' AND outcome = 'completed'
), folded AS (
    SELECT l.*, f.currency, f.payment_id, f.kind, f.at + l.ms * INTERVAL '1 ms' AS occurred_at,
           row_number() OVER w + 1 AS version, sum(l.change) OVER w AS balance
      FROM legs l JOIN facts f USING (n)
    WINDOW w AS (PARTITION BY l.wallet_id ORDER BY n, change)
), opened AS (
    SELECT DISTINCT ON (wallet_id) wallet_id, currency, occurred_at FROM folded ORDER BY wallet_id, version
)
SELECT wallet_id, version, md5(wallet_id::text || version)::uuid, wallet_id,
       CASE WHEN change IS NULL THEN 'WalletOpened' WHEN change > 0 THEN 'BalanceAdded' ELSE 'BalanceDeducted' END, currency,
       jsonb_strip_nulls(jsonb_build_object('payment_id', payment_id, 'amount', abs(change)::text, 'currency', currency,
           'counterparty', CASE kind WHEN 'transfer' THEN 'transit' ELSE 'external' END)),
       jsonb_build_object('user_id', wallet_id, 'status', 'open', 'version', version, 'balances',
           jsonb_build_object(currency, jsonb_build_object('available', balance::text, 'held', '0', 'balance', balance::text,
                                                           'overdraft_limit', '1000000000'))),
       payment_id, 1, payment_id, occurred_at
  FROM (SELECT wallet_id, version, currency, change, balance, payment_id, kind, occurred_at FROM folded
         UNION ALL
        SELECT wallet_id, 1, currency, NULL, 0, NULL, NULL, occurred_at FROM opened) AS events
 ORDER BY occurred_at;

-- name: postings
INSERT INTO postings (event_id, leg, account, currency, amount_minor, payment_id, occurred_at)
SELECT event_id, leg, CASE leg WHEN 0 THEN 'wallet:' || wallet_id ELSE (event_data ->> 'counterparty') || ':' || currency END,
       currency, (CASE (event_type = 'BalanceAdded') = (leg = 0) WHEN true THEN 1 ELSE -1 END
                  * (event_data ->> 'amount')::numeric * CASE currency WHEN 'JPY' THEN 1 ELSE 100 END)::bigint,
       payment_id, occurred_at
  FROM wallet_events CROSS JOIN generate_series(0, 1) AS leg
 WHERE payment_id IS NOT NULL;

-- name: snapshots
INSERT INTO wallet_snapshots (wallet_id, user_id, status, last_event_version, balances, as_of, source_partition, source_offset)
SELECT DISTINCT ON (wallet_id) wallet_id, user_id, 'open', event_version, wallet_state -> 'balances', occurred_at, 0, 0
  FROM wallet_events ORDER BY wallet_id, event_version DESC;

-- name: further_events
-- A cent more for every hundredth wallet.
INSERT INTO wallet_events (wallet_id, event_version, event_id, user_id, event_type, currency, event_data, wallet_state,
                           payment_id, schema_version, correlation_id, occurred_at)
SELECT wallet_id, last_event_version + 1, gen_random_uuid(), user_id, 'BalanceAdded', currency, '{"amount": "0.01"}', '{}',
       NULL, 1, wallet_id, last_updated
  FROM (SELECT *, row_number() OVER (ORDER BY wallet_id) AS number FROM wallet_balances) AS b
 WHERE number % 100 = 0;

-- name: indexes
-- What only slows the loading down: all but keys.  A partitioned table's index is made on its partitions too.
SELECT i.indexrelid::regclass::text AS name, replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
 WHERE c.relname IN ('events', 'payments', 'wallet_events', 'postings') AND c.relnamespace = current_schema()::regnamespace
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid);

-- name: one_wallet
-- A wallet of $2 events, $3 of them in each millisecond: opened, then a cent in and a cent out in turn.
INSERT INTO wallet_events (wallet_id, event_version, event_id, user_id, event_type, currency, event_data, wallet_state,
                           payment_id, schema_version, correlation_id, occurred_at)
SELECT $1::uuid, v, md5($1::text || v)::uuid, $1::uuid,
       CASE WHEN v = 1 THEN 'WalletOpened' WHEN v % 2 = 0 THEN 'BalanceAdded' ELSE 'BalanceDeducted' END, 'EUR',
       jsonb_build_object('payment_id', md5('payment ' || v)::uuid, 'amount', '0.01', 'currency', 'EUR',
                          'counterparty', 'external'),
       jsonb_build_object('user_id', $1::uuid, 'status', 'open', 'version', v, 'balances', jsonb_build_object('EUR',
           jsonb_build_object('available', balance, 'held', '0.00', 'balance', balance, 'overdraft_limit', '0.00'))),
       md5('payment ' || v)::uuid, 1, md5('payment ' || v)::uuid,
       $4::timestamptz + (v - 1) / $3::int * INTERVAL '1 ms'
  FROM generate_series(1, $2::bigint) AS v
 CROSS JOIN LATERAL (SELECT CASE v % 2 WHEN 0 THEN '0.01' ELSE '0.00' END) AS b (balance);
