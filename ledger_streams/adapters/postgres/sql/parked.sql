-- name: waiting
-- How many records of some partitions wait, where any do.
SELECT p.topic, p.source_partition AS partition, count(*) AS records
  FROM parked_records p
  JOIN unnest($1::text[], $2::int[]) AS c (topic, partition) ON c.topic = p.topic AND c.partition = p.source_partition
 WHERE p.ended_at IS NULL
 GROUP BY p.topic, p.source_partition;

-- name: blocked
-- Those of the given aggregates that have a record waiting in this partition.
SELECT DISTINCT aggregate_id::text
  FROM parked_records
 WHERE topic = $1 AND source_partition = $2 AND aggregate_id = ANY($3::uuid[]) AND ended_at IS NULL;

-- name: lock_position
-- A projector of the partition waits from here on; none of a partition that was never projected.
SELECT next_offset FROM projection_positions WHERE topic = $1 AND partition = $2 FOR UPDATE;

-- name: places
-- The partitions in which an aggregate has records waiting.
SELECT DISTINCT topic, source_partition FROM parked_records
 WHERE aggregate_id = $1 AND ended_at IS NULL ORDER BY topic, source_partition;

-- name: of_aggregate
SELECT topic, source_partition, source_offset, key, value, headers, appended_at, reason, detail
  FROM parked_records
 WHERE topic = $1 AND source_partition = $2 AND aggregate_id = $3 AND ended_at IS NULL
 ORDER BY source_offset;

-- name: end_projected
-- The records in order, and where the first of them stands among those that were projected later.
UPDATE parked_records p
   SET ended_at = now(), outcome = 'projected', ended_before = $4, projected_as = $5 + r.number - 1
  FROM unnest($3::bigint[]) WITH ORDINALITY AS r (source_offset, number)
 WHERE p.topic = $1 AND p.source_partition = $2 AND p.source_offset = r.source_offset AND p.ended_at IS NULL;

-- name: end_discarded
UPDATE parked_records SET ended_at = now(), outcome = 'discarded', ended_before = $4
 WHERE topic = $1 AND source_partition = $2 AND source_offset = $3 AND ended_at IS NULL
RETURNING source_offset;

-- name: all
-- Of a partition all that was ever parked, in the order in which a replay needs it.
SELECT topic, source_partition, source_offset, key, value, headers, appended_at, outcome, ended_before, projected_as
  FROM parked_records
 ORDER BY topic, source_partition, projected_as, source_offset;

-- name: list
SELECT topic, source_partition AS partition, source_offset AS "offset", reason, detail, aggregate_id::text, appended_at,
       parked_at, ended_at, outcome, octet_length(value) AS value_bytes
  FROM parked_records
 WHERE ($1::text IS NULL OR topic = $1) AND ($2 OR ended_at IS NULL)
 ORDER BY parked_at, topic, source_partition, source_offset;

-- name: one
SELECT topic, source_partition AS partition, source_offset AS "offset", reason, detail, aggregate_id::text, appended_at,
       parked_at, ended_at, outcome, octet_length(value) AS value_bytes, key, value, headers
  FROM parked_records
 WHERE topic = $1 AND source_partition = $2 AND source_offset = $3;

-- name: about
-- What waits of an aggregate, oldest first.
SELECT topic, source_partition AS partition, source_offset AS "offset", reason, detail, parked_at
  FROM parked_records
 WHERE aggregate_id = $1 AND ended_at IS NULL
 ORDER BY parked_at, topic, source_partition, source_offset
 LIMIT $2;
