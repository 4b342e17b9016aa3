"""The OpenAPI document: every page with its methods, made of what the views say of themselves.

Schemas of structs are generated, so they cannot differ from what is read and written.
HEAD, which comes with every GET, and a 500, which nobody foresees, are told once in the
description and not at each page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from web.operations import WORDS, Answer, Named, Operation, Parameter, ref
from web.problems import CONTENT_TYPE, Problem
from web.services import DOCUMENT
from web.views import LedgerView

Pages = Iterable[tuple[str, type[LedgerView]]]

BODY_PROBLEMS: Final = (400, 413, 415, 422)
"""What can be wrong with any body."""

INFO: Final = {
    "title": "ledger-streams",
    "version": "1",
    "description": "Wallets and payments. Money is decimal strings. Every error is a problem (RFC 9457) that names"
    " the field and the reason, also a 500, which no page is meant to answer. HEAD answers as GET, without a body.",
}

_in_path = re.compile(r"\{(\w+)\}").findall


class OpenApi(LedgerView):
    """This document."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Answer("OpenAPI 3.1", {"type": "object"})}, problems=())
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the document of the pages that are served beside it."""
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
    written, structs = dict(WORDS), {Problem}
    for schema in _schemas(operations):
        if isinstance(schema, Named):
            written[schema.name] = schema.schema
        elif isinstance(schema, type):
            structs.add(schema)
    ordered = sorted(structs, key=lambda struct: struct.__name__)
    _, generated = msgspec.json.schema_components(ordered, ref_template=ref("{name}")["$ref"])
    return dict(sorted((written | generated).items()))


def _schemas(operations: Iterable[Operation]) -> Iterator[object]:
    for operation in operations:
        yield operation.body
        for answer in operation.answers.values():
            yield answer.schema


def _path(path: str, view: type[LedgerView]) -> dict[str, Any]:
    return {method.lower(): _operation(path, view, method) for method in view.operations}


def _operation(path: str, view: type[LedgerView], method: str) -> dict[str, Any]:
    operation = view.operations[method]
    body_problems = () if operation.body is None else BODY_PROBLEMS
    answers = {str(status): _answer(answer) for status, answer in operation.answers.items()}
    problems = {str(status): _problem(status) for status in {*operation.problems, *body_problems}}
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
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(answer: Answer) -> dict[str, Any]:
    schema = _ref_to(answer.schema) if isinstance(answer.schema, type) else answer.schema
    headers = {
        name: {"required": True, "schema": header_schema} for name, header_schema in answer.headers.items()
    }
    content = {answer.content_type: {"schema": schema}}
    return {"description": answer.description, "headers": headers, "content": content}


def _problem(status: int) -> dict[str, Any]:
    described = {
        "description": HTTPStatus(status).phrase,
        "content": {CONTENT_TYPE: {"schema": _ref_to(Problem)}},
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after = {"description": "Seconds to wait", "required": True, "schema": {"type": "integer"}}
        return described | {"headers": {"Retry-After": retry_after}}
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
