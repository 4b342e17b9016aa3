-- Beside the live tables nothing is taken back, so this is always the analysts' own schema.
DROP SCHEMA analytics CASCADE;
DROP INDEX payments_day;
DROP INDEX wallet_events_out_of_order;
DROP INDEX wallet_events_as_of;
ALTER TABLE wallet_events DROP COLUMN ordered_at;
CREATE INDEX wallet_events_time ON wallet_events (wallet_id, occurred_at, event_version);
