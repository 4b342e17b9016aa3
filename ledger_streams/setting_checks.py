"""Checks of the LEDGER_* variables, and the error text of each wrong one.

An unknown name is an error that suggests the nearest setting: a misspelt setting would otherwise
silently have its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from ledger_streams.domain.payment import PROVIDER_CHARACTERS_MAX
from ledger_streams.postgres_tuning import bytes_of

PREFIX: Final = "LEDGER_"
NAMES_OF_OTHERS: Final = frozenset(
    {
        "LEDGER_URL",  # of commands that ask a worker over HTTP
        "LEDGER_GOLDEN",  # of tests: write golden files anew
        # of ledger and hledger, plain-text accounting
        "LEDGER_FILE", "LEDGER_INIT", "LEDGER_PRICE_DB", "LEDGER_PRICEDB", "LEDGER_PRICES", "LEDGER_CACHE",
        "LEDGER_ACCOUNT", "LEDGER_CURRENCY", "LEDGER_DEPTH", "LEDGER_PAGER", "LEDGER_STRICT",
    }
)  # fmt: skip
"""Variables that are no settings; ignored."""
SERVICE_LINK: Final = re.compile(r"LEDGER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)")
"""Kubernetes sets these for a service named ledger or ledger-something."""
LINK_URL: Final = re.compile(r"(tcp|udp|sctp)://|[\d.:a-fA-F]+$|(tcp|udp|sctp)$")
LOG_LEVELS: Final = ("CRIT", "CRITICAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG")
PORT_MAX: Final = 65_535
KAFKA_PORT: Final = 9_092
SECRET: Final = frozenset({"postgres", "postgres_admin", "redis", "audit_key", "providers"})
"""Settings that may contain a password; messages do not repeat them."""


def unknown_names(environment: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Return an error text for each unknown LEDGER_* name; `known` are names of settings."""
    names = {f"{PREFIX}{name}".upper() for name in known}
    found = []
    for name, value in sorted(environment.items()):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in names or upper in NAMES_OF_OTHERS:
            continue
        if SERVICE_LINK.fullmatch(upper) and LINK_URL.match(value):
            continue
        found.append(f"{name} is not a setting{_nearest(upper, names)}")
    return found


def _nearest(name: str, names: Collection[str]) -> str:
    plain = {known.replace("_", ""): known for known in names}
    near = get_close_matches(name.replace("_", ""), list(plain), n=1, cutoff=0.0)
    return f"; the nearest one is {plain[near[0]]}" if near else ""


def postgres_url(text: str) -> str:
    """Return a DSN; raises ValueError unless it is like postgresql://user@host:5432/database."""
    return _url(text, ("postgresql", "postgres"), "postgresql://user@host:5432/database")


def redis_url(text: str) -> str:
    """Return a URL; raises ValueError unless it is like redis://host:6379/0."""
    return _url(text, ("redis", "rediss", "unix"), "redis://host:6379/0")


def addresses(text: str) -> str:
    """Return bootstrap servers; raises ValueError unless they are host:port, comma separated."""
    for part in text.split(","):
        if not _is_address(part.strip()):
            raise ValueError(f"must be host:port, comma separated; {part.strip()!r} is not")
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """Return host and port of one address of LEDGER_KAFKA; the default port is Kafka's."""
    host, _, port = text.strip().rpartition(":") if _has_port(text.strip()) else (text.strip(), "", "")
    return host.strip("[]"), int(port or KAFKA_PORT)


def address(text: str) -> str:
    """Return an address or an empty text; raises ValueError for anything else than host:port."""
    if text and not (_is_address(text) and _has_port(text)):
        raise ValueError("must be host:port, or empty")
    return text


def memory(text: str) -> str:
    """Return a size or an empty text; raises ValueError for anything else than 32GB or 512MB."""
    if text:
        bytes_of(text)
    return text


def name_of_part(text: str) -> str:
    """Return a name that is valid in folder names, group ids and transactional ids; raises ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise ValueError("must be 1 to 100 of A-Z a-z 0-9 . _ -, the first a letter or digit")
    return text


def prefix_of_topics(text: str) -> str:
    """Return a prefix of topic names; raises ValueError for characters that Kafka does not allow."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,100}", text):
        raise ValueError("must be at most 100 of A-Z a-z 0-9 . _ -")
    return text


def log_level(text: str) -> str:
    """Return the level; raises ValueError for an unknown level."""
    if text.upper() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text


def _url(text: str, schemes: Collection[str], like: str) -> str:
    try:
        parts = urlsplit(text)
        hosts = parts.netloc.rpartition("@")[2].split(",")
        well = parts.scheme in schemes and all(not host or _is_address(host) for host in hosts)
    except ValueError:
        well = False
    if not well:
        raise ValueError(f"must be a URL like {like}")
    return text


def _has_port(text: str) -> bool:
    return re.search(r":\d+$", text) is not None


def _is_address(text: str) -> bool:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:/@\[\],]+)(?::(\d{1,5}))?", text)
    return match is not None and (match[2] is None or 1 <= int(match[2]) <= PORT_MAX)


def base_urls(text: str) -> dict[str, str]:
    """Read `name=url,name=url`; raises ValueError that names the wrong part and its problem."""
    base_urls: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = (piece.strip() for piece in part.partition("="))
        problem = _problem_of(name, url) if equals else "must be name=url"
        if problem is None and name in base_urls:
            problem = "names a provider twice"
        if problem is not None:
            raise ValueError(f"LEDGER_PROVIDERS: {part!r} {problem}")
        base_urls[name] = url.rstrip("/")
    return base_urls


def _problem_of(name: str, url: str) -> str | None:
    if not 1 <= len(name) <= PROVIDER_CHARACTERS_MAX:
        return f"must have a name of 1 to {PROVIDER_CHARACTERS_MAX} characters"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        return "must have a URL like http://host:port/path"
    return None


def sentence(error: Mapping[str, Any]) -> str:
    """Return the error text of a wrong setting, with the allowed values and without secrets."""
    said = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if not error["loc"] or said.startswith("LEDGER_"):
        return said  # an error of several settings: its input is all of them, with their passwords
    name = str(error["loc"][0])
    given = "" if name in SECRET else f" is {str(error['input'])!r}, which"
    return f"LEDGER_{name.upper()}{given} {said}"


CHECKS: Final[Mapping[str, Callable[[str], object]]] = {
    "postgres": postgres_url,
    "redis": redis_url,
    "kafka": addresses,
    "pgbouncer": address,
    "postgres_memory": memory,
    "app_id": name_of_part,
    "worker_id": name_of_part,
    "topic_prefix": prefix_of_topics,
    "log_level": log_level,
    "providers": base_urls,
}
"""The check of each setting; raises ValueError for an invalid text."""
