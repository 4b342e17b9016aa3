-- Every record of wallet-events.  Versions of a wallet have no gap.
CREATE TABLE wallet_events (
    wallet_id      UUID         NOT NULL,
    event_version  BIGINT       NOT NULL CHECK (event_version > 0),
    event_id       UUID         NOT NULL UNIQUE,
    user_id        UUID         NOT NULL,
    event_type     VARCHAR(100) NOT NULL,
    currency       TEXT,
    event_data     JSONB        NOT NULL,
    wallet_state   JSONB        NOT NULL,
    payment_id     UUID,
    schema_version SMALLINT     NOT NULL,
    correlation_id UUID,
    causation_id   UUID,
    occurred_at    TIMESTAMPTZ  NOT NULL,
    recorded_at    TIMESTAMPTZ  NOT NULL DEFAULT now(),
    PRIMARY KEY (wallet_id, event_version)
);
CREATE INDEX wallet_events_time ON wallet_events (wallet_id, occurred_at, event_version);
-- Whoever sent an administrative command waits for its event; payments do not pay for this index.
CREATE INDEX wallet_events_command ON wallet_events (wallet_id, causation_id) WHERE payment_id IS NULL;

-- A wallet after its last event, written in the transaction of that event.  No index has a
-- column that changes with every event, and pages have room: updates stay HOT.
CREATE TABLE wallet_snapshots (
    wallet_id          UUID        PRIMARY KEY,
    user_id            UUID        NOT NULL,
    status             TEXT        NOT NULL,
    last_event_version BIGINT      NOT NULL,
    balances           JSONB       NOT NULL,
    as_of              TIMESTAMPTZ NOT NULL,
    source_partition   INTEGER     NOT NULL,
    source_offset      BIGINT      NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX wallet_snapshots_user ON wallet_snapshots (user_id, wallet_id);

-- The legs of each event that moves money; per event and currency they sum to zero.
CREATE TABLE postings (
    event_id     UUID        NOT NULL,
    leg          SMALLINT    NOT NULL,
    account      TEXT        NOT NULL,
    currency     TEXT        NOT NULL,
    amount_minor BIGINT      NOT NULL,
    payment_id   UUID,
    occurred_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, leg)
);
CREATE INDEX postings_payment ON postings (payment_id);
