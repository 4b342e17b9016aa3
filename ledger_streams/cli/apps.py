"""`worker`, `api`, `gateway` and `projector`: Faust's worker command, told which app and where.

All inherit every option of Faust's worker.  What is not said on the command line
comes from Settings: the port and the address to bind to, the level of the log.  The
app is Faust's `-A`, which here has a default.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import click
import faust.cli.faust as faust_commands
import mode.loop
from click.core import ParameterSource
from faust.cli.base import find_app, option
from faust.cli.worker import worker as FaustWorker  # noqa: N812 (here it is the base class)
from faust.types import AppT

from ledger_streams.cli.mistakes import check_home, check_kafka, check_ports
from ledger_streams.settings import settings

APPS = "ledger_streams.cli.faust_apps"
"""The default of Faust's `-A`."""


class worker(FaustWorker):  # noqa: N801 (Faust names its commands after their classes)
    """Start a ledger worker: its agents, tables and web views."""

    app_name = "app"

    def _app_from_str(self, appstr: str | None = None) -> AppT[Any]:
        app = find_app(appstr or APPS, attr_name=self.app_name)
        if self.datadir and self._is_given("datadir"):
            app.conf.datadir = self.datadir
        return app

    def _is_given(self, option_name: str) -> bool:
        return self.ctx.find_root().get_parameter_source(option_name) is not ParameterSource.DEFAULT

    def _init_worker_options(self, *args: Any, **kwargs: Any) -> None:
        if kwargs["web_port"] is None:
            kwargs["web_port"] = settings().http_port
        kwargs["web_bind"] = kwargs["web_bind"] or settings().http_host
        try:
            check_home(settings())
            check_kafka(settings())
            if kwargs["with_web"]:
                check_ports(kwargs["web_bind"], {kwargs["web_port"]: "the web views of this process"})
        except click.ClickException as error:  # Faust would print its traceback
            error.show()
            sys.exit(error.exit_code)
        super()._init_worker_options(*args, **kwargs)


class api(worker):  # noqa: N801
    """Start the web views alone: they read PostgreSQL and Redis, and write to Kafka."""

    app_name = "api"


class behind(worker):  # noqa: N801
    """A worker that answers nobody, and so has its web views only where it is told to."""

    abstract = True
    options = [  # noqa: RUF012 (as in Faust)
        option(
            "--with-web/--without-web",
            default=False,
            help="Enable/disable web server and related components.",
        ),
        *[given for given in FaustWorker.options if given not in FaustWorker.worker_options[:1]],
    ]


class gateway(behind):  # noqa: N801
    """Start a gateway: what sagas ask of providers, over HTTP."""

    app_name = "gateway"


class projector(behind):  # noqa: N801
    """Start a projector: what the log says, into PostgreSQL and Redis."""

    app_name = "projector"


def faust_root(arguments: Sequence[str], own: Mapping[str, click.Command]) -> click.Group:
    """Return Faust's own root, with a default for `-A` and these commands of ours beside its own."""
    root = cast("click.Group", faust_commands.cli)
    if not {"-L", "--loop"} & set(arguments):
        mode.loop.use("uvloop")  # Faust's own default for --loop comes too late for a loop to be chosen
    for name, command in own.items():
        root.add_command(command, name)
    at_level = {"loglevel": settings().log_level}
    root.context_settings["default_map"] = {
        "app": APPS,
        "worker": at_level,
        "api": at_level,
        "gateway": at_level,
        "projector": at_level,
    }
    return root
