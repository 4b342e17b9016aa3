-- name: lock
-- Held to the end of the transaction; the number is this system's own.
SELECT pg_advisory_xact_lock(hashtextextended('ledger-streams migrations', 0));

-- name: create_log
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     INTEGER     PRIMARY KEY,
    name       TEXT        NOT NULL,
    checksum   TEXT        NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- name: applied
SELECT checksum FROM schema_migrations WHERE number = $1;

-- name: log
INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3);

-- name: unlog
DELETE FROM schema_migrations WHERE number = $1;

-- name: make_partitions
SELECT count(*) FILTER (WHERE ensure_events_partition(month)) FROM unnest($1::date[]) AS month;
