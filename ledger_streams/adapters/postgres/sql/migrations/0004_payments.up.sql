-- Payments, fed by payment-events alone.  What an unreadable request did not say is NULL.
CREATE TABLE payments (
    payment_id       UUID        PRIMARY KEY,
    kind             TEXT,
    status           TEXT        NOT NULL,
    reason           TEXT,
    detail           TEXT,
    -- Keeps the digits it was written with: amount::text is the wire's string.
    amount           NUMERIC,
    currency         TEXT,
    source_wallet_id UUID,
    target_wallet_id UUID,
    provider         TEXT,
    user_id          UUID,
    fingerprint      TEXT        NOT NULL DEFAULT '',
    wallets          JSONB       NOT NULL DEFAULT '{}',
    requested_at     TIMESTAMPTZ,
    ended_at         TIMESTAMPTZ
) WITH (fillfactor = 70);
