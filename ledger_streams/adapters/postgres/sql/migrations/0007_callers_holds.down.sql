DROP INDEX wallet_events_hold;
