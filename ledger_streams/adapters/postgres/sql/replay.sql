-- Projections are rebuilt in the schema `replay`, by the sink and the migrations as they are: their connections
-- have it as search_path.  The queries here are for connections that see the live tables.

-- name: drop
DROP SCHEMA IF EXISTS replay CASCADE;

-- name: create
CREATE SCHEMA replay;

-- name: migrations_that_differ
SELECT number FROM schema_migrations FULL JOIN replay.schema_migrations AS rebuilt USING (number, checksum)
 WHERE schema_migrations.name IS NULL OR rebuilt.name IS NULL;

-- name: past_events
-- What Kafka no longer has of some partitions, each from its begin on, in the order of the log.
SELECT e.event_id::text, e.event_type, e.aggregate_id::text, e.event_version, e.occurred_at, e.correlation_id::text,
       e.causation_id::text, e.event_data, e.topic, e.source_partition, e.source_offset
  FROM (SELECT * FROM events UNION ALL SELECT * FROM event_repeats) AS e
  JOIN unnest($1::text[], $2::int[], $3::bigint[]) AS b (topic, partition, begins)
    ON b.topic = e.topic AND b.partition = e.source_partition AND e.source_offset < b.begins
 ORDER BY e.topic, e.source_partition, e.source_offset;

-- name: past_wallet_events
-- What compaction has taken: of each wallet the versions after one and before another.
SELECT event_id::text, event_type, schema_version, e.wallet_id::text, event_version, occurred_at, correlation_id::text,
       causation_id::text, event_data, wallet_state, source_offset, g.before_version
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS g (wallet_id, after_version, before_version)
  JOIN wallet_events e
    ON e.wallet_id = g.wallet_id AND e.event_version > g.after_version AND e.event_version < g.before_version
 ORDER BY e.wallet_id, e.event_version;

-- name: past_unreadable
-- The one thing about a payment that is in no event: that its first request could not be read, and when it came.
INSERT INTO replay.payments (payment_id, status, fingerprint, requested_at)
SELECT payment_id, 'pending', fingerprint, requested_at FROM payments WHERE fingerprint = $1;

-- name: lock_balances
-- A refresh reads wallet_events for as long as it takes: wait for one that is under way, and begin no other.
SELECT pg_advisory_xact_lock(hashtextextended('ledger-streams wallet_balances ' || current_schema(), 0));

-- name: lock_positions
-- Projectors wait, readers do not.
LOCK TABLE projection_positions IN EXCLUSIVE MODE;

-- name: endings_lost
SELECT p.payment_id::text
  FROM payments p LEFT JOIN replay.payments r USING (payment_id)
 WHERE p.ended_at IS NOT NULL AND r.ended_at IS NULL
 LIMIT 1;

-- name: keep_places
-- A log that was filled again begins with copies of events that are of the lost one's days.
UPDATE replay.wallet_events r SET source_partition = w.source_partition, source_offset = w.source_offset
  FROM wallet_events w
 WHERE (w.wallet_id, w.event_version) = (r.wallet_id, r.event_version) AND w.source_offset < -1 AND r.source_offset >= 0;

-- name: keep_parked
-- Content and endings as they are; what the rebuild has parked itself stays.
INSERT INTO replay.parked_records SELECT * FROM parked_records ON CONFLICT DO NOTHING;

-- name: lock_timeout
-- Under the second after which PostgreSQL looks for deadlocks: who gives way to whom is then no question.
SET LOCAL lock_timeout = '500ms';

-- name: lock_tables
LOCK TABLE events, event_repeats, payments, wallet_events, wallet_snapshots, postings, parked_records IN ACCESS EXCLUSIVE MODE;

-- name: rows
SELECT c.relname AS name,
       (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', $1::text, c.relname),
                                            false, true, '')))[1]::text::bigint AS rows
  FROM pg_class c
 WHERE c.relnamespace = $1::text::regnamespace AND c.relname = ANY($2::text[]);

-- name: swap
-- The statements, in order, that put the rebuilt tables in the place of the live ones.  Partitions move one by one.
-- Views of the schema analytics, which know the live tables, are made again as they are, with comments and grants;
-- whoever had rights on a live table has them on the rebuilt one.  wallet_balances and what triggers call move too.
WITH balances AS (
    SELECT 'wallet_balances' AS name
), called AS (
    SELECT DISTINCT p.proname AS name
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE c.relnamespace = 'replay'::regnamespace AND p.pronamespace = c.relnamespace AND NOT t.tgisinternal
), views AS (
    SELECT c.oid, c.relname AS name, c.relacl, c.relowner
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'analytics' AND c.relkind = 'v'
)
SELECT statement
  FROM (SELECT 0 AS number, 0::bigint AS part,
               format('GRANT %s ON replay.%I TO %s', string_agg(a.privilege_type, ', '), c.relname,
                      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS statement
          FROM pg_class c CROSS JOIN aclexplode(c.relacl) AS a
         WHERE c.relnamespace = current_schema()::regnamespace AND a.grantee <> c.relowner
           AND (c.relname = ANY($1::text[]) OR c.relname IN (SELECT name FROM balances))
         GROUP BY c.relname, a.grantee
         UNION ALL
        SELECT 1, 0, 'DROP VIEW ' || string_agg(format('analytics.%I', name), ', ')
          FROM views HAVING count(*) > 0
         UNION ALL
        SELECT 2, 0, format('DROP MATERIALIZED VIEW %I', name) FROM balances
         UNION ALL
        SELECT 2, 1, format('DROP TABLE %I', name) FROM unnest($1::text[]) AS name
         UNION ALL
        SELECT 2, 2, format('DROP FUNCTION %I()', name) FROM called
         UNION ALL
        SELECT 3, 0, format('ALTER FUNCTION replay.%I() SET SCHEMA %I', name, current_schema()) FROM called
         UNION ALL
        SELECT 3, 0, format('ALTER MATERIALIZED VIEW replay.%I SET SCHEMA %I', name, current_schema()) FROM balances
         UNION ALL
        SELECT 3, 0, format('ALTER TABLE replay.%I SET SCHEMA %I', c.relname, current_schema())
          FROM pg_class c
         WHERE c.relnamespace = 'replay'::regnamespace
           AND (c.relname = ANY($1::text[])
                OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'replay.events'::regclass))
           AND c.relkind IN ('r', 'p')
         UNION ALL
        SELECT 4, oid::bigint, format('CREATE VIEW analytics.%I AS %s', name, pg_get_viewdef(oid)) FROM views
         UNION ALL
        SELECT 5, oid::bigint, format('COMMENT ON VIEW analytics.%I IS %L', name, obj_description(oid, 'pg_class'))
          FROM views
         UNION ALL
        SELECT 6, v.oid::bigint,
               format('GRANT %s ON analytics.%I TO %s', a.privilege_type, v.name,
                      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
          FROM views v CROSS JOIN LATERAL aclexplode(v.relacl) AS a
         WHERE a.grantee <> v.relowner
         UNION ALL
        SELECT 7, 0, 'DROP SCHEMA replay CASCADE') AS steps
 ORDER BY number, part;
