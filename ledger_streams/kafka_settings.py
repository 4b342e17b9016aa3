"""Settings of how Kafka is reached: TLS, SASL and tokens, beside the address.

Combinations that cannot work are refused when the settings are read, in a sentence that names the
setting; `client_options` is the one way from settings to a client.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ledger_streams.kafka.client_options import ClientOptions
from ledger_streams.kafka.oauth_tokens import FileTokens, OidcTokens, TokenProvider

TOKENS: Final = "OAUTHBEARER"
OF_TLS: Final = ("kafka_ca", "kafka_certificate", "kafka_key", "kafka_key_password")
OF_PASSWORDS: Final = ("kafka_sasl_user", "kafka_sasl_password")
OF_OIDC: Final = ("kafka_token_url", "kafka_token_client_id", "kafka_token_client_secret")
OF_TOKENS: Final = ("kafka_token_file", *OF_OIDC, "kafka_token_scope")


class KafkaSettings(BaseSettings):
    """Connection settings of every Kafka client; `Settings` inherits them."""

    model_config = SettingsConfigDict(env_prefix="LEDGER_", frozen=True, extra="ignore", allow_inf_nan=False)

    kafka: str = Field(
        "127.0.0.1:29092",
        description="bootstrap servers of Kafka, host:port, comma separated; `stack up` starts one on each",
    )
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="protocol of all clients of Kafka: with or without TLS, with or without SASL"
    )
    kafka_ca: str = Field(
        "", description="PEM file of the authority of the brokers' certificates; empty: the system's"
    )
    kafka_certificate: str = Field("", description="PEM file of the client's own certificate; empty: none")
    kafka_key: str = Field("", description="PEM file of that certificate's key; empty: in the same file")
    kafka_key_password: str = Field("", repr=False, description="password of an encrypted key")
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="how a client authenticates with SASL"
    )
    kafka_sasl_user: str = Field("", description="user name of PLAIN and SCRAM")
    kafka_sasl_password: str = Field("", repr=False, description="password of PLAIN and SCRAM")
    kafka_token_file: str = Field(
        "", description="OAUTHBEARER: file with the token, read at each connection; something else renews it"
    )
    kafka_token_url: str = Field(
        "", description="OAUTHBEARER: OIDC token endpoint, asked with the client credentials grant"
    )
    kafka_token_client_id: str = Field("", description="client id at the token endpoint")
    kafka_token_client_secret: str = Field("", repr=False, description="client secret at the token endpoint")
    kafka_token_scope: str = Field("", description="scope asked for at the token endpoint; empty: none")

    @model_validator(mode="after")
    def _security_can_work(self) -> Self:
        problem = self._problem_of_tls() or self._problem_of_sasl()
        if problem is not None:
            raise ValueError(problem)
        return self

    def _problem_of_tls(self) -> str | None:
        if not self.kafka_security.endswith("ssl") and (given := self._given(OF_TLS)):
            return (
                f"{given} needs TLS: set LEDGER_KAFKA_SECURITY to ssl or sasl_ssl, not {self.kafka_security}"
            )
        if self.kafka_key and not self.kafka_certificate:
            return "LEDGER_KAFKA_KEY needs LEDGER_KAFKA_CERTIFICATE"
        if self.kafka_key_password and not self.kafka_certificate:
            return "LEDGER_KAFKA_KEY_PASSWORD needs LEDGER_KAFKA_CERTIFICATE"
        return None

    def _problem_of_sasl(self) -> str | None:
        mechanism, security = self.kafka_sasl_mechanism, self.kafka_security
        if not security.startswith("sasl"):
            given = self._given(("kafka_sasl_mechanism", *OF_PASSWORDS, *OF_TOKENS))
            wanted = "set LEDGER_KAFKA_SECURITY to sasl_ssl or sasl_plaintext"
            return f"{given} needs SASL: {wanted}, not {security}" if given else None
        if not mechanism:
            mechanisms = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            return f"LEDGER_KAFKA_SECURITY {security} needs LEDGER_KAFKA_SASL_MECHANISM: {mechanisms}"
        if mechanism == TOKENS:
            return self._problem_of_tokens()
        if given := self._given(OF_TOKENS):
            return f"{given} needs LEDGER_KAFKA_SASL_MECHANISM OAUTHBEARER, not {mechanism}"
        if missing := self._missing(OF_PASSWORDS):
            return f"LEDGER_KAFKA_SASL_MECHANISM {mechanism} needs {missing}"
        return None

    def _problem_of_tokens(self) -> str | None:
        if given := self._given(OF_PASSWORDS):
            return f"{given} is not used with OAUTHBEARER: leave it out, or set another mechanism"
        if bool(self.kafka_token_file) == bool(self.kafka_token_url):
            return "OAUTHBEARER needs either LEDGER_KAFKA_TOKEN_FILE or LEDGER_KAFKA_TOKEN_URL"
        if self.kafka_token_file:
            given = self._given(OF_TOKENS[1:])
            return f"{given} needs LEDGER_KAFKA_TOKEN_URL" if given else None
        missing = self._missing(OF_OIDC)
        return f"LEDGER_KAFKA_TOKEN_URL needs {missing}" if missing else None

    def _given(self, names: tuple[str, ...]) -> str:
        return next((_setting(name) for name in names if getattr(self, name)), "")

    def _missing(self, names: tuple[str, ...]) -> str:
        return next((_setting(name) for name in names if not getattr(self, name)), "")


def client_options(settings: KafkaSettings) -> ClientOptions:
    """Return how every client of ours reaches Kafka; one for all of a process, with one TLS context."""
    names = [name for name in KafkaSettings.model_fields if name.startswith("kafka")]
    return _options(tuple((name, getattr(settings, name)) for name in names))


@lru_cache(maxsize=64)
def _options(told: tuple[tuple[str, Any], ...]) -> ClientOptions:
    said = dict(told)
    return ClientOptions(
        bootstrap=said["kafka"],
        protocol=said["kafka_security"].upper(),
        ca=said["kafka_ca"],
        certificate=said["kafka_certificate"],
        key=said["kafka_key"],
        key_password=said["kafka_key_password"],
        mechanism=said["kafka_sasl_mechanism"],
        user=said["kafka_sasl_user"],
        password=said["kafka_sasl_password"],
        tokens=_tokens(said),
    )


def _tokens(said: dict[str, Any]) -> TokenProvider | None:
    if said["kafka_sasl_mechanism"] != TOKENS:
        return None
    if said["kafka_token_file"]:
        return FileTokens(said["kafka_token_file"])
    return OidcTokens(
        said["kafka_token_url"],
        said["kafka_token_client_id"],
        said["kafka_token_client_secret"],
        said["kafka_token_scope"],
    )


def _setting(name: str) -> str:
    return f"LEDGER_{name.upper()}"
