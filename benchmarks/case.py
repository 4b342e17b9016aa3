"""A benchmark case, and the context of its run.

A case has a name, a description, options, and an async function from `CaseRun` to its
figures.  The measurement itself is in a module with plain parameters.  The cases are listed
in suite_payments.py, suite_tables.py and suite_databases.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.charts import Bars, Lines
from ledger_streams.settings import Settings
from tests.conftest import stack_settings
from tests.live import LiveSystem, running
from tests.own_system import own_system

Figures = msgspec.Struct | Mapping[str, Any]
"""Result of a case: a struct, or a mapping of names to structs."""


@dataclass(frozen=True)
class Option:
    """An option `--name`: several values if the default is a tuple, a flag if it is False."""

    name: str
    default: int | float | tuple[Any, ...]
    about: str
    choices: tuple[str, ...] | None = None

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the option to the parser."""
        if self.default is False:
            parser.add_argument(f"--{self.name}", action="store_true", help=self.about)
            return
        values = self.default if isinstance(self.default, tuple) else (self.default,)
        parser.add_argument(
            f"--{self.name}",
            type=type(values[0]),
            nargs="+" if values is self.default else None,
            choices=self.choices,
            default=self.default,
            metavar=self.name.upper(),
            help=f"{self.about}  [default: {' '.join(str(value) for value in values)}]",
        )


PAYMENTS: Final = Option("payments", 20_000, "number of payments")
NO_STANDBY: Final = Option("no-standby", False, "run without standby (LEDGER_STANDBY=0)")


@dataclass
class CaseRun:
    """Options of a run and its settings: the stack's, then those of the measured system."""

    options: argparse.Namespace
    settings: Settings = field(default_factory=stack_settings)

    @asynccontextmanager
    async def live(self) -> AsyncIterator[LiveSystem]:
        """Yield a new system on the stack, with no process started; remove it afterwards."""
        changes = {"standby": False} if getattr(self.options, "no_standby", False) else {}
        with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
            async with own_system(stack_settings(), Path(folder)) as own:
                self.settings = own.model_copy(update=changes)
                async with running(self.settings) as live:
                    yield live


@dataclass(frozen=True)
class Case:
    """One benchmark; `small` are its arguments in `all`, for a run of one to three minutes."""

    name: str
    about: str
    run: Callable[[CaseRun], Awaitable[Figures]]
    chart: Bars | Lines
    options: tuple[Option, ...] = ()
    small: tuple[str, ...] = ()
