"""The local stack: real Kafka, PostgreSQL (with PgBouncer) and Redis, for a machine without containers.

`up` starts what is not running, `down` stops it, `status` looks.  Each server is a
detached child with its own folder below `Settings.home`/stack, listening on the
loopback at the addresses of the Settings, so a second home with other addresses is
a second stack beside the first.  The three calls block; from a coroutine, use
`asyncio.to_thread`.
"""

from ledger_streams.local.stack.lifecycle import ServerStatus, down, exports, open_backups, status, up

__all__ = ["ServerStatus", "down", "exports", "open_backups", "status", "up"]
