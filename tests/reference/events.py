"""The page of events: every record type on Kafka with its fields and an example.

The examples are the golden records, which a test reads back.  The fields of a type are those of the struct
of `ledger_streams.wire` that its example decodes into; exactly one struct has to fit.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeGuard

import msgspec

import ledger_streams.domain
from ledger_streams import topics, wire
from ledger_streams.errors import Unreadable
from tests.reference.markdown import block, code, document, first_line, table
from tests.reference.source import attribute_docs
from tests.reference.wire_types import described, fields

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden" / "wire"

INTRO: Final = """\
A record's value is a JSON object, the envelope. The key is its `aggregate_id`: the id of a payment or a
wallet. Money is decimal strings, ids are UUIDs in lower case with hyphens, times are RFC 3339 in UTC with
six digits. A type changes only as a new version; the examples are kept in `tests/golden/wire` and stay
readable."""
ENVELOPE: Final = """\
Records of all types have these fields, but `wallet`, which is only on wallet-events. The last column says
which fields a gateway may leave out of a `PaymentRequested`; the system writes them all."""
REQUEST: Final = """\
`data` is the content of the payment as it came: [Payment](http.md#payment) of the HTTP API, with a
`payment_id`."""
OPEN_CONTENT: Final = frozenset({"PaymentRequested", "SagaStarted"})
"""Types whose `data` is what a gateway has sent, checked by the domain and not by a struct of the wire."""


def page() -> str:
    """Return the page."""
    return document(
        "Events and commands",
        "`ledger_streams/wire`, `ledger_streams/domain` and `tests/golden/wire`",
        INTRO,
        [
            table(["topic", "types"], _overview()),
            "## Envelope",
            ENVELOPE,
            table(["field", "type", "meaning", "a request may leave it out"], _envelope()),
            "## Wallet",
            "The field `wallet` of a record on wallet-events.",
            *_struct_and_parts(wire.WalletObject),
            *(part for topic, types in types_by_topic().items() for part in _topic(topic, types)),
        ],
    )


@cache
def types_by_topic() -> dict[str, list[str]]:
    """Return the types of each topic that has any, in alphabetical order."""
    by_topic: dict[str, list[str]] = {name: [] for name in _readers()}
    for path in sorted(GOLDEN.glob("*.json")):
        event_type = path.name.partition(".")[0]
        by_topic[_topic_of(path)].append(event_type)
    return by_topic


def _readers() -> dict[str, list[Callable[..., object]]]:
    """Return the functions that read the records of each topic."""
    return {
        topics.PAYMENT_EVENTS: [wire.read_payment_outcome, _read_request],
        topics.SAGA_EVENTS: [wire.read_saga_event],
        topics.SAGA_COMMANDS: [wire.read_saga_command],
        topics.WALLET_COMMANDS: [wire.read_wallet_command],
        topics.WALLET_EVENTS: [wire.read_wallet_event],
        topics.PROVIDER_REQUESTS: [wire.read_order],
    }


def _read_request(value: bytes, *, key: bytes) -> object:
    """Read a request; a payment's outcome is refused here, since it has a reader of its own."""
    occurred_at = msgspec.json.decode(value).get("occurred_at", "")
    read = wire.read_payment_event(value, key=key, append_ms=wire.time_ms(wire.parse_time(occurred_at)))
    assert read is not None
    return read


def _topic_of(path: Path) -> str:
    """Return the topic whose reader takes the golden record."""
    value = path.read_bytes()
    key = wire.decode_envelope(value).aggregate_id.encode()
    found = {
        topic for topic, readers in _readers().items() if any(_is_read(each, value, key) for each in readers)
    }
    assert len(found) == 1, f"{path.name} is read by the readers of {sorted(found)}, not of one topic"
    return found.pop()


def _is_read(reader: Callable[..., object], value: bytes, key: bytes) -> bool:
    try:
        reader(value, key=key)
    except Unreadable:
        return False
    return True


def _overview() -> Iterator[list[str]]:
    for topic, types in types_by_topic().items():
        yield [code(topic), ", ".join(f"[{name}](#{name.lower()})" for name in types)]


def _envelope() -> Iterator[list[str]]:
    """Yield the fields of the envelope in the order in which they are written."""
    types = {cells[0]: cells[1] for cells in fields(wire.Envelope)}
    meanings = attribute_docs(wire.Envelope)
    request = msgspec.json.decode((GOLDEN / "PaymentRequested.v1.json").read_bytes())
    for name in request:
        shorter = msgspec.json.encode({field: value for field, value in request.items() if field != name})
        may_be_left_out = _is_read(_read_request, shorter, request["aggregate_id"].encode())
        yield [code(name), types[code(name)], meanings.get(name, ""), "yes" if may_be_left_out else "no"]
    yield [code("wallet"), types[code("wallet")], meanings.get("wallet", ""), "yes"]


def _topic(topic: str, types: list[str]) -> Iterator[str]:
    yield f"## {topic}"
    for event_type in types:
        yield from _type(event_type)


def _type(event_type: str) -> Iterator[str]:
    (path,) = GOLDEN.glob(f"{event_type}.v*.json")
    value = path.read_bytes()
    yield f"### {event_type}"
    yield first_line(_domain_class(event_type).__doc__) if event_type not in OPEN_CONTENT else ""
    yield f"Version {wire.decode_envelope(value).schema_version}."
    if event_type in OPEN_CONTENT:
        yield REQUEST
    else:
        yield from _struct_and_parts(data_struct(event_type, value))
    yield block(value.decode(), "json")


def _domain_class(event_type: str) -> type[Any]:
    """Return the class of the domain that has the type's name."""
    package = ledger_streams.domain
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        found = getattr(importlib.import_module(each.name), event_type, None)
        if inspect.isclass(found):
            return found
    raise AssertionError(f"the domain has no class {event_type}")


def data_struct(event_type: str, value: bytes) -> type[msgspec.Struct]:
    """Return the struct that a record's `data` decodes into, of the modules that its reader uses."""
    data = msgspec.json.decode(value)["data"]
    topic = next(topic for topic, types in types_by_topic().items() if event_type in types)
    fitting = {
        tuple(map(tuple, fields(struct))): struct
        for module in _modules_of(_readers()[topic][0])
        for struct in vars(module).values()
        if _is_of_wire(struct) and _fits(struct, data)
    }
    names = [struct.__qualname__ for struct in fitting.values()]
    assert len(fitting) == 1, f"the data of {event_type} fits {names or 'no struct'} of the wire, not one"
    return fitting.popitem()[1]


def _modules_of(reader: Callable[..., object]) -> list[ModuleType]:
    """Return the module of a reader, and the modules of the wire whose functions it calls."""
    own = inspect.getmodule(reader)
    assert own is not None
    called = {inspect.getmodule(value) for value in vars(own).values() if inspect.isfunction(value)}
    called |= {value for value in vars(own).values() if inspect.ismodule(value)}
    return [module for module in {own, *called} if module and module.__name__.startswith(wire.__name__)]


def _is_of_wire(value: object) -> TypeGuard[type[msgspec.Struct]]:
    is_struct = inspect.isclass(value) and issubclass(value, msgspec.Struct)
    return is_struct and getattr(value, "__module__", "").startswith(wire.__name__)


def _fits(struct: type[msgspec.Struct], data: dict[str, Any]) -> bool:
    if not data.keys() <= set(struct.__struct_encode_fields__):
        return False
    try:
        msgspec.convert(data, struct)
    except msgspec.ValidationError:
        return False
    return True


def _struct_and_parts(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the table of a struct, and those of the structs within it."""
    yield table(["field", "type", "required"], fields(struct))
    for part in described(struct):
        yield f"Fields of {code(part.__name__)}:"
        yield table(["field", "type", "required"], fields(part))
