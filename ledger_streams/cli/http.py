"""GET requests to a running worker: JSON, or an error that a user can act on."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from ledger_streams.escaping import terminal_text

TIMEOUT_S: Final = 10.0
DEFAULT_URL: Final = "http://127.0.0.1:6066"

url_option = click.option(
    "--url", default=DEFAULT_URL, show_default=True, envvar="LEDGER_URL", help="Base URL of any worker."
)


def get(url: str, path: str) -> tuple[int, Any]:
    """Send GET `url` + `path`; return the status and the JSON body (None if the body is not JSON)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError(f"--url must be like {DEFAULT_URL}, got {url[:200]!r}")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise click.ClickException(
            f"no worker answers at {url} ({reason}): start one with `ledger-streams run`, or set --url"
        ) from error
    finally:
        connection.close()
    try:
        return answer.status, msgspec.json.decode(body)
    except msgspec.DecodeError:
        return answer.status, None


def get_document(url: str, path: str) -> Any:
    """Return the body of a 200; any other status ends the command with the problem document's detail."""
    status, body = get(url, path)
    if status == 200:
        return body
    problem = body if isinstance(body, dict) else {}
    said = problem.get("detail") or problem.get("title") or "no explanation"
    raise click.ClickException(f"{status}: {terminal_text(str(said))}")
