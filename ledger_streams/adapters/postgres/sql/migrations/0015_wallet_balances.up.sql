-- The owner's view of balances, as of its last refresh; wallet_snapshots has them as of now.  last_event_version says
-- which events of the wallet are in a row, so that it can be compared exactly.  What has no currency moves no money.
CREATE MATERIALIZED VIEW wallet_balances AS
SELECT wallet_id, user_id, currency,
       SUM(CASE event_type WHEN 'BalanceAdded' THEN (event_data ->> 'amount')::numeric
                           WHEN 'BalanceDeducted' THEN -(event_data ->> 'amount')::numeric
                           ELSE 0 END) AS current_balance,
       MAX(occurred_at) AS last_updated, MAX(event_version) AS last_event_version
  FROM wallet_events
 WHERE currency IS NOT NULL
 GROUP BY wallet_id, user_id, currency;
CREATE UNIQUE INDEX wallet_balances_wallet ON wallet_balances (wallet_id, currency);
CREATE INDEX wallet_balances_user ON wallet_balances (user_id);
COMMENT ON MATERIALIZED VIEW wallet_balances IS
  'Balances by wallet and currency as of the last refresh, whose time is in wallet_balances_refreshed; as they are now '
  'they are in wallet_snapshots.';

-- When the view was last filled.  Whatever is visible in `contains` is in it; later events may be.
CREATE TABLE wallet_balances_refreshed (
    one          BOOLEAN     PRIMARY KEY DEFAULT true CHECK (one),
    refreshed_at TIMESTAMPTZ NOT NULL,
    contains     pg_snapshot NOT NULL
);
INSERT INTO wallet_balances_refreshed (refreshed_at, contains) VALUES (clock_timestamp(), pg_current_snapshot());

-- Refreshes the view, unless it is younger than that or somebody else is at it; true when it did.  Only its owner may
-- refresh a view: this has the owner's rights.  Readers go on, but for the first fill, which has nothing to compare with;
-- the projector goes on beside it, so it takes one core, not all, and memory, not an index in random order.
CREATE FUNCTION refresh_wallet_balances(unless_younger_than INTERVAL DEFAULT '0') RETURNS BOOLEAN LANGUAGE plpgsql
  SET max_parallel_workers_per_gather = 0 SET work_mem = '64MB' AS $$
DECLARE
    began_at TIMESTAMPTZ;
    seen pg_snapshot;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ledger-streams wallet_balances ' || current_schema(), 0)) THEN
        RETURN false;
    END IF;
    began_at := clock_timestamp();
    IF EXISTS (SELECT FROM wallet_balances_refreshed
                WHERE refreshed_at > began_at - unless_younger_than AND refreshed_at <= began_at) THEN
        RETURN false;
    END IF;
    seen := pg_current_snapshot();
    IF EXISTS (SELECT FROM wallet_balances) THEN
        REFRESH MATERIALIZED VIEW CONCURRENTLY wallet_balances;
    ELSE
        REFRESH MATERIALIZED VIEW wallet_balances;
    END IF;
    UPDATE wallet_balances_refreshed SET refreshed_at = began_at, contains = seen;
    RETURN true;
END
$$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION refresh_wallet_balances(interval) SECURITY DEFINER SET search_path = %I, pg_temp',
                   current_schema());
    REVOKE ALL ON FUNCTION refresh_wallet_balances(interval) FROM PUBLIC;
END
$$;

-- Double entry: what a statement adds to, changes in or takes from an event's postings sums to zero in each currency.  Once
-- a statement, of the rows that it touched: legs of an event are written together, and a leg alone is refused.
CREATE FUNCTION postings_sum_to_zero() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong RECORD;
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT event_id, currency, sum(amount_minor) AS too_much INTO wrong
          FROM added GROUP BY event_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT event_id, currency, -sum(amount_minor) AS too_much INTO wrong
          FROM removed GROUP BY event_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    ELSE
        SELECT event_id, currency, sum(amount_minor) AS too_much INTO wrong
          FROM (SELECT event_id, currency, amount_minor FROM added
                 UNION ALL SELECT event_id, currency, -amount_minor FROM removed) AS changed
         GROUP BY event_id, currency HAVING sum(amount_minor) <> 0 LIMIT 1;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE check_violation USING
            MESSAGE = format('postings of event %s do not sum to zero: %s minor units of %s too much',
                             wrong.event_id, wrong.too_much, wrong.currency),
            TABLE = 'postings', HINT = 'Write, change or delete all legs of an event in one statement.';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER postings_added AFTER INSERT ON postings
   REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION postings_sum_to_zero();
CREATE TRIGGER postings_changed AFTER UPDATE ON postings
   REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION postings_sum_to_zero();
CREATE TRIGGER postings_removed AFTER DELETE ON postings
   REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION postings_sum_to_zero();
