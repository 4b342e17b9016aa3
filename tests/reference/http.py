"""The page of HTTP: every operation of the OpenAPI document, and its schemas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.reference.markdown import anchor, code, codes, document, first_line, link, one_line, table
from web.http import openapi
from web.http.problems import CONTENT_TYPE
from web.routes import API_PAGES, HEALTH_PAGES

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden" / "problems"
Schema = Mapping[str, Any]
INTRO: Final = """\
A worker answers on port 6066 (`LEDGER_HTTP_PORT`), as does `ledger-streams api`. `GET /openapi.json` has
the content of this page as OpenAPI 3.1. Gateways and projectors answer `/health` and `/metrics` with
`--with-web`. HEAD answers as GET, without a body."""
PROBLEMS: Final = f"""\
Each answer of 400 or above is a [Problem](#problem) of type `{CONTENT_TYPE}` (RFC 9457). `field` names
the input at fault, `reason` is one of [the reasons](reasons.md#reasons). A 503 has the header
`Retry-After`. A 500 is an unexpected error: its traceback is in the log."""
BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} entries",
    "format": "{}",
    "pattern": "matches `{}`",
}


def page() -> str:
    """Return the page."""
    described = openapi.document((*API_PAGES, *HEALTH_PAGES))
    operations, schemas = list(_operations(described)), described["components"]["schemas"]
    overview = [[link(name), each["summary"], first_line(each["description"])] for name, each in operations]
    return document(
        "HTTP",
        "the OpenAPI document of `web`",
        INTRO,
        [
            table(["operation", "summary", "answer"], overview),
            "## Problems",
            PROBLEMS,
            table(["status", "type", "field", "reason", "detail, for example"], _examples()),
            *(part for name, operation in operations for part in _operation(name, operation)),
            "## Schemas",
            *(part for name, schema in schemas.items() for part in _named(name, schema)),
        ],
    )


def _examples() -> Iterator[list[str]]:
    """Yield the golden problems, which a test compares with the answers."""
    problems = [json.loads(path.read_bytes()) for path in sorted(GOLDEN.glob("*.json"))]
    rows = {
        (
            str(problem["status"]),
            code(problem["type"]),
            code(problem.get("field", "")),
            code(problem.get("reason", "")),
            problem["detail"],
        )
        for problem in problems
    }
    yield from map(list, sorted(rows))


def _operations(described: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield operation["summary"]
    yield operation["description"] or ""
    yield table(["parameter", "in", "type", "meaning"], map(_parameter, operation["parameters"]))
    if body := operation.get("requestBody"):
        wanted = "" if body["required"] else "; may be left out"
        yield f"Body: {', '.join(_contents(body['content']))}{wanted}."
    answers = operation["responses"].items()
    yield table(["status", "meaning", "body", "headers"], [_answer(*each) for each in answers])


def _parameter(parameter: Mapping[str, Any]) -> list[str]:
    return [
        code(parameter["name"]),
        parameter["in"],
        in_words(parameter["schema"]),
        parameter.get("description", ""),
    ]


def _answer(status: str, answer: Mapping[str, Any]) -> list[str]:
    body = ", ".join(_contents(answer.get("content", {})))
    return [status, answer["description"], body, codes(answer.get("headers", {}))]


def _contents(content: Mapping[str, Any]) -> Iterator[str]:
    for content_type, described in content.items():
        is_told = content_type in ("application/json", CONTENT_TYPE)
        yield in_words(described["schema"]) + ("" if is_told else f" as `{content_type}`")


def _named(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}"
    yield one_line(schema.get("description"))
    if variants := schema.get("oneOf"):
        for variant in variants:
            yield f"With `kind` {code(variant['title'])}:"
            yield _fields(variant)
            yield " ".join(_rules(variant))
    elif "properties" in schema:
        yield _fields(schema)
    else:
        yield f"Type: {in_words(schema)}."


def _rules(schema: Schema) -> Iterator[str]:
    """Yield what holds between fields: those that exclude each other, and one that needs another."""
    if excluded := schema.get("not", {}).get("required"):
        yield f"{' and '.join(map(code, excluded))} exclude each other."
    if given := schema.get("if", {}).get("required"):
        yield f"{codes(given)} needs {codes(schema['then']['required'])}."


def _fields(schema: Schema) -> str:
    required = schema.get("required", ())
    rows = [
        [code(name), in_words(field), "yes" if name in required else "no"]
        for name, field in schema["properties"].items()
        if field != {"type": "null"}
    ]
    return table(["field", "type", "required"], rows)


def in_words(schema: Schema) -> str:
    """Return a schema in words, with links to named schemas."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{anchor(name)})"
    if "anyOf" in schema:
        return " or ".join(in_words(each) for each in schema["anyOf"])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return f"one of {codes(schema['enum'])}"
    return ", ".join([_kind(schema), *_bounds(schema)])


def _kind(schema: Schema) -> str:
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {in_words(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        keys = schema.get("propertyNames", {"type": "string"})
        return f"object of {in_words(schema['additionalProperties'])} by {in_words(keys)}"
    return kind if isinstance(kind, str) else " or ".join(kind)


def _bounds(schema: Schema) -> Iterable[str]:
    return [text.format(schema[name]) for name, text in BOUNDS.items() if name in schema]
