"""faust_apps: the module that Faust's `-A` names; it reads the settings and builds the app asked for.

Faust imports the module and takes its attribute `app`; our commands take `api`, `gateway` or
`projector`.  Each is built at the first access, so a process builds only its own.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ledger_streams.bootstrap.apps import api_app, gateway_app, ledger_app, projector_app
from ledger_streams.settings import settings

if TYPE_CHECKING:
    import faust

BUILDERS: Final = MappingProxyType(
    {"app": ledger_app, "api": api_app, "gateway": gateway_app, "projector": projector_app}
)


@cache
def _built(name: str) -> faust.App:
    return BUILDERS[name](settings())


def __getattr__(name: str) -> faust.App:
    if name not in BUILDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _built(name)
