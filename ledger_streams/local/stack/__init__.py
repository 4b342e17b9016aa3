"""The local stack: real Kafka, PostgreSQL (with PgBouncer) and Redis, for a machine without containers.

`up` starts the servers that are down, `down` stops them, `status` reports them.  Each
server is a detached process with a folder below `Settings.home`/stack and listens on the
loopback at the addresses of the Settings.  A second home with other addresses is a second
stack.  The three calls block; from a coroutine, use `asyncio.to_thread`.
"""

from ledger_streams.local.stack.lifecycle import ServerStatus, down, exports, open_backups, status, up

__all__ = ["ServerStatus", "down", "exports", "open_backups", "status", "up"]
