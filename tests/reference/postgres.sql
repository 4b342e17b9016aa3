-- name: schemas
SELECT nspname AS name, COALESCE(obj_description(oid, 'pg_namespace'), '') AS comment
  FROM pg_namespace
 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
 ORDER BY nspname <> 'public', nspname;

-- name: relations
-- Tables and views of one schema; partitions are those of their table, and extensions bring their own.
SELECT c.oid, c.relname AS name, c.relkind::text AS kind, COALESCE(obj_description(c.oid, 'pg_class'), '') AS comment,
       COALESCE(pg_get_partkeydef(c.oid), '') AS partition_key
  FROM pg_class c
 WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
 ORDER BY c.relkind IN ('v', 'm'), c.relname;

-- name: columns
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       COALESCE(pg_get_expr(d.adbin, d.adrelid), '') AS default, a.attgenerated <> '' AS is_generated,
       a.attidentity <> '' AS is_identity, COALESCE(col_description(a.attrelid, a.attnum), '') AS comment
  FROM pg_attribute a
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum;

-- name: constraints
SELECT conname AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint
 WHERE conrelid = $1 AND contype <> 'n'
 ORDER BY contype <> 'p', conname;

-- name: indexes
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS definition
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = $1
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
 ORDER BY c.relname;

-- name: triggers
SELECT tgname AS name, pg_get_triggerdef(oid) AS definition
  FROM pg_trigger
 WHERE tgrelid = $1 AND NOT tgisinternal
 ORDER BY tgname;

-- name: functions
SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
       COALESCE(obj_description(p.oid, 'pg_proc'), '') AS comment
  FROM pg_proc p
 WHERE p.pronamespace = $1::text::regnamespace
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
 ORDER BY p.proname, 2;
