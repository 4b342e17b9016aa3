-- Without what is noted of them, archived rows would be missing in every chain.
DO $$
BEGIN
    IF EXISTS (SELECT FROM archives) THEN
        RAISE EXCEPTION 'months are archived, and this would forget them: `ledger-streams archive attach` each first';
    END IF;
END
$$;
DROP TABLE archived_events;
DROP TABLE archives;
