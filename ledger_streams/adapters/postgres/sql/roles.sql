-- name: statements
-- What gives two roles their rights on this database's schema, in order; $1 the application, $2 the analysts, either
-- may be NULL.  Made of what is there: run it again after an upgrade.  A role that is new has no password yet.
WITH roles AS (
    SELECT name, kind FROM (VALUES ($1::text, 'application'), ($2::text, 'analyst')) AS r (name, kind) WHERE name IS NOT NULL
), schemas AS (
    SELECT oid, nspname AS name FROM pg_namespace WHERE oid = current_schema()::regnamespace OR nspname = 'analytics'
), tables AS (
    SELECT s.name AS schema, c.relname AS name,
           -- History is added to and never changed: no UPDATE, no DELETE, no TRUNCATE.
           CASE WHEN c.relname IN ('events', 'event_repeats', 'wallet_events', 'postings', 'audit_roots') THEN 'SELECT, INSERT'
                WHEN c.relname IN ('payments', 'wallet_snapshots', 'projection_positions', 'parked_records')
                     THEN 'SELECT, INSERT, UPDATE'
                ELSE 'SELECT' END AS rights
      FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
), limits AS (
    -- The application's longest statement is a cycle's COPY; what reads whole tables says so and sets its own.
    SELECT * FROM (VALUES
        ('application', 'statement_timeout', '60s'), ('application', 'idle_in_transaction_session_timeout', '60s'),
        ('analyst', 'statement_timeout', '5min'), ('analyst', 'idle_in_transaction_session_timeout', '60s'),
        ('analyst', 'default_transaction_read_only', 'on')) AS l (kind, setting, value)
)
SELECT statement
  FROM (SELECT 1 AS number, name AS of, format('CREATE ROLE %I LOGIN', name) AS statement
          FROM roles WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
         UNION ALL
        SELECT 2, schemas.name || roles.name, format('GRANT USAGE ON SCHEMA %I TO %I', schemas.name, roles.name)
          FROM roles CROSS JOIN schemas
         UNION ALL
        SELECT 3, schema || tables.name || roles.name,
               format('REVOKE ALL ON %I.%I FROM %I', schema, tables.name, roles.name)
          FROM roles CROSS JOIN tables
         UNION ALL
        SELECT 4, schema || tables.name || roles.name,
               format('GRANT %s ON %I.%I TO %I', CASE kind WHEN 'application' THEN rights ELSE 'SELECT' END,
                      schema, tables.name, roles.name)
          FROM roles CROSS JOIN tables
         UNION ALL
        SELECT 5, schemas.name || roles.name,
               format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', schemas.name, roles.name)
          FROM roles CROSS JOIN schemas
         UNION ALL
        SELECT 6, name || function, format('GRANT EXECUTE ON FUNCTION %I.%s TO %I', current_schema(), function, name)
          FROM roles CROSS JOIN (VALUES ('ensure_events_partition(date)'), ('refresh_wallet_balances(interval)')) AS f (function)
         WHERE kind = 'application'
         UNION ALL
        SELECT 7, name || setting,
               format('ALTER ROLE %I IN DATABASE %I SET %I = %L', name, current_database(), setting, value)
          FROM roles JOIN limits USING (kind)) AS steps
 ORDER BY number, of;

-- name: owner
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'events'::regclass;
