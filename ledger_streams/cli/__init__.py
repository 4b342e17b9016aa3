"""The commands: one module a noun, imported only when its command is called.

The console script has two roots over one table of commands.  A light one answers
for our own nouns without importing Faust, so that `--help` is quick.  Whatever is
Faust's (its commands, or its options before a command) goes to Faust's own root,
where our commands stand beside them: every option of a Faust worker works.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem

OWN_COMMANDS: dict[str, tuple[str, str, str]] = {
    "stack": ("ledger_streams.cli.stack", "stack", "The local stack of real components: up, down, status."),
    "topics": ("ledger_streams.cli.topics", "topics", "The topics: apply, check, read, acls."),
    "db": ("ledger_streams.cli.db", "db", "The database: upgrade, roles, tune, top, size."),
    "backup": (
        "ledger_streams.cli.backup",
        "backup",
        "Backups of the local stack's PostgreSQL: now, list, check.",
    ),
    "restore": ("ledger_streams.cli.backup", "restore", "PostgreSQL of the local stack as of a moment."),
    "run": ("ledger_streams.cli.run", "run", "Workers, gateway and projector on this machine, supervised."),
    "import": ("ledger_streams.cli.imports", "import_", "Import bank transactions or payments from a file."),
    "wallets": ("ledger_streams.cli.wallets", "wallets", "Look at wallets: show, list."),
    "payments": ("ledger_streams.cli.payments", "payments", "Look at payments: show."),
    "sagas": ("ledger_streams.cli.sagas", "sagas", "Sagas under way: list, and settle by hand."),
    "tables": ("ledger_streams.cli.tables", "tables", "The tables of a worker's RocksDB, read-only."),
    "reconcile": ("ledger_streams.cli.reconcile", "reconcile", "Compare log, PostgreSQL and Redis."),
    "audit": ("ledger_streams.cli.audit", "audit", "Tamper evidence: roots, verify, close, proofs."),
    "archive": ("ledger_streams.cli.archive", "archive", "Old months in files: now, list, verify, attach."),
    "replay": (
        "ledger_streams.cli.replay",
        "replay",
        "Make again: projections, a worker's tables, the cache.",
    ),
    "dlq": ("ledger_streams.cli.dlq", "dlq", "Dead letters: list, show, redrive."),
    "projections": (
        "ledger_streams.cli.projections",
        "projections",
        "Records that could not be projected: list, show, retry, discard.",
    ),
    "provider-simulator": (
        "ledger_streams.cli.provider_simulator",
        "provider_simulator",
        "A payment provider over HTTP that misbehaves.",
    ),
    "bench": ("ledger_streams.cli.bench", "bench", "Benchmarks, JSON out; they need the project's checkout."),
    "completion": ("ledger_streams.cli.completion", "completion", "Tab completion: bash, zsh, fish."),
    "demo": ("ledger_streams.cli.demo", "demo", "The main job end to end on the local stack."),
}
"""Name: module, attribute, and the line of the overview (so that the overview imports nothing)."""

FAUST_COMMANDS: dict[str, str] = {
    "worker": "A ledger worker: agents, tables, web views (Faust worker).",
    "api": "The web views alone, without agents and tables (Faust worker).",
    "gateway": "A gateway: calls of payment providers (Faust worker).",
    "projector": "A projector: wallet and payment events to PostgreSQL and Redis (Faust worker).",
    "agents": "List agents (Faust).",
    "model": "Show model detail (Faust).",
    "models": "List all available models (Faust).",
    "send": "Send message to agent/topic (Faust).",
    "clean-versions": "Delete old version directories (Faust).",
    "livecheck": "Manage LiveCheck instances (Faust).",
    "reset": "Delete local table state (Faust).",
}
"""Commands on a Faust app.  Faust's `tables` is left out: ours shows the same and what is in them."""


EXPLAINED = frozenset({"--help", "--version"})
"""Options that are answered whatever the settings are."""
INTERRUPTED = 130
"""As a shell says of a command that Ctrl-C has ended."""


class LedgerGroup(click.Group):
    """The light root: knows every command's name and line, imports a module only to call it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, ours first."""
        return [*OWN_COMMANDS, *FAUST_COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of our own commands, and for completion also one of Faust's."""
        if cmd_name in FAUST_COMMANDS and ctx.resilient_parsing:
            from ledger_streams.cli.apps import faust_root  # noqa: PLC0415 (only to complete its options)

            return faust_root([cmd_name], {}).get_command(ctx, cmd_name)
        return own_command(cmd_name) if cmd_name in OWN_COMMANDS else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, without importing them, or the root's options."""
        lines = {name: line for name, (_, _, line) in OWN_COMMANDS.items()} | FAUST_COMMANDS
        found = [
            CompletionItem(name, help=line) for name, line in lines.items() if name.startswith(incomplete)
        ]
        return found if incomplete[:1] != "-" else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the two tables alone."""
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

    Settings come from LEDGER_* environment variables; the defaults are the local stack's.
    Options of Faust (--json, --debug, --datadir, --loop, --quiet, ...) may stand before Faust's commands.
    """


def is_for_faust(arguments: Sequence[str]) -> bool:
    """Say whether Faust's root has to read the arguments: its command, or its options before any command."""
    if not arguments or arguments[0] in ("--help", "--version"):
        return False
    return arguments[0] in FAUST_COMMANDS or arguments[0].startswith("-")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of `arguments` (of the process, when None); raises SystemExit as click does."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and not EXPLAINED & set(given):
            from ledger_streams.logs import quiet_libraries  # noqa: PLC0415 (help needs neither)
            from ledger_streams.settings import settings  # noqa: PLC0415

            quiet_libraries()
            settings()
        _call(given)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        from ledger_streams.cli.mistakes import sentence  # noqa: PLC0415 (only when it is needed)
        from ledger_streams.cli.output import lines_for_terminal  # noqa: PLC0415

        if (said := sentence(error)) is None:
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
