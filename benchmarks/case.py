"""What a case of the benchmarks is, and what it is given.

A case is a name, a line that says what it measures, its options, and an async function
from `Given` to its figures.  The measuring itself stands in a module that takes plain
arguments; suite_payments.py, suite_tables.py and suite_databases.py have an entry for each.
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
"""What a case returns: structs, or mappings of such by name."""


@dataclass(frozen=True)
class Option:
    """`--name`: takes several values where the default is a tuple, none where it is False."""

    name: str
    default: int | float | tuple[Any, ...]
    about: str
    choices: tuple[str, ...] | None = None

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declare the option."""
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


PAYMENTS: Final = Option("payments", 20_000, "how many")
NO_STANDBY: Final = Option("no-standby", False, "LEDGER_STANDBY=0")


@dataclass
class CaseRun:
    """A case's options, and the settings of the stack; of the measured system, once there was one."""

    options: argparse.Namespace
    settings: Settings = field(default_factory=stack_settings)

    @asynccontextmanager
    async def live(self) -> AsyncIterator[LiveSystem]:
        """A system of the case's own on the stack, nothing of it started yet, gone afterwards."""
        changes = {"standby": False} if getattr(self.options, "no_standby", False) else {}
        with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
            async with own_system(stack_settings(), Path(folder)) as own:
                self.settings = own.model_copy(update=changes)
                async with running(self.settings) as live:
                    yield live


@dataclass(frozen=True)
class Case:
    """One benchmark; `small` are the arguments with which it is one of many, in a minute or three."""

    name: str
    about: str
    run: Callable[[CaseRun], Awaitable[Figures]]
    chart: Bars | Lines
    options: tuple[Option, ...] = ()
    small: tuple[str, ...] = ()
