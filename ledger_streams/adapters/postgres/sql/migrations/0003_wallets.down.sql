DROP TABLE postings;
DROP TABLE wallet_snapshots;
DROP TABLE wallet_events;
