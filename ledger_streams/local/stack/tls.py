"""TLS of the local stack: a certificate authority, one server certificate, and Kafka's users.

The files are in the folder `tls` of the stack, which only its owner may enter.  A stack with this folder
serves TLS until the folder is removed.  Keep the authority's key secret: with it, anybody could
impersonate the servers.
"""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from ledger_streams.kafka.client_options import ClientOptions
from ledger_streams.local.stack.install import Say, program, run
from ledger_streams.settings import Settings

ADMIN: Final = "admin"
"""User of the brokers and of the administrator; it has all rights."""
USERS: Final = (ADMIN, "worker", "projector", "gateway", "api", "operator", "payments")
"""The administrator, and one user per role of `topics acls`."""
DAYS: Final = "3650"
NAMES: Final = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Tls:
    """Certificates, keys and users of one stack."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Return the file of the authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        """Return the file of the servers' certificate."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """Return the file of the servers' key."""
        return self.folder / "server.key"

    @property
    def keystore(self) -> Path:
        """Return the file with key and certificate, in the format for Kafka."""
        return self.folder / "server.keystore.pem"

    @cached_property
    def users(self) -> Mapping[str, str]:
        """Passwords of Kafka's users."""
        lines = (self.folder / "users").read_text().splitlines()
        return dict(line.split(" ", 1) for line in lines)

    @property
    def context(self) -> ssl.SSLContext:
        """Return an SSL context that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.ca))

    def admin(self, address: str) -> ClientOptions:
        """Return the client options of Kafka's administrator."""
        return ClientOptions(
            address,
            protocol="SASL_SSL",
            ca=str(self.ca),
            mechanism="PLAIN",
            user=ADMIN,
            password=self.users[ADMIN],
        )

    def settings(self, plain: Settings, user: str = ADMIN) -> dict[str, str]:
        """Return the settings that differ from `plain` on this stack, for one of Kafka's users."""
        return {
            "kafka_security": "sasl_ssl",
            "kafka_ca": str(self.ca),
            "kafka_sasl_mechanism": "PLAIN",
            "kafka_sasl_user": user,
            "kafka_sasl_password": self.users[user],
            "postgres": _with(plain.postgres, sslmode="verify-full", sslrootcert=self.ca),
            "redis": _with(plain.redis, ssl_ca_certs=self.ca).replace("redis://", "rediss://", 1),
        }


def tls(stack: Path) -> Tls | None:
    """Return the TLS files of the stack; None if it serves no TLS."""
    found = Tls(stack / "tls")
    return found if found.ca.is_file() else None


def create_tls(stack: Path, say: Say) -> Tls:
    """Create authority, certificate and users unless they exist; the authority's file is created last."""
    made = Tls(stack / "tls")
    if made.ca.is_file():
        return made
    made.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.folder.chmod(0o700)
    say(f"tls: creating an authority and a certificate in {made.folder}")
    openssl, authority = program("openssl", package="openssl", dependency="tls", say=say), "ca.new"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", DAYS]
    new = [openssl, "req", "-x509", *curve]
    run(
        [*new, "-subj", "/CN=ledger-streams local", "-keyout", "ca.key", "-out", authority],
        dependency="tls",
        cwd=made.folder,
    )
    server = ["-subj", "/CN=localhost", "-addext", NAMES, "-addext", "basicConstraints=critical,CA:FALSE"]
    signed = ["-CA", authority, "-CAkey", "ca.key", "-keyout", made.key.name, "-out", made.certificate.name]
    run([*new, *server, *signed], dependency="tls", cwd=made.folder)
    made.keystore.write_text(made.key.read_text() + made.certificate.read_text())
    passwords = [f"{user} {secrets.token_urlsafe(18)}\n" for user in USERS]
    (made.folder / "users").write_text("".join(passwords))
    for file in made.folder.iterdir():
        file.chmod(0o600)
    (made.folder / authority).rename(made.ca)
    return made


def write_secret(path: Path, text: str) -> bool:
    """Write a file with mode 0600 if its content differs; return True if it was written."""
    if path.is_file() and path.read_text() == text:
        return False
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    path.chmod(0o600)
    return True


def _with(url: str, **parameters: object) -> str:
    """Return the URL with these query parameters set."""
    parts = urlsplit(url)
    given = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in parameters]
    added = [f"{name}={quote(str(value), safe='/')}" for name, value in parameters.items()]
    return parts._replace(query="&".join([*given, *added])).geturl()
