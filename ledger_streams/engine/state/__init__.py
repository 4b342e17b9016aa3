"""State: tables in RocksDB, their changelogs, timers and takeover."""
