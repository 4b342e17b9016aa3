"""`completion`: the shell script that completes commands, options and topics with Tab."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_LEDGER_STREAMS_COMPLETE"
"""click derives this variable from the program's name."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the completion script for SHELL (default: by the environment variable SHELL).

    \b
    bash: eval "$(ledger-streams completion bash)"    in ~/.bashrc
    zsh:  eval "$(ledger-streams completion zsh)"     in ~/.zshrc
    fish: ledger-streams completion fish | source     in ~/.config/fish/config.fish
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(name) if name in SHELLS else None
    if kind is None:
        raise click.UsageError(f"SHELL: must be one of {', '.join(SHELLS)}, got {name[:60] or 'nothing'}")
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "ledger-streams", VARIABLE).source())
