-- Tamper evidence.  chain_hash = sha256(chain_hash of the row before || canonical JSON of the row), 32 zero bytes
-- before the first.  A chain is a wallet's events by version, each with its postings; or a source partition's
-- events by offset, wherever they are kept.  The heads are in wallet_snapshots and projection_positions.
ALTER TABLE events ADD COLUMN chain_hash BYTEA;
ALTER TABLE event_repeats ADD COLUMN chain_hash BYTEA;
-- Where in wallet-events a row comes from; -1 where it was written before anybody noted it.
ALTER TABLE wallet_events
    ADD COLUMN source_partition INTEGER NOT NULL DEFAULT -1,
    ADD COLUMN source_offset    BIGINT  NOT NULL DEFAULT -1,
    ADD COLUMN chain_hash       BYTEA;
ALTER TABLE wallet_snapshots ADD COLUMN chain_hash BYTEA;
ALTER TABLE projection_positions ADD COLUMN chain_hash BYTEA;
-- A closed day: the Merkle root of the chain hashes of all that was projected between the boundaries of the day before
-- and its own, {topic: {partition: [next offset, head of its chain]}}.  seal covers all of it and the seal before, but for
-- moved: how far offsets were moved back since, when the log was lost; a wrong one gives the day other rows.
CREATE TABLE audit_roots (
    day        DATE        PRIMARY KEY,
    root       BYTEA       NOT NULL,
    leaves     BIGINT      NOT NULL,
    boundaries JSONB       NOT NULL,
    keyed      BOOLEAN     NOT NULL,
    seal       BYTEA       NOT NULL,
    moved      BIGINT      NOT NULL DEFAULT 0,
    closed_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Keys in the order of their bytes, no blanks, numbers by their value: what Python makes of the same document.
CREATE FUNCTION audit_json(value JSONB) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN (SELECT '{' || coalesce(string_agg(to_jsonb(key)::text || ':' || audit_json(member), ','
                                                              ORDER BY key COLLATE "C"), '') || '}'
                              FROM jsonb_each(value) AS m (key, member))
        WHEN 'array' THEN (SELECT '[' || coalesce(string_agg(audit_json(element), ',' ORDER BY number), '') || ']'
                             FROM jsonb_array_elements(value) WITH ORDINALITY AS e (element, number))
        WHEN 'number' THEN trim_scale(value::numeric)::text
        ELSE value::text
    END;
END
$$;

CREATE FUNCTION audit_us(at TIMESTAMPTZ) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
$$ SELECT (extract(epoch FROM at) * 1000000)::bigint $$;

CREATE FUNCTION audit_link(before BYTEA, content JSONB) RETURNS BYTEA LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN sha256(coalesce(before, decode(repeat('00', 32), 'hex')) || convert_to(audit_json(content), 'UTF8')); END $$;

-- The chains of what is there already, row by row in their order, with memory for one row.
DO $$
DECLARE
    e RECORD;
    chain TEXT := '';
    head BYTEA;
BEGIN
    FOR e IN
        SELECT event_id, occurred_at, topic, source_partition, source_offset, repeated,
               jsonb_build_array('event', event_id, aggregate_id, event_type, event_version, audit_us(occurred_at), topic,
                                 source_partition, correlation_id, causation_id, event_data) AS content
          FROM (SELECT *, false AS repeated FROM events UNION ALL SELECT *, true FROM event_repeats) AS rows
         ORDER BY topic, source_partition, source_offset
    LOOP
        head := audit_link(CASE WHEN chain = e.topic || ' ' || e.source_partition THEN head END, e.content);
        chain := e.topic || ' ' || e.source_partition;
        IF e.repeated THEN
            UPDATE event_repeats r SET chain_hash = head
             WHERE (r.topic, r.source_partition, r.source_offset) = (e.topic, e.source_partition, e.source_offset);
        ELSE
            UPDATE events r SET chain_hash = head WHERE (r.event_id, r.occurred_at) = (e.event_id, e.occurred_at);
        END IF;
    END LOOP;
END
$$;
UPDATE projection_positions p SET chain_hash = last.chain_hash
  FROM (SELECT DISTINCT ON (topic, source_partition) topic, source_partition, chain_hash
          FROM (SELECT topic, source_partition, source_offset, chain_hash FROM events
                 UNION ALL
                SELECT topic, source_partition, source_offset, chain_hash FROM event_repeats) AS rows
         ORDER BY topic, source_partition, source_offset DESC) AS last
 WHERE p.topic = last.topic AND p.partition = last.source_partition;

DO $$
DECLARE
    e RECORD;
    chain UUID;
    head BYTEA;
BEGIN
    FOR e IN
        SELECT w.wallet_id, w.event_version, s.source_partition,
               jsonb_build_array('wallet_event', w.wallet_id, w.event_version, w.event_id, w.user_id, w.event_type, w.currency,
                                 w.payment_id, w.schema_version, w.correlation_id, w.causation_id, audit_us(w.occurred_at),
                                 w.event_data, w.wallet_state, l.legs) AS content
          FROM wallet_events w
          LEFT JOIN wallet_snapshots s USING (wallet_id)
         CROSS JOIN LATERAL (
            SELECT coalesce(jsonb_agg(jsonb_build_array(leg, account, currency, amount_minor, payment_id,
                                                        audit_us(occurred_at)) ORDER BY leg), '[]') AS legs
              FROM postings WHERE event_id = w.event_id) AS l
         ORDER BY w.wallet_id, w.event_version
    LOOP
        head := audit_link(CASE WHEN chain = e.wallet_id THEN head END, e.content);
        chain := e.wallet_id;
        UPDATE wallet_events w SET chain_hash = head, source_partition = coalesce(e.source_partition, -1)
         WHERE (w.wallet_id, w.event_version) = (e.wallet_id, e.event_version);
    END LOOP;
END
$$;
UPDATE wallet_snapshots s SET chain_hash = w.chain_hash
  FROM wallet_events w
 WHERE w.wallet_id = s.wallet_id AND w.event_version = s.last_event_version;

-- A day's rows lie together: a few bytes a block find them, and writing costs nothing.
CREATE INDEX events_source ON events USING BRIN (source_offset int8_minmax_multi_ops);
CREATE INDEX wallet_events_source ON wallet_events USING BRIN (source_offset int8_minmax_multi_ops);


-- Who writes events may not make tables: it asks this function, which has its owner's rights.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION ensure_events_partition(date) SECURITY DEFINER SET search_path = %I, pg_temp',
                   current_schema());
    REVOKE ALL ON FUNCTION ensure_events_partition(date) FROM PUBLIC;
END
$$;
