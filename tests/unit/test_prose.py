"""Prose: the rules for docstrings, comments and log lines that a program can check.

A sentence has a concrete subject, so none begins with What, Who, Whoever or Nobody.  A log line
names its object: a value, or a noun of the system.  The tests print every text that breaks a rule.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

import pytest

from tests.unit.test_tidy import PACKAGES, assert_none, sources

FOLDERS: Final = (*PACKAGES, "benchmarks", "tests")

VAGUE_SUBJECTS: Final = re.compile(r"(?:^|[.!?]\s+)(What|Whatever|Who|Whoever|Nobody)\b(?![^.!?]*\?)")
"""A sentence that begins with one of these words; a question may."""

CHARACTERS_SHOWN: Final = 60

LOG_METHODS: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
PLACEHOLDER: Final = re.compile(r"%[-+ 0,.]*\d*(?:\.\d+)?[a-zA-Z]")
ERROR_AT_THE_END: Final = re.compile(r":\s*%[sr]\.?$")
"""The value after the last colon is the error, not the object of the line."""
VAGUE_STARTS: Final = re.compile(
    r"(?:what|who|whoever|nobody|another|it|something|all|not all)\b", re.IGNORECASE
)
OBJECTS: Final = re.compile(
    r"\b(?:Kafka|PostgreSQL|Redis|RocksDB|PgBouncer|API|brokers?|clusters?|groups?|topics?|partitions?|records?"
    r"|transactions?|producers?|consumers?|workers?|gateways?|projectors?|process|batch|batches|tables?|changelogs?"
    r"|stores?|standby|takeovers?|cache|breakers?|clocks?|database|day|offsets?|payments?|sagas?|wallets?|outcomes?"
    r"|providers?|requests?|connections?|dead letters?|snapshots?|metrics?|dependenc(?:y|ies)|repository)\b",
    re.IGNORECASE,
)
NOT_PROSE: Final = re.compile(r"^#\s*(?:noqa\S*(?: \w+\d+)*|type: ignore\S*)?\s*[#-]?")
"""The sign of a comment, and the rule that it switches off."""
WORDS_MIN: Final = 2
TOKENS_MIN: Final = 3
"""A log line has at least two words, and three with its values."""


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring, constant's string and comment; a block of comments is one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str):
                yield node.lineno, text
    yield from comments(source)


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment; whole lines of comment that follow each other are one."""
    block: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], NOT_PROSE.sub("", token.string).strip()
        is_trailing = bool(token.line[: token.start[1]].strip())
        if block and (is_trailing or line != block[-1][0] + 1):
            yield block[0][0], " ".join(part for _, part in block)
            block = []
        if is_trailing:
            yield line, text
        else:
            block.append((line, text))
    if block:
        yield block[0][0], " ".join(part for _, part in block)


def vague_sentences(source: str) -> list[tuple[int, str]]:
    """Return line and beginning of each sentence whose subject is What, Who, Whoever or Nobody."""
    found = []
    for line, text in prose(source):
        plain = " ".join(text.split())
        plain = plain[:1].upper() + plain[1:]
        found += [
            (line, plain[match.start(1) : match.start(1) + 60]) for match in VAGUE_SUBJECTS.finditer(plain)
        ]
    return found


def log_lines(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each literal first argument of a call of a logger's method."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        logger = ast.unparse(node.func.value)
        if node.func.attr in LOG_METHODS and re.search(r"\b_?log(?:ger)?$", logger):
            text = literal_text(node.args[0])
            if text is not None:
                yield node.lineno, text


def literal_text(node: ast.expr) -> str | None:
    """Return the text of a string or f-string, its values as %s; None for a text from elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return None if PLACEHOLDER.fullmatch(node.value) else node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "%s" for part in node.values)
    return None


def is_vague(text: str) -> bool:
    """Return whether a log line is too short, or names no object."""
    words = re.findall(r"[A-Za-z][\w'-]*", PLACEHOLDER.sub(" ", text))
    if len(words) < WORDS_MIN or len(text.split()) < TOKENS_MIN or VAGUE_STARTS.match(text):
        return True
    has_value = PLACEHOLDER.search(ERROR_AT_THE_END.sub("", text)) is not None
    return not has_value and OBJECTS.search(PLACEHOLDER.sub(" ", text)) is None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('"""What a worker says."""', ["What a worker says."]),
        ('X = 1\n"""Bytes.  Whoever reads it waits."""', ["Whoever reads it waits."]),
        ("# who reads waits\nx = 1  # noqa: E501  # nobody reads", ["Who reads waits", "Nobody reads"]),
        ('"""What is read?  The worker reads whatever it gets."""', []),
        ('"""A worker.\n\nWhatsoever and Whole are words."""', []),
    ],
)
def test_a_vague_subject_is_found_in_strings_and_comments(source: str, found: list[str]) -> None:
    assert [text for _, text in vague_sentences(source)] == found


@pytest.mark.parametrize(
    ("call", "vague"),
    [
        ('log.warning("cycle lost, taking over anew: %s", error)', True),
        ('log.info("%s later: %s", name, error)', True),
        ('self._log.info("not all is well: %s", wrong)', True),
        ('log.error(f"gone: {error}")', True),
        ('log.warning("Cache unavailable, %d wallets not written to it: %s", count, error)', False),
        ('log.info("Takeover ended after %.2f s", seconds)', False),
        ('log.info("Kafka unavailable, retrying")', False),
        ('log.info("%s", text)', None),
    ],
)
def test_a_log_line_without_an_object_is_found(call: str, vague: bool | None) -> None:
    assert [is_vague(text) for _, text in log_lines(call)] == ([] if vague is None else [vague])


def test_no_sentence_has_a_vague_subject() -> None:
    found = [
        f"{name}:{line} {text}"
        for name, path in sources(*FOLDERS)
        for line, text in vague_sentences(path.read_text())
    ]
    assert_none(found, "a sentence has a concrete subject, not What, Who, Whoever or Nobody")


def test_log_lines_name_their_object() -> None:
    found = [
        f"{name}:{line} {text}"
        for name, path in sources(*FOLDERS)
        for line, text in log_lines(path.read_text())
        if is_vague(text)
    ]
    assert_none(found, "a log line has three words or more, and names a value or a noun of the system")
