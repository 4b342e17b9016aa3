-- Months of `events` that were written to files and dropped (ledger-streams archive).  What stays of each row is what
-- its chain, its day's root and the look for repetitions need: its place, its identity, its hash.
CREATE TABLE archives (
    month       DATE        NOT NULL,
    -- A month has a second file where events came late, after the first.
    part        INTEGER     NOT NULL,
    file        TEXT        NOT NULL,
    rows        BIGINT      NOT NULL,
    sha256      TEXT        NOT NULL,
    archived_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (month, part)
);

CREATE TABLE archived_events (
    topic            TEXT        NOT NULL,
    source_partition INTEGER     NOT NULL,
    source_offset    BIGINT      NOT NULL,
    event_id         UUID        NOT NULL,
    occurred_at      TIMESTAMPTZ NOT NULL,
    chain_hash       BYTEA,
    month            DATE        NOT NULL,
    part             INTEGER     NOT NULL,
    PRIMARY KEY (topic, source_partition, source_offset)
);
CREATE INDEX archived_events_id ON archived_events (event_id);
