"""Connection to Kafka: combinations of settings, aiokafka's parameters, and error messages."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import aiokafka.errors as kafka_errors
import pytest
from aiohttp import web

from ledger_streams.errors import Unavailable
from ledger_streams.kafka.client_options import ClientOptions, explained, options, refusal
from ledger_streams.kafka.oauth_tokens import FileTokens, OidcTokens
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

PLAIN = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_user": "ann", "kafka_sasl_password": "secret"}
TOKENS = {"kafka_security": "sasl_ssl", "kafka_sasl_mechanism": "OAUTHBEARER"}
OIDC = {"kafka_token_url": "http://i", "kafka_token_client_id": "c", "kafka_token_client_secret": "s"}


def told(**changes: str) -> Settings:
    return Settings.model_validate(changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kafka_ca": "ca.pem"}, "LEDGER_KAFKA_CA needs TLS: set LEDGER_KAFKA_SECURITY to ssl or sasl_ssl"),
        ({"kafka_security": "ssl", "kafka_key": "k"}, "LEDGER_KAFKA_KEY needs LEDGER_KAFKA_CERTIFICATE"),
        ({"kafka_security": "ssl", "kafka_key_password": "k"}, "_KEY_PASSWORD needs LEDGER_KAFKA_CERT"),
        ({"kafka_sasl_user": "ann"}, "LEDGER_KAFKA_SASL_USER needs SASL: set LEDGER_KAFKA_SECURITY"),
        ({"kafka_security": "sasl_ssl"}, "sasl_ssl needs LEDGER_KAFKA_SASL_MECHANISM: PLAIN, SCRAM-SHA-256"),
        ({"kafka_security": "ssl", "kafka_token_file": "t"}, "LEDGER_KAFKA_TOKEN_FILE needs SASL"),
        (PLAIN | {"kafka_security": "sasl_ssl", "kafka_sasl_password": ""}, "PLAIN needs .*_SASL_PASSWORD"),
        (PLAIN | {"kafka_security": "sasl_ssl", "kafka_token_file": "t"}, "_TOKEN_FILE needs .* OAUTHBEARER"),
        (TOKENS, "either LEDGER_KAFKA_TOKEN_FILE or LEDGER_KAFKA_TOKEN_URL"),
        (TOKENS | {"kafka_token_file": "t", "kafka_token_url": "u"}, "either LEDGER_KAFKA_TOKEN_FILE or"),
        (TOKENS | {"kafka_token_url": "u"}, "LEDGER_KAFKA_TOKEN_URL needs LEDGER_KAFKA_TOKEN_CLIENT_ID"),
        (TOKENS | {"kafka_token_file": "t", "kafka_token_scope": "s"}, "_TOKEN_SCOPE needs .*_TOKEN_URL"),
        (TOKENS | {"kafka_token_file": "t", "kafka_sasl_user": "u"}, "LEDGER_KAFKA_SASL_USER is not used"),
        ({"kafka_security": "tls"}, "kafka_security"),
    ],
)
def test_a_combination_that_cannot_work_names_the_setting(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        told(**changes)


def test_secrets_are_not_shown() -> None:
    settings = told(kafka_security="sasl_ssl", **PLAIN)
    oidc = told(**(TOKENS | OIDC | {"kafka_token_client_secret": "secret"}))
    shown = f"{settings!r} {client_options(settings)!r} {oidc!r} {client_options(oidc)!r}"
    assert "secret" not in shown.replace("kafka_token_client_secret", "")


def test_by_default_kafka_is_reached_by_its_address_alone() -> None:
    expected = {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}
    assert options(client_options(told(kafka="a:1,b:2"))) == options("a:1,b:2") == expected


def test_sasl_over_tls_is_passed_to_aiokafka() -> None:
    said = options(client_options(told(kafka_security="sasl_ssl", **PLAIN)))
    context = said.pop("ssl_context")
    assert isinstance(context, ssl.SSLContext) and context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert said | {"bootstrap_servers": ""} == {
        "bootstrap_servers": "",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "ann",
        "sasl_plain_password": "secret",
    }


def test_one_tls_context_serves_all_clients_of_a_process() -> None:
    settings = told(kafka_security="ssl")
    once, again = (options(client_options(settings))["ssl_context"] for _ in range(2))
    assert once is again


def test_unreadable_tls_files_are_reported_with_their_settings(tmp_path: Path) -> None:
    settings = told(kafka_security="ssl", kafka_ca=str(tmp_path / "none.pem"))
    with pytest.raises(Unavailable, match="check LEDGER_KAFKA_CA"):
        options(client_options(settings))


async def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = options(client_options(told(**(TOKENS | {"kafka_token_file": str(file)}))))[
        "sasl_oauth_token_provider"
    ]
    for text in ("one", "two"):
        file.write_text(f"{text}\n")
        assert await tokens.token() == text
    file.write_text(" \n")
    with pytest.raises(kafka_errors.AuthenticationFailedError, match=r"LEDGER_KAFKA_TOKEN_FILE .* is empty"):
        await tokens.token()
    with pytest.raises(kafka_errors.AuthenticationFailedError, match=r"LEDGER_KAFKA_TOKEN_FILE .*No such"):
        await FileTokens(str(tmp_path / "none")).token()


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    """A token endpoint that gives a number to whoever has the secret, good for the seconds of its scope."""
    given = iter(range(1, 10))

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        who = b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        if form["grant_type"] != "client_credentials" or who != "ledger:secret":
            return web.Response(status=401)
        return web.json_response({"access_token": str(next(given)), "expires_in": int(str(form["scope"]))})

    app = web.Application()
    app.router.add_post("/token", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    await runner.cleanup()


async def test_a_requested_token_is_kept_while_it_is_valid(endpoint: str) -> None:
    kept = OidcTokens(endpoint, "ledger", "secret", "3600")
    assert [await kept.token(), await kept.token()] == ["1", "1"]
    short = OidcTokens(endpoint, "ledger", "secret", "-1")
    assert [await short.token(), await short.token()] == ["2", "3"]


async def test_a_token_endpoint_s_refusal_names_the_settings(endpoint: str) -> None:
    with pytest.raises(kafka_errors.AuthenticationFailedError, match=r"answered 401: .*_TOKEN_CLIENT_SECRET"):
        await OidcTokens(endpoint, "ledger", "wrong", "1").token()
    with pytest.raises(kafka_errors.AuthenticationFailedError, match=r"LEDGER_KAFKA_TOKEN_URL .* no token"):
        await OidcTokens("http://127.0.0.1:1/", "ledger", "secret").token()


@pytest.mark.parametrize(
    ("error", "setting"),
    [
        (kafka_errors.SaslAuthenticationFailed("no"), "LEDGER_KAFKA_SASL_USER and _SASL_PASSWORD"),
        (kafka_errors.UnsupportedSaslMechanismError("only SCRAM"), "LEDGER_KAFKA_SASL_MECHANISM PLAIN"),
        (kafka_errors.IllegalSaslStateError(), "LEDGER_KAFKA_SECURITY is sasl_plaintext"),
        (kafka_errors.KafkaConnectionError("closed"), "LEDGER_KAFKA_SECURITY is sasl_plaintext"),
        (ssl.SSLCertVerificationError("no"), "LEDGER_KAFKA_CA"),
        (ssl.SSLError("no"), "LEDGER_KAFKA_CERTIFICATE"),
        (ConnectionRefusedError(111, "refused"), None),
        (TimeoutError(), None),
    ],
)
def test_a_connection_error_names_the_setting_to_change(error: Exception, setting: str | None) -> None:
    client = ClientOptions("a:1", protocol="SASL_PLAINTEXT", mechanism="PLAIN", user="ann", password="x")
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "self-signed certificate in certificate chain"
    sentence = explained(client, error)
    assert (sentence is None) if setting is None else (sentence is not None and setting in sentence)


async def test_an_invalid_token_endpoint_is_named_without_the_secret() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-none\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(kafka_errors.AuthenticationFailedError, match="gave no token") as raised:
            await OidcTokens(url, "ledger", "secret").token()
    assert "Authorization" not in f"{raised.value!r} {raised.value.__cause__!r}"


async def test_an_address_without_a_port_has_kafka_s_own() -> None:
    assert await refusal("127.0.0.1") is None
