-- The extensions the owner's stack names.  IF NOT EXISTS: where the application's
-- role may not create them, an administrator has done so before.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
