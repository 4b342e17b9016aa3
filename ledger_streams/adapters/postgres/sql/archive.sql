-- Months of `events`: which are there, which are in files, and the way from one to the other and back.

-- name: keep
-- Held while the connection lives; false when somebody else rebuilds or archives.
SELECT pg_try_advisory_lock(hashtextextended('ledger-streams replay', 0));

-- name: has_archives
-- False in a database whose schema is of before there was an archive.
SELECT to_regclass('archives') IS NOT NULL;

-- name: archived_months
SELECT DISTINCT to_char(month, 'YYYY-MM') AS month FROM archives ORDER BY 1;

-- name: archives
SELECT month, part, file, rows, sha256 FROM archives ORDER BY month, part;

-- name: partitions
SELECT to_date(substr(c.relname, 9, 4) || substr(c.relname, 14, 2), 'YYYYMM') AS month
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_y\d{4}m\d{2}$'
 ORDER BY 1;

-- name: columns
SELECT attname AS name FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 AND NOT attisdropped;

-- name: schema_number
SELECT max(number) FROM schema_migrations;

-- name: standing
-- How many rows of each month are in the table.
SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date AS month, count(*) AS rows FROM events GROUP BY 1;

-- name: rows
-- Of one month, in the order of its chains; the bounds leave one partition to be read.
SELECT event_id::text, aggregate_id::text, event_type, event_data, event_version, occurred_at, topic, source_partition,
       source_offset, correlation_id::text, causation_id::text, encode(chain_hash, 'hex') AS chain_hash, recorded_at
  FROM events
 WHERE occurred_at >= $1::date::timestamp AT TIME ZONE 'UTC'
   AND occurred_at < ($1::date + INTERVAL '1 month') AT TIME ZONE 'UTC'
 ORDER BY topic, source_partition, source_offset;

-- name: hold_still
-- The statement after which nobody writes to the partition until the end of the transaction.
SELECT format('LOCK TABLE %I IN SHARE MODE', to_char($1::date, '"events_y"YYYY"m"MM'));

-- name: count
SELECT count(*)
  FROM events
 WHERE occurred_at >= $1::date::timestamp AT TIME ZONE 'UTC'
   AND occurred_at < ($1::date + INTERVAL '1 month') AT TIME ZONE 'UTC';

-- name: note_rows
INSERT INTO archived_events
       (topic, source_partition, source_offset, event_id, occurred_at, chain_hash, month, part)
SELECT topic, source_partition, source_offset, event_id, occurred_at, chain_hash, $1::date, $2::int
  FROM events
 WHERE occurred_at >= $1::date::timestamp AT TIME ZONE 'UTC'
   AND occurred_at < ($1::date + INTERVAL '1 month') AT TIME ZONE 'UTC';

-- name: note_file
INSERT INTO archives (month, part, file, rows, sha256) VALUES ($1, $2, $3, $4, $5);

-- name: lock_timeout
-- Under the second after which PostgreSQL looks for deadlocks: we give way, and try again.
SET LOCAL lock_timeout = '500ms';

-- name: retire
-- The statements that take a month's partition out of the table, and drop it.
SELECT unnest(ARRAY[format('ALTER TABLE events DETACH PARTITION %I', p.name), format('DROP TABLE %I', p.name)]) AS statement
  FROM to_char($1::date, '"events_y"YYYY"m"MM') AS p (name);

-- name: lock_noted
LOCK TABLE archived_events IN SHARE ROW EXCLUSIVE MODE;

-- name: offset_now
-- Where the row stands now: offsets move when a log is lost, by the same for all rows of a file.
SELECT source_offset FROM archived_events WHERE event_id = $1 AND occurred_at = $2;

-- name: forget_rows
DELETE FROM archived_events WHERE month = $1 AND part = $2;

-- name: forget_file
DELETE FROM archives WHERE month = $1 AND part = $2;

-- name: noted
-- What is noted of archived rows ($1: of this month alone), in the order of their files, each with the hash of the row
-- before it in its chain, wherever that one is.
SELECT month, part, event_id::text, occurred_at, source_offset, chain_hash, before
  FROM (SELECT topic, source_partition, source_offset, event_id, occurred_at, chain_hash, month, part,
               lag(chain_hash) OVER (PARTITION BY topic, source_partition ORDER BY source_offset) AS before
          FROM (SELECT topic, source_partition, source_offset, event_id, occurred_at, chain_hash,
                       NULL::date AS month, NULL::int AS part FROM events
                 UNION ALL
                SELECT topic, source_partition, source_offset, event_id, occurred_at, chain_hash, NULL, NULL
                  FROM event_repeats
                 UNION ALL
                SELECT topic, source_partition, source_offset, event_id, occurred_at, chain_hash, month, part
                  FROM archived_events) AS links) AS chained
 WHERE month IS NOT NULL AND ($1::date IS NULL OR month = $1)
 ORDER BY month, part, topic, source_partition, source_offset;
