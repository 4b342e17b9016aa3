CREATE INDEX payments_under_way ON payments (requested_at) WHERE ended_at IS NULL;
DROP INDEX payments_by_user;
DROP INDEX payments_by_target;
DROP INDEX payments_by_source;
DROP INDEX payments_by_status;
