-- name: snapshots
-- All wallets as the read model has them.
SELECT wallet_id::text, user_id::text, status, last_event_version, balances, as_of
  FROM wallet_snapshots
 ORDER BY wallet_id;

-- name: snapshots_of
SELECT wallet_id::text, user_id::text, status, last_event_version, balances, as_of
  FROM wallet_snapshots
 WHERE wallet_id = ANY($1::uuid[]);
