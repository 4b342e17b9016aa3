DROP TRIGGER postings_removed ON postings;
DROP TRIGGER postings_changed ON postings;
DROP TRIGGER postings_added ON postings;
DROP FUNCTION postings_sum_to_zero();
DROP FUNCTION refresh_wallet_balances(interval);
DROP TABLE wallet_balances_refreshed;
DROP MATERIALIZED VIEW wallet_balances;
