-- name: refresh
-- True when it did; false when it is younger than $1 seconds, or somebody else is at it.
SELECT refresh_wallet_balances(make_interval(secs => $1));

-- name: refreshed_at
SELECT refreshed_at FROM wallet_balances_refreshed;
