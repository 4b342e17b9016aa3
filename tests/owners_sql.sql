-- The SQL of the owner's stack, as the owner wrote it: a test runs each statement on the real tables, and a bench those that
-- only read.  Where a statement cannot be so, the nearest that can follows it, with the reason.

-- name: event_and_version
BEGIN;
INSERT INTO wallet_events (wallet_id, event_type, event_data, event_version)
VALUES ($1, $2, $3, $4);
UPDATE wallet_snapshots SET last_event_version = $4 WHERE wallet_id = $1;
COMMIT;

-- name: event_and_version_whole
-- Four columns are not all: an event has an id, belongs to somebody, happened at a time, and left a state.
BEGIN;
INSERT INTO wallet_events (wallet_id, event_type, event_data, event_version,
                           event_id, user_id, currency, wallet_state, schema_version, occurred_at)
VALUES ($1, $2, $3, $4, uuid_generate_v4(), $1, 'EUR', '{}', 1, NOW());
UPDATE wallet_snapshots SET last_event_version = $4 WHERE wallet_id = $1;
COMMIT;

-- name: table_of_events
CREATE TABLE events (
    event_id UUID PRIMARY KEY,
    aggregate_id UUID NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    event_data JSONB NOT NULL,  -- Esquema flexible
    event_version BIGINT NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL
);

-- name: index_of_data
CREATE INDEX idx_events_data_gin ON events USING GIN (event_data);

-- name: deducted_by_currency
SELECT
    event_data->>'currency' as currency,
    SUM((event_data->>'amount')::decimal) as total_amount
FROM events
WHERE event_type = 'WalletDeducted'
  AND occurred_at >= NOW() - INTERVAL '24 hours'
GROUP BY event_data->>'currency';

-- name: partition_of_a_month
CREATE TABLE events_2024_01 PARTITION OF events
FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');

-- name: extensions
-- Named in a list; as statements they are these.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- name: view_of_balances
CREATE MATERIALIZED VIEW wallet_balances AS
SELECT
    wallet_id,
    user_id,
    currency,
    SUM(CASE
        WHEN event_type = 'BalanceAdded' THEN (event_data->>'amount')::decimal
        WHEN event_type = 'BalanceDeducted' THEN -(event_data->>'amount')::decimal
        ELSE 0
    END) as current_balance,
    MAX(occurred_at) as last_updated
FROM wallet_events
GROUP BY wallet_id, user_id, currency;

-- name: indexes_of_balances
CREATE UNIQUE INDEX idx_wallet_balances_pk ON wallet_balances (wallet_id, currency);
CREATE INDEX idx_wallet_balances_user ON wallet_balances (user_id);

-- name: refresh
REFRESH MATERIALIZED VIEW CONCURRENTLY wallet_balances;

-- name: event_and_balance
BEGIN;
INSERT INTO events (event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
                    source_offset)
VALUES (uuid_generate_v4(), $2, 'WalletDeducted', jsonb_build_object('amount', -$1::decimal), 9, NOW(), 'by hand', 0, 0);
UPDATE wallet_balances SET balance = balance + $1 WHERE wallet_id = $2;
COMMIT;

-- name: event_and_balance_of_snapshot
-- A materialized view cannot be updated: the balance that is written with its event is the snapshot's.
BEGIN;
INSERT INTO events (event_id, aggregate_id, event_type, event_data, event_version, occurred_at, topic, source_partition,
                    source_offset)
VALUES (uuid_generate_v4(), $2, 'WalletDeducted', jsonb_build_object('amount', -$1::decimal), 9, NOW(), 'by hand', 0, 0);
UPDATE wallet_snapshots
   SET balances = jsonb_set(balances, '{EUR,balance}', to_jsonb(((balances #>> '{EUR,balance}')::decimal + $1)::text))
 WHERE wallet_id = $2;
COMMIT;

-- name: new_field
SELECT event_data->>'new_field' FROM events
WHERE event_type = 'PaymentCompleted'
  AND event_data ? 'new_field';

-- name: partition_of_the_same_month
CREATE TABLE events_y2024m01 PARTITION OF events
FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');

-- name: index_of_aggregates
CREATE INDEX idx_events_aggregate_version
ON events (aggregate_id, event_version);

-- name: index_of_types
CREATE INDEX idx_events_type_time
ON events (event_type, occurred_at)
WHERE occurred_at >= '2024-01-01';

-- name: reads_data
-- The reads that the owner's indexes are for, where no statement of the owner's says them: what an event's data contains,
SELECT event_type FROM events WHERE event_data @> jsonb_build_object('payment_id', $1::text);

-- name: reads_field
-- has a field,
SELECT event_id FROM events WHERE event_data ? 'new_field';

-- name: reads_aggregate
-- an aggregate in order,
SELECT event_type FROM events WHERE aggregate_id = $1 ORDER BY event_version;

-- name: reads_balance
-- a wallet's balance,
SELECT current_balance FROM wallet_balances WHERE wallet_id = $1 AND currency = 'EUR';

-- name: reads_user
-- a user's balances.
SELECT wallet_id FROM wallet_balances WHERE user_id = $1;
