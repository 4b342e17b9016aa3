-- The event store: every record of payment-events and saga-events, by month of occurred_at.
CREATE TABLE events (
    event_id         UUID         NOT NULL,
    aggregate_id     UUID         NOT NULL,
    event_type       VARCHAR(100) NOT NULL,
    event_data       JSONB        NOT NULL,
    event_version    BIGINT       NOT NULL,
    occurred_at      TIMESTAMPTZ  NOT NULL,
    topic            TEXT         NOT NULL,
    source_partition INTEGER      NOT NULL,
    source_offset    BIGINT       NOT NULL,
    correlation_id   UUID,
    causation_id     UUID,
    recorded_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    -- A key of a partitioned table has to hold the partition column, so an event_id which
    -- an outsider uses again with another occurred_at is another row, and kept.
    PRIMARY KEY (event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- Not unique: a payment's versions come from two topics.
CREATE INDEX events_aggregate_version ON events (aggregate_id, event_version);
CREATE INDEX events_type_time ON events (event_type, occurred_at);
-- jsonb_ops, the default, although jsonb_path_ops writes faster: only jsonb_ops answers
-- `event_data ? 'new_field'`, the question of a schema that evolves without a migration.
CREATE INDEX events_data ON events USING GIN (event_data);

-- A record from outside whose (event_id, occurred_at) was there already: kept here, whole.
CREATE TABLE event_repeats (
    event_id         UUID         NOT NULL,
    aggregate_id     UUID         NOT NULL,
    event_type       VARCHAR(100) NOT NULL,
    event_data       JSONB        NOT NULL,
    event_version    BIGINT       NOT NULL,
    occurred_at      TIMESTAMPTZ  NOT NULL,
    topic            TEXT         NOT NULL,
    source_partition INTEGER      NOT NULL,
    source_offset    BIGINT       NOT NULL,
    correlation_id   UUID,
    causation_id     UUID,
    recorded_at      TIMESTAMPTZ  NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, source_partition, source_offset)
);

-- Makes the partition of a month; true when it was not there.  ATTACH, unlike CREATE TABLE
-- ... PARTITION OF, lets readers and writers of `events` go on, and the advisory lock makes
-- workers which find the same month missing wait for each other.
CREATE FUNCTION ensure_events_partition(month DATE) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    starts_at CONSTANT TIMESTAMPTZ := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    ends_at   CONSTANT TIMESTAMPTZ := (date_trunc('month', month::timestamp) + INTERVAL '1 month') AT TIME ZONE 'UTC';
    partition CONSTANT TEXT := 'events_y' || to_char(month, 'YYYY') || 'm' || to_char(month, 'MM');
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger-streams events partitions', 0));
    -- Asked of the table again, not of to_regclass: its cache would not see what was made during the wait.
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = current_schema()::regnamespace) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', partition);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, starts_at, ends_at);
    RETURN true;
END
$$;
