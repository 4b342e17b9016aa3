"""The page of commands: usage, help, arguments and options of each, as click knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

import click

from ledger_streams.cli import FAUST_COMMANDS, OWN_COMMANDS, own_command
from ledger_streams.cli.apps import faust_root
from tests.reference.markdown import block, code, codes, document, first_line, link, one_line, prose, table

PROGRAM: Final = "ledger-streams"
APPS: Final = ("worker", "api", "gateway", "projector")
"""Faust workers of our own apps; they share their options."""
VERBATIM: Final = "\b"
"""Click does not wrap a paragraph that begins with it."""

INTRO: Final = """\
`ledger-streams COMMAND --help` says the same. Commands read their [settings](settings.md) from the
environment. Exit codes: 0 for success, 1 for an error or a difference that was found, 2 for a wrong
command line, 130 for Ctrl-C; a command with others names them."""
FAUST: Final = """\
These commands are Faust's. Options of Faust stand before the command. The port, the address and the log
level come from `LEDGER_HTTP_PORT`, `LEDGER_HTTP_HOST` and `LEDGER_LOG_LEVEL` unless an option gives them."""


def page() -> str:
    """Return the page."""
    own = {name: own_command(name) for name in OWN_COMMANDS}
    overview = [[link(f"{PROGRAM} {name}"), line] for name, (_, _, line) in OWN_COMMANDS.items()]
    faust = [[code(f"{PROGRAM} {name}"), line] for name, line in FAUST_COMMANDS.items()]
    return document(
        "Commands",
        "`ledger_streams/cli`",
        INTRO,
        [
            table(["command", "does"], overview),
            "## Faust apps and Faust's own commands",
            FAUST,
            table(["command", "does"], faust),
            f"Options before a Faust command: {codes(_flags(faust_root(['--loop'], {})))}.",
            f"Options of {codes(APPS)}:",
            _app_options(),
            *(part for name, command in own.items() for part in _command(f"{PROGRAM} {name}", command)),
        ],
    )


def _flags(command: click.Command) -> list[str]:
    options = [each for each in command.params if isinstance(each, click.Option)]
    return sorted(each.opts[0] for each in options)


def _app_options() -> str:
    """Return the options that our apps have from Faust; their defaults may depend on the machine."""
    root = faust_root(["--loop"], {})
    context = click.Context(root)
    commands = [command for name in APPS if (command := root.get_command(context, name)) is not None]
    found = {
        codes([*option.opts, *option.secondary_opts]): option.help or ""
        for command in commands
        for option in command.params
        if isinstance(option, click.Option)
    }
    return table(["option", "meaning"], [[names, text] for names, text in sorted(found.items())])


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    depth = len(name.split()) - len(PROGRAM.split())
    yield f"{'#' * (depth + 1)} {name}"
    yield block(" ".join([name, *command.collect_usage_pieces(context)]))
    yield from _help(command.help or "")
    yield table(["argument", "type"], _arguments(command))
    yield table(["option", "type", "default", "meaning"], _options(command))
    if isinstance(command, click.Group):
        subcommands = {each: command.get_command(context, each) for each in command.list_commands(context)}
        known = {f"{name} {each}": found for each, found in subcommands.items() if found is not None}
        yield table(
            ["command", "does"], [[link(each), first_line(found.help)] for each, found in known.items()]
        )
        for each, found in known.items():
            yield from _command(each, found)


def _help(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.partition("\f")[0]):
        if paragraph.lstrip(" \n").startswith(VERBATIM):
            lines = paragraph.lstrip(" \n").removeprefix(VERBATIM).strip("\n")
            yield block(lines)
        else:
            yield prose(paragraph)


def _arguments(command: click.Command) -> Iterator[list[str]]:
    for each in command.params:
        if isinstance(each, click.Argument):
            notes = ["several" if each.nargs != 1 else "", "" if each.required else "may be left out"]
            yield [code(each.human_readable_name), ", ".join(filter(None, [_type(each.type), *notes]))]


def _options(command: click.Command) -> Iterator[list[str]]:
    for each in command.params:
        if isinstance(each, click.Option) and not each.hidden:
            kind = "flag" if each.is_flag else _type(each.type)
            notes = [
                "required" if each.required else "",
                "may be repeated" if each.multiple else "",
            ]
            names = codes([*each.opts, *each.secondary_opts])
            yield [names, ", ".join(filter(None, [kind, *notes])), _default(each), _meaning(each)]


def _meaning(option: click.Option) -> str:
    variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    text = one_line(option.help)
    return f"{text} Environment: {codes(variables)}.".strip() if variables else text


def _type(kind: click.ParamType) -> str:
    if isinstance(kind, click.Choice):
        return f"one of {codes(getattr(each, 'value', each) for each in kind.choices)}"
    if isinstance(kind, click.IntRange | click.FloatRange):
        low = f"from {kind.min}" if kind.min is not None else ""
        high = f"to {kind.max}" if kind.max is not None else ""
        name = "integer" if isinstance(kind, click.IntRange) else "number"
        return " ".join(filter(None, [name, low, high]))
    return {"float": "number"}.get(kind.name, kind.name)


def _default(option: click.Option) -> str:
    """Return the default; one that is calculated only if the option says in words what it is."""
    if isinstance(option.show_default, str):
        return option.show_default
    value: Any = option.default
    if callable(value):
        return "calculated"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return code(option.opts[0] if value else option.secondary_opts[0]) if option.secondary_opts else ""
    is_plain = isinstance(value, str | int | float | Path)
    return code(value) if is_plain else ""
