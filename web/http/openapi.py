"""OpenAPI document: built from the operations that the views declare.

msgspec generates the schemas of structs, so they match the code that reads and writes
them.  The document's description covers HEAD (on every GET) and 500 once for all pages.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from web.http.operations import WORD_OF_FIELD, WORDS, Named, Operation, Parameter, Success, ref
from web.http.problems import CONTENT_TYPE, Problem
from web.services import DOCUMENT
from web.views import LedgerView

Pages = Iterable[tuple[str, type[LedgerView]]]

BODY_PROBLEMS: Final = (400, 408, 413, 415, 422)
"""Statuses of every operation with a request body."""
SERVICE_PROBLEMS: Final = (422, 503)
"""Statuses of every operation of the API: an unknown query parameter, an unavailable dependency."""
SERVICE_PREFIX: Final = "/v1/"

INFO: Final = {
    "title": "ledger-streams",
    "version": "1",
    "description": "Wallets and payments. Money is decimal strings. Every error is a problem (RFC 9457) that"
    " names the field and the reason. Every page may also answer 500, for an unexpected error. HEAD answers"
    " as GET, without a body.",
}

_in_path = re.compile(r"\{(\w+)\}").findall


class OpenApi(LedgerView):
    """The OpenAPI document of the API."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("OpenAPI 3.1", Named("Document", {"type": "object"}))})
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the document of all pages of this process."""
        return web.Response(body=request.app[DOCUMENT], content_type="application/json")


def document(pages: Pages) -> dict[str, Any]:
    """Return the OpenAPI document of the pages."""
    listed = list(pages)
    operations = [operation for _, view in listed for operation in view.operations.values()]
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "paths": {path: _path(path, view) for path, view in listed},
        "components": {"schemas": _components(operations)},
    }


def _components(operations: Iterable[Operation]) -> dict[str, Any]:
    written: dict[str, Any] = dict(WORDS)
    structs: set[type] = {Problem}
    for schema in _schemas(operations):
        if isinstance(schema, Named):
            written[schema.name] = schema.schema
        else:
            structs.add(schema)
    ordered = sorted(structs, key=lambda struct: struct.__name__)
    _, generated = msgspec.json.schema_components(ordered, ref_template=ref("{name}")["$ref"])
    worded = {name: _worded(name, schema) for name, schema in generated.items()}
    return dict(sorted((written | worded).items()))


def _schemas(operations: Iterable[Operation]) -> Iterator[type | Named]:
    for operation in operations:
        if operation.body is not None:
            yield operation.body
        for answer in operation.answers.values():
            yield answer.schema


def _worded(struct: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a struct's schema in which the fields of WORD_OF_FIELD refer to their word."""
    if "properties" not in schema:
        return schema
    properties = {}
    for name, field in schema["properties"].items():
        word = WORD_OF_FIELD.get(f"{struct}.{name}", WORD_OF_FIELD.get(name))
        properties[name] = field if word is None else _word(word, field)
    return schema | {"properties": properties}


def _word(word: str, field: Mapping[str, Any]) -> dict[str, Any]:
    if "anyOf" not in field:
        return ref(word)
    return {**field, "anyOf": [ref(word), {"type": "null"}]}


def _path(path: str, view: type[LedgerView]) -> dict[str, Any]:
    return {method.lower(): _operation(path, view, method) for method in view.operations}


def _operation(path: str, view: type[LedgerView], method: str) -> dict[str, Any]:
    operation = view.operations[method]
    body_problems = () if operation.body is None else BODY_PROBLEMS
    service_problems = SERVICE_PROBLEMS if path.startswith(SERVICE_PREFIX) else ()
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    statuses = {*operation.problems, *body_problems, *service_problems}
    problems = {str(status): _problem(status) for status in statuses}
    described = {
        "operationId": method.lower() + view.__name__,
        "summary": (inspect.getdoc(view) or "").partition("\n")[0],
        "description": inspect.getdoc(getattr(view, method.lower())),
        "parameters": [_id_in_path(name) for name in _in_path(path)]
        + [_parameter(parameter) for parameter in operation.parameters],
        "responses": dict(sorted((answers | problems).items())),
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _ref_to(operation.body)}}
        body: dict[str, Any] = {"required": operation.body_required, "content": content}
        described["requestBody"] = body
    return described


def _answer(answer: Success) -> dict[str, Any]:
    headers: dict[str, Any] = {
        name: {"required": True, "schema": header_schema} for name, header_schema in answer.headers.items()
    }
    content: dict[str, Any] = {answer.content_type: {"schema": _ref_to(answer.schema)}}
    return {"description": answer.description, "headers": headers, "content": content}


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {CONTENT_TYPE: {"schema": _ref_to(Problem)}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = {"description": "Seconds to wait", "required": True, "schema": {"type": "integer"}}
        described["headers"] = {"Retry-After": retry_after}
    return described


def _ref_to(schema: type | Named) -> dict[str, Any]:
    return ref(schema.name if isinstance(schema, Named) else schema.__name__)


def _id_in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": ref("Id")}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": False,
        "schema": parameter.schema,
    }
