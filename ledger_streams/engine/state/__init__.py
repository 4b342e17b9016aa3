"""State of a worker: tables in RocksDB, their changelogs and timers, standby and takeover."""
