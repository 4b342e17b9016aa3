DROP FUNCTION refresh_wallet_balances(interval);
DROP TABLE wallet_balances_refreshed;
DROP MATERIALIZED VIEW wallet_balances;
