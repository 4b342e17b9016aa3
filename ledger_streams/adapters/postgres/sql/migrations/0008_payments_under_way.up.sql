-- Which payments have not ended is asked every few seconds; this has those alone.
CREATE INDEX payments_under_way ON payments (requested_at) WHERE ended_at IS NULL;
