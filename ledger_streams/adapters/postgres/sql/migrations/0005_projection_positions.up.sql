-- Where the projections are in their topics: moved in the transaction that writes the rows,
-- so rows and position are one.  cached_offset: up to there Redis has been written too.
CREATE TABLE projection_positions (
    topic         TEXT    NOT NULL,
    partition     INTEGER NOT NULL,
    next_offset   BIGINT  NOT NULL,
    cached_offset BIGINT  NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
