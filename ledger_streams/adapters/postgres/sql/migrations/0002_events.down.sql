DROP FUNCTION ensure_events_partition(DATE);
DROP TABLE event_repeats;
DROP TABLE events;
