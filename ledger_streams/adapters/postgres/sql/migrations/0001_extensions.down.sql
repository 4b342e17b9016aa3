-- Extensions stay: others of the database may use them.
SELECT 1;
