"""Client options: the address, TLS and SASL of every Kafka client, said in one place.

`options(bootstrap)` are the keyword arguments that any client of aiokafka takes, and no other module
passes `bootstrap_servers`.  A plain string is an address without TLS and SASL, as of the tests' stack;
the system's own clients get `ClientOptions`, made of the settings by `client_options`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import aiokafka.errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.metadata import MetadataRequest

from ledger_streams.errors import Unavailable
from ledger_streams.kafka.missing_rights import missing_right
from ledger_streams.kafka.oauth_tokens import TokenProvider
from ledger_streams.setting_checks import host_and_port

PROBE_TIMEOUT_MS: Final = 5_000
NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""OpenSSL's words for an answer that is not TLS."""
KEPT: Final = (
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_oauth_token_provider",
)
"""Arguments that a client of aiokafka keeps, as private attributes of the same names."""
UNENCRYPTED: Final = frozenset({"PLAINTEXT", "SASL_PLAINTEXT"})


@dataclass(frozen=True)
class ClientOptions:
    """How a cluster is reached; `protocol` and `mechanism` are Kafka's own words."""

    bootstrap: str
    protocol: str = "PLAINTEXT"
    ca: str = ""
    """File of the authorities that a broker's certificate is checked against; empty: the system's."""
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    tokens: TokenProvider | None = None

    @cached_property
    def arguments(self) -> Mapping[str, Any]:
        """Keyword arguments of aiokafka's clients; the TLS context is made once for all of them."""
        arguments: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            arguments["ssl_context"] = self._ssl_context()
        if self.protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = self.mechanism
            if self.tokens is not None:
                arguments["sasl_oauth_token_provider"] = self.tokens
            else:
                arguments |= {"sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return arguments

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context: ssl.SSLContext = create_ssl_context(
                cafile=self.ca or None,
                certfile=self.certificate or None,
                keyfile=self.key or None,
                password=self.key_password or None,
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            files = "LEDGER_KAFKA_CA, LEDGER_KAFKA_CERTIFICATE, LEDGER_KAFKA_KEY or LEDGER_KAFKA_KEY_PASSWORD"
            detail = f"the files of TLS cannot be used, check {files}: {error}"
            raise Unavailable(dependency="kafka", detail=detail) from error
        return context


Bootstrap: TypeAlias = str | ClientOptions
"""Where a cluster is; a string is its address, without TLS and SASL."""


def options(bootstrap: Bootstrap) -> dict[str, Any]:
    """Return the keyword arguments with which a client of aiokafka reaches the cluster."""
    return dict(_full(bootstrap).arguments)


def options_of(client: AIOKafkaClient) -> dict[str, Any]:
    """Return the keyword arguments of a client that is to reach the cluster as this one does."""
    kept = {name: getattr(client, f"_{name}") for name in KEPT}
    return {"bootstrap_servers": client._bootstrap_servers, **kept}


async def unavailable(bootstrap: Bootstrap, error: BaseException) -> Unavailable:
    """Return the error for callers: the setting to change if Kafka refuses this client, else `error`."""
    detail = missing_right(error) or await refusal(bootstrap) or f"{type(error).__name__}: {error}"
    return Unavailable(dependency="kafka", detail=detail)


async def refusal(bootstrap: Bootstrap) -> str | None:
    """Say why Kafka refuses this client, and which setting to change; None if it does not, or is away.

    One broker that lets it in is enough: another one may be about to stop or to start.
    """
    full = _full(bootstrap)
    refused: str | None = None
    connecting = {name: value for name, value in full.arguments.items() if name != "bootstrap_servers"}
    for address in full.bootstrap.split(","):
        host, port = host_and_port(address)
        try:
            connection = await create_conn(host, port, request_timeout_ms=PROBE_TIMEOUT_MS, **connecting)
            try:
                await connection.send(MetadataRequest([]))  # without SASL, only this is refused
            finally:
                connection.close()
        except (OSError, TimeoutError, kafka_errors.KafkaError) as error:
            if refused is None and (sentence := explained(full, error)) is not None:
                refused = f"{host}:{port}: {sentence}"
        else:
            return None
    return refused


def explained(client: ClientOptions, error: BaseException) -> str | None:
    """Say which setting mends a connection's failure; None if no setting is at fault."""
    security = f"LEDGER_KAFKA_SECURITY is {client.protocol.lower()}"
    sentence = None
    if isinstance(error, ssl.SSLError):
        sentence = _of_tls(error, security)
    elif isinstance(error, kafka_errors.UnsupportedSaslMechanismError):
        sentence = f"the broker does not offer LEDGER_KAFKA_SASL_MECHANISM {client.mechanism}: {error}"
    elif isinstance(error, kafka_errors.IllegalSaslStateError):
        sentence = f"the broker wants no SASL there, and {security}"
    elif isinstance(error, kafka_errors.AuthenticationFailedError | kafka_errors.SaslAuthenticationFailed):
        source = "LEDGER_KAFKA_TOKEN_*" if client.tokens else "LEDGER_KAFKA_SASL_USER and _SASL_PASSWORD"
        sentence = f"authentication failed ({error}): check {source}"
    elif isinstance(error, ConnectionResetError | kafka_errors.KafkaConnectionError):
        wants = "want TLS or SASL" if client.protocol in UNENCRYPTED else "not speak TLS"
        sentence = f"the broker closed the connection; it may {wants}, and {security} ({error})"
    return sentence


def _of_tls(error: ssl.SSLError, security: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        where = "LEDGER_KAFKA_CA to the file of the authority that signed it"
        if "mismatch" in error.verify_message:
            where = "LEDGER_KAFKA to the names that it was made for"
        return f"the broker's certificate is not trusted ({error.verify_message}): set {where}"
    reason = getattr(error, "reason", None)  # OpenSSL's word; an error that Python makes has none
    if reason in NOT_TLS:
        return f"the broker does not speak TLS there, and {security}"
    files = "LEDGER_KAFKA_CA, LEDGER_KAFKA_CERTIFICATE and LEDGER_KAFKA_KEY"
    return f"TLS failed ({reason or error}): check {files}"


def _full(bootstrap: Bootstrap) -> ClientOptions:
    return ClientOptions(bootstrap) if isinstance(bootstrap, str) else bootstrap
