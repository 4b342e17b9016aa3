-- Records that the projector could not project, in its own order: written in the transaction of the rows and positions
-- around them.  While one of an aggregate waits (ended_at is null), the later ones of that aggregate and topic wait behind it.
-- Rows stay when they have ended: a replay parks, projects and leaves out the same records.
CREATE TABLE parked_records (
    topic            TEXT        NOT NULL,
    source_partition INTEGER     NOT NULL,
    source_offset    BIGINT      NOT NULL,
    key              BYTEA,
    value            BYTEA,
    -- A JSON list of pairs, the second one in base64; bytes, since jsonb does not hold every text.
    headers          BYTEA       NOT NULL,
    appended_at      TIMESTAMPTZ NOT NULL,
    reason           TEXT        NOT NULL,
    detail           TEXT        NOT NULL,
    -- The key, where it is an id.
    aggregate_id     UUID,
    parked_at        TIMESTAMPTZ NOT NULL DEFAULT now(),
    ended_at         TIMESTAMPTZ,
    -- projected or discarded.
    outcome          TEXT,
    -- The projector's position in the partition at that moment: what came before it was projected without the record.
    ended_before     BIGINT,
    -- Its place among those of the partition that were projected later: source_offset of its rows.
    projected_as     BIGINT,
    PRIMARY KEY (topic, source_partition, source_offset)
);
CREATE INDEX parked_records_waiting ON parked_records (topic, source_partition, aggregate_id) WHERE ended_at IS NULL;
CREATE INDEX parked_records_aggregate ON parked_records (aggregate_id) WHERE ended_at IS NULL;
