"""`worker`, `api`, `gateway` and `projector`: Faust's worker command for each of our apps.

All inherit every option of Faust's worker.  Port, bind address and log level default
to the Settings.  Faust's `-A` (the app) defaults to `faust_apps`.
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


class worker(FaustWorker):  # noqa: N801 (Faust takes the command's name from the class)
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
    """Start the web views alone: they read PostgreSQL and Redis and write to Kafka."""

    app_name = "api"


class HeadlessWorker(worker):
    """A worker without an HTTP API: its web views (health, metrics) are off by default."""

    abstract = True
    options = [  # noqa: RUF012 (as in Faust)
        option(
            "--with-web/--without-web",
            default=False,
            help="Enable or disable the web server (health and metrics).",
        ),
        *[given for given in FaustWorker.options if given not in FaustWorker.worker_options[:1]],
    ]


class gateway(HeadlessWorker):  # noqa: N801
    """Start a gateway: it sends the sagas' orders to payment providers over HTTP."""

    app_name = "gateway"


class projector(HeadlessWorker):  # noqa: N801
    """Start a projector: it writes the events of the log to PostgreSQL and Redis."""

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
