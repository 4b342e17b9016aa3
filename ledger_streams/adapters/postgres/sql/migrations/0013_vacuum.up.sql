-- Rows that are only ever added are vacuumed while they are new: after each 2 % more, not 20 %.  What is
-- updated with every cycle is small, and is cleared before its pages grow.
ALTER TABLE wallet_events SET (autovacuum_vacuum_insert_threshold = 50000, autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE postings SET (autovacuum_vacuum_insert_threshold = 50000, autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE wallet_snapshots SET (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE projection_positions SET (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
