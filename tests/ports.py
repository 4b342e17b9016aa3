"""Free ports of the loopback, for processes that a test starts later.

The kernel gives ports from 32768 on to clients, so lower ones are returned: a client that retries a stopped
server from one of the kernel's ports connects to itself in the end.  A returned port stays claimed until
this process ends, by an abstract UNIX socket of that name: tests that run at the same time never share one.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack, suppress
from typing import Final

PORTS: Final = range(10_000, 25_000)
"""Below the kernel's own and below those of the stacks."""
_claims: Final[list[ExitStack]] = []


def free_port() -> int:
    """Return a port that nobody listens on."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that nobody listens on."""
    while True:
        first = PORTS.start + secrets.randbelow(len(PORTS) - count)
        with ExitStack() as claims, suppress(OSError):
            for port in range(first, first + count):
                claims.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0ledger-streams-test-port-{port}")
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
            _claims.append(claims.pop_all())
            return first
