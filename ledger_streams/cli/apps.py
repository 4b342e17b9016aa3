"""`worker` and `projector`: Faust's worker command, told which app and where.

Both inherit every option of Faust's worker.  What is not said on the command line
comes from Settings: the port and the address to bind to.  The app is Faust's `-A`,
which here has a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import click
import faust.cli.faust as faust_commands
from faust.cli.base import find_app, option
from faust.types import AppT

from ledger_streams.cli import OWN_COMMANDS, own_command
from ledger_streams.settings import settings

LEDGER_APP = "ledger_streams.app:ledger"
PROJECTOR_APP = "ledger_streams.app:projector"

_FaustWorker = faust_commands.worker


class worker(_FaustWorker):  # noqa: N801 (Faust names its commands after their classes)
    """Start a ledger worker: its agents, tables and web views."""

    default_app = LEDGER_APP

    def _app_from_str(self, appstr: str | None = None) -> AppT[Any]:
        app = find_app(self.default_app if appstr in (None, LEDGER_APP) else str(appstr))
        if self.datadir:
            app.conf.datadir = self.datadir
        return app

    def _init_worker_options(self, *args: Any, **kwargs: Any) -> None:
        if kwargs["web_port"] is None:
            kwargs["web_port"] = settings().http_port
        kwargs["web_bind"] = kwargs["web_bind"] or settings().http_host
        super()._init_worker_options(*args, **kwargs)


class projector(worker):  # noqa: N801
    """Start a projector: what the log says, into PostgreSQL and Redis."""

    default_app = PROJECTOR_APP
    options = [  # noqa: RUF012 (as in Faust)
        option(
            "--with-web/--without-web",
            default=False,
            help="Enable/disable web server and related components.",
        ),
        *[given for given in _FaustWorker.options if given not in _FaustWorker.worker_options[:1]],
    ]


def faust_root(arguments: Sequence[str]) -> click.Group:
    """Return Faust's own root, `-A` defaulting to the ledger app, with those of our commands that are named."""
    root = cast("click.Group", faust_commands.cli)
    for name in (name for name in OWN_COMMANDS if name in arguments):
        root.add_command(own_command(name), name)
    root.context_settings["default_map"] = {"app": LEDGER_APP}
    return root
