-- What a database has to do, and how large it is.  For people who look: nothing in the system depends on it.

-- name: top
-- The statements that took longest in sum, of this database; hit_percent: pages found in shared_buffers.
SELECT calls, round(mean_exec_time::numeric, 3)::float8 AS mean_ms, round(total_exec_time::numeric, 1)::float8 AS total_ms,
       rows, round(100.0 * shared_blks_hit / nullif(shared_blks_hit + shared_blks_read, 0), 1)::float8 AS hit_percent,
       left(regexp_replace(query, '\s+', ' ', 'g'), 100) AS statement
  FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 ORDER BY total_exec_time DESC, statement
 LIMIT $1;

-- name: sizes
-- Each table with its indexes, partitions one by one; dead_percent: rows that a vacuum has still to clear.
SELECT schemaname || '.' || relname AS "table", n_live_tup AS rows, pg_table_size(relid) AS table_bytes,
       pg_indexes_size(relid) AS index_bytes,
       round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 1)::float8 AS dead_percent,
       to_char(greatest(last_vacuum, last_autovacuum) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS vacuumed_at
  FROM pg_stat_user_tables
 ORDER BY pg_total_relation_size(relid) DESC, "table"
 LIMIT $1;
