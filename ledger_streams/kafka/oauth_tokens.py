"""Tokens for SASL OAUTHBEARER: from a file that something else keeps fresh, or by OIDC client credentials.

A file is read at each connection, as of a sidecar or a mounted service account.  A token that was
asked for is kept until a tenth of its life is left.
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

ANSWER_S_MAX: Final = 10.0
LIFE_S_DEFAULT: Final = 300.0
"""Of a token whose endpoint does not say how long it is good."""
LIFE_USED: Final = 0.9


class TokenProvider(AbstractTokenProvider):
    """Gives a client its token when it connects."""


@dataclass(frozen=True)
class FileTokens(TokenProvider):
    """The token is what the file says now."""

    path: str

    async def token(self) -> str:
        """Return the token; raises AuthenticationFailedError, naming the setting."""
        try:
            token = (await asyncio.to_thread(Path(self.path).read_text)).strip()
        except OSError as error:
            raise AuthenticationFailedError(
                f"LEDGER_KAFKA_TOKEN_FILE {self.path}: {error.strerror}"
            ) from error
        if not token:
            raise AuthenticationFailedError(f"LEDGER_KAFKA_TOKEN_FILE {self.path} is empty")
        return token


@dataclass
class OidcTokens(TokenProvider):
    """The token of an OAuth 2 client, by the client credentials grant."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    _token: str = field(default="", repr=False)
    _good_until_s: float = 0.0

    async def token(self) -> str:
        """Return a token that is good; raises AuthenticationFailedError, naming the setting."""
        if time.monotonic() >= self._good_until_s:
            self._token, life_s = await self._ask()
            self._good_until_s = time.monotonic() + LIFE_USED * life_s
        return self._token

    async def _ask(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        who = base64.b64encode(f"{quote(self.client_id)}:{quote(self.client_secret)}".encode()).decode()
        try:
            timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                answer = await session.post(self.url, data=form, headers={"Authorization": f"Basic {who}"})
                if answer.status != 200:
                    raise AuthenticationFailedError(
                        f"LEDGER_KAFKA_TOKEN_URL {self.url} answered {answer.status}: "
                        "check LEDGER_KAFKA_TOKEN_CLIENT_ID, _TOKEN_CLIENT_SECRET and _TOKEN_SCOPE"
                    )
                body = await answer.json(content_type=None)
                return str(body["access_token"]), float(body.get("expires_in") or LIFE_S_DEFAULT)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            # neither its repr nor it as the cause: aiohttp's errors bear the headers, so the secret
            detail = f"{type(error).__name__}: {error}"
            raise AuthenticationFailedError(
                f"LEDGER_KAFKA_TOKEN_URL {self.url} gave no token: {detail}"
            ) from None
