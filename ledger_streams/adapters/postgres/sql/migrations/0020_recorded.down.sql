DROP INDEX wallet_events_recorded;
DROP INDEX events_recorded;
