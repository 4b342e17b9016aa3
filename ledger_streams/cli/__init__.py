"""The commands: one module a noun, imported only when its command is called.

The console script has two root groups over one table of commands.  The light root
runs our own commands without importing Faust, so that `--help` is quick.  Faust's
commands, and any command line that begins with an option, go to Faust's root group,
to which our commands are added: every option of a Faust worker works.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem

OWN_COMMANDS: dict[str, tuple[str, str, str]] = {
    "stack": (
        "ledger_streams.cli.stack",
        "stack",
        "Local Kafka, PostgreSQL and Redis: up, down, status, settings.",
    ),
    "topics": ("ledger_streams.cli.topics", "topics", "Kafka topics: apply, check, read, acls."),
    "db": ("ledger_streams.cli.db", "db", "PostgreSQL: upgrade, downgrade, roles, tune, top, size."),
    "backup": (
        "ledger_streams.cli.backup",
        "backup",
        "Backups of the local stack's PostgreSQL: now, list, check.",
    ),
    "restore": (
        "ledger_streams.cli.backup",
        "restore",
        "Restore the local stack's PostgreSQL to a point in time.",
    ),
    "run": ("ledger_streams.cli.run", "run", "Run workers, gateways and projectors under a supervisor."),
    "import": ("ledger_streams.cli.imports", "import_", "Import bank transactions or payments from a file."),
    "wallets": ("ledger_streams.cli.wallets", "wallets", "Wallets: show, list, statement, reopen."),
    "payments": ("ledger_streams.cli.payments", "payments", "Payments: show, list."),
    "sagas": ("ledger_streams.cli.sagas", "sagas", "Sagas in progress: list; settle one by hand."),
    "tables": ("ledger_streams.cli.tables", "tables", "Show the tables in a worker's RocksDB (read-only)."),
    "reconcile": (
        "ledger_streams.cli.reconcile",
        "reconcile",
        "Compare all balances in Kafka, PostgreSQL and Redis.",
    ),
    "audit": (
        "ledger_streams.cli.audit",
        "audit",
        "Tamper evidence: roots, verify, close, proof, check-proof.",
    ),
    "archive": (
        "ledger_streams.cli.archive",
        "archive",
        "Archive old months to files: now, list, verify, attach.",
    ),
    "replay": (
        "ledger_streams.cli.replay",
        "replay",
        "Rebuild projections, a worker's tables, the cache, or lost topics.",
    ),
    "dlq": ("ledger_streams.cli.dlq", "dlq", "Dead letters: list, show, redrive."),
    "projections": (
        "ledger_streams.cli.projections",
        "projections",
        "Parked records of the projector: list, show, retry, discard.",
    ),
    "provider-simulator": (
        "ledger_streams.cli.provider_simulator",
        "provider_simulator",
        "Run a payment provider that injects faults (HTTP).",
    ),
    "bench": (
        "ledger_streams.cli.bench",
        "bench",
        "Run benchmarks (JSON output); needs a checkout of the project.",
    ),
    "completion": (
        "ledger_streams.cli.completion",
        "completion",
        "Print shell completion for bash, zsh or fish.",
    ),
    "demo": ("ledger_streams.cli.demo", "demo", "Run the whole system once on the local stack."),
}
"""Name: module, attribute, line of the overview.  The overview imports nothing."""

FAUST_COMMANDS: dict[str, str] = {
    "worker": "Start a ledger worker: agents, tables, web views (Faust worker).",
    "api": "Start the web views alone, without agents and tables (Faust worker).",
    "gateway": "Start a gateway: it calls payment providers (Faust worker).",
    "projector": "Start a projector: events to PostgreSQL and Redis (Faust worker).",
    "agents": "List agents (Faust).",
    "model": "Show model detail (Faust).",
    "models": "List all available models (Faust).",
    "send": "Send message to agent/topic (Faust).",
    "clean-versions": "Delete old version directories (Faust).",
    "livecheck": "Manage LiveCheck instances (Faust).",
    "reset": "Delete local table state (Faust).",
}
"""Commands on a Faust app.  Faust's own `tables` is left out: ours shows the same and the contents too."""

EXPLAINED = frozenset({"--help", "--version"})
"""Options that work even when the settings are invalid."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells report it."""


class LedgerGroup(click.Group):
    """The light root group: imports a command's module only to run that command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, ours first."""
        return [*OWN_COMMANDS, *FAUST_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of our own commands; during completion also one of Faust's."""
        if cmd_name in FAUST_COMMANDS and ctx.resilient_parsing:
            from ledger_streams.cli.apps import faust_root  # noqa: PLC0415 (only to complete its options)

            return faust_root([cmd_name], {}).get_command(ctx, cmd_name)
        return own_command(cmd_name) if cmd_name in OWN_COMMANDS else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands with the prefix `incomplete` (nothing is imported), or the root's options."""
        lines = {name: line for name, (_, _, line) in OWN_COMMANDS.items()} | FAUST_COMMANDS
        found = [
            CompletionItem(name, help=line) for name, line in lines.items() if name.startswith(incomplete)
        ]
        return found if incomplete[:1] != "-" else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the two tables of commands."""
        own = [(name, line) for name, (_, _, line) in OWN_COMMANDS.items()]
        for title, rows in (
            ("Commands", own),
            ("Faust apps and Faust's own commands", [*FAUST_COMMANDS.items()]),
        ):
            with formatter.section(title):
                formatter.write_dl(rows)


def own_command(name: str) -> click.Command:
    """Import and return the command `name` of `OWN_COMMANDS`."""
    module, attribute, _ = OWN_COMMANDS[name]
    command: click.Command = getattr(import_module(module), attribute)
    return command


@click.group(cls=LedgerGroup, invoke_without_command=False)
@click.version_option(package_name="ledger-streams")
def ledger_streams() -> None:
    """A payment and wallet system as streams on Faust.

    Settings are read from LEDGER_* environment variables; the defaults are those of the local stack.
    Faust's options (--json, --debug, --datadir, --loop, --quiet, ...) go before a Faust command.
    """


def is_for_faust(arguments: Sequence[str]) -> bool:
    """Return whether Faust's root parses the arguments: a Faust command, or an option before any command."""
    if not arguments or arguments[0] in ("--help", "--version"):
        return False
    return arguments[0] in FAUST_COMMANDS or arguments[0].startswith("-")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line `arguments` (default: the process's own); raises SystemExit as click does."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and not EXPLAINED & set(given):
            from ledger_streams.logs import quiet_libraries  # noqa: PLC0415 (--help needs neither)
            from ledger_streams.settings import settings  # noqa: PLC0415

            quiet_libraries()
            settings()
        _call(given)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from ledger_streams.cli.mistakes import error_message  # noqa: PLC0415 (only when it is needed)
        from ledger_streams.cli.output import lines_for_terminal  # noqa: PLC0415

        if (said := error_message(error)) is None:
            raise
        click.echo(f"Error: {lines_for_terminal(said)}", err=True)
        sys.exit(1)


def _call(given: list[str]) -> None:
    if is_for_faust(given):
        from ledger_streams.cli.apps import faust_root  # noqa: PLC0415 (Faust takes most of a second to import)

        own = {name: own_command(name) for name in OWN_COMMANDS if name in given}
        faust_root(given, own)(args=given, prog_name="ledger-streams")
    else:
        ledger_streams(args=given, prog_name="ledger-streams")
