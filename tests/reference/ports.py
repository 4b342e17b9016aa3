"""The page of ports: the interfaces between the application and the technology behind it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import msgspec

from ledger_streams import ports
from tests.reference.markdown import block, code, document, first_line, one_line, table
from tests.reference.source import attribute_docs

INTRO: Final = """\
A port is an interface of `ledger_streams.ports`: the application calls it, and an adapter carries it out
with a real technology. `ledger_streams.testing` has twins in memory for tests. One suite in
`tests/contract` runs against both. Network ports are in [settings](settings.md#network-ports)."""


def page() -> str:
    """Return the page."""
    classes = [cls for module in _modules() for cls in _classes(module)]
    protocols = [cls for cls in classes if getattr(cls, "_is_protocol", False)]
    values = [cls for cls in classes if issubclass(cls, msgspec.Struct)]
    return document(
        "Ports",
        "`ledger_streams/ports`",
        INTRO,
        [
            table(["port", "meaning"], [[_link(cls), first_line(cls.__doc__)] for cls in protocols]),
            *(part for cls in protocols for part in _port(cls)),
            "## Values",
            "Structs that the methods take and return.",
            *(part for cls in values for part in _value(cls)),
        ],
    )


def _modules() -> list[ModuleType]:
    names = [each.name for each in pkgutil.iter_modules(ports.__path__, f"{ports.__name__}.")]
    return [ports, *(importlib.import_module(name) for name in sorted(names))]


def _classes(module: ModuleType) -> list[type[Any]]:
    """Return the public classes that the module defines, in its order."""
    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]


def _link(cls: type[Any]) -> str:
    return f"[{cls.__name__}](#{cls.__name__.lower()})"


def _port(cls: type[Any]) -> Iterator[str]:
    yield f"## {cls.__name__}"
    yield inspect.cleandoc(cls.__doc__ or "")
    bases = [base for base in cls.__bases__ if base.__module__.startswith(ports.__name__)]
    if bases:
        yield f"Has the methods of {', '.join(_link(base) for base in bases)} too."
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"**`{name}`**: {one_line(member.__doc__)}"
        elif inspect.isfunction(member):
            yield block(_signature(member), "python")
            yield one_line(inspect.getdoc(member))


def _signature(method: Any) -> str:
    kind = "async def" if inspect.iscoroutinefunction(method) else "def"
    signature = inspect.signature(method)
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    written = str(signature.replace(parameters=parameters)).replace("'", "")
    return f"{kind} {method.__name__}{written}"


def _value(cls: type[msgspec.Struct]) -> Iterator[str]:
    yield f"### {cls.__name__}"
    yield inspect.cleandoc(cls.__doc__ or "")
    annotations, notes = inspect.get_annotations(cls), attribute_docs(cls)
    rows = [
        [code(field.name), code(annotations[field.name]), _default(field), notes.get(field.name, "")]
        for field in msgspec.structs.fields(cls)
    ]
    yield table(["field", "type", "default", "meaning"], rows)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    is_plain = field.default is None or isinstance(field.default, (str, int, tuple))
    return code(repr(field.default)) if is_plain and not hasattr(field.default, "_fields") else "optional"
