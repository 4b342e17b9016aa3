-- Rows by the time of their projection: which belong to a day that is closed.  Rows lie in that order, so a few bytes a
-- block find them, and writing costs nothing.
CREATE INDEX events_recorded ON events USING BRIN (recorded_at);
CREATE INDEX wallet_events_recorded ON wallet_events USING BRIN (recorded_at);
