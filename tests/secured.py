"""A stack with TLS, users and rights, and a system on it whose processes have only their roles' rights."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger_streams import rights
from ledger_streams.kafka.acls import grant
from ledger_streams.kafka_settings import client_options
from ledger_streams.local.stack import down, up
from ledger_streams.local.stack.tls import Tls, tls
from ledger_streams.settings import Settings
from tests.conftest import ROOT, stack_settings
from tests.live import LiveSystem
from tests.ports import free_port, free_ports
from tests.stacks import remove_stack

PROCESSES: dict[str, rights.Role] = {
    "worker-1": "worker",
    "worker-2": "worker",
    "projector-1": "projector",
    "gateway-1": "gateway",
    "api-1": "api",
}


class Secured:
    """The stack, as each user sees it."""

    def __init__(self, plain: Settings, own: Tls) -> None:
        self.plain = plain
        self.tls = own

    def settings(self, user: str = "admin", **changes: Any) -> Settings:
        """Settings of a program that Kafka knows as this user."""
        return Settings.model_validate(
            self.plain.model_dump() | self.tls.settings(self.plain, user) | changes
        )

    async def grant(self, config: Settings) -> None:
        """Give each role exactly what `topics acls` says for a system."""
        entries = [acl for role in rights.ROLES for acl in rights.acls(config, role, f"User:{role}")]
        assert await grant(client_options(self.settings()), entries) == len(entries)

    def as_roles(self, live: LiveSystem) -> LiveSystem:
        """Have each process of a system be known as its role; its commands are the operator's."""
        for name, role in PROCESSES.items():
            own = {"LEDGER_KAFKA_SASL_USER": role, "LEDGER_KAFKA_SASL_PASSWORD": self.tls.users[role]}
            live.ways[name] = own
        return live


@contextmanager
def secured_stack() -> Iterator[Secured]:
    """A stack of its own, removed afterwards."""
    home = ROOT / ".ledger" / f"secured-{uuid.uuid4().hex[:8]}"
    plain = stack_settings(
        home=home,
        kafka=f"127.0.0.1:{free_ports(2)}",
        postgres=f"postgresql://ledger@127.0.0.1:{free_port()}/ledger",
        pgbouncer=f"127.0.0.1:{free_port()}",
        redis=f"redis://127.0.0.1:{free_port()}/0",
    )
    try:
        up(plain, with_tls=True)
        own = tls(Path(home) / "stack")
        assert own is not None
        yield Secured(plain, own)
    finally:
        down(plain)
        remove_stack(home)
