-- GET /v1/payments lists by wallet, user, status and time, the newest first: each list is read from the end of one of
-- these, once for each status.  payments_by_status has what payments_under_way had.  It is found by status COLLATE "C" only:
-- else the planner may read a busy wallet's list from it, through the payments of all.
UPDATE payments SET requested_at = ended_at WHERE requested_at IS NULL;
CREATE INDEX payments_by_status ON payments (status COLLATE "C", requested_at, payment_id);
CREATE INDEX payments_by_source ON payments (source_wallet_id, status, requested_at, payment_id)
 WHERE source_wallet_id IS NOT NULL;
CREATE INDEX payments_by_target ON payments (target_wallet_id, status, requested_at, payment_id)
 WHERE target_wallet_id IS NOT NULL;
CREATE INDEX payments_by_user ON payments (user_id, status, requested_at, payment_id) WHERE user_id IS NOT NULL;
DROP INDEX payments_under_way;
