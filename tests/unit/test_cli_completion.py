"""`completion`: the scripts of three shells, and the completions for Tab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ledger_streams", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def completed(*words: str, shell: str = "bash", **environment: str) -> list[str]:
    """Return what Tab offers after the words, the last of which is begun."""
    asked = {"COMP_WORDS": " ".join(["ledger-streams", *words]), "COMP_CWORD": str(len(words))}
    done = run(_LEDGER_STREAMS_COMPLETE=f"{shell}_complete", **asked, **environment)
    assert done.returncode == 0, done.stderr
    return [line.split(",")[1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_works_for_each_shell(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert f"_LEDGER_STREAMS_COMPLETE={shell}_complete" in done.stdout
    assert run("completion", SHELL=f"/usr/bin/{shell}").stdout == done.stdout
    if found := shutil.which(shell):
        assert subprocess.run([found, "-n"], input=done.stdout, text=True, check=False).returncode == 0


def test_completion_without_a_known_shell_names_the_supported_ones() -> None:
    done = run("completion", SHELL="/bin/false")
    assert done.returncode == 2
    assert "bash, zsh, fish" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("rec",), {"reconcile"}),
        (("proj",), {"projector"}),
        (("topics", ""), {"apply", "check", "read"}),
        (("reconcile", "--rock"), {"--rocksdb"}),
        (("dlq", "redrive", "pay"), {"payment-events"}),
        (("worker", "--web-p"), {"--web-port"}),
    ],
)
def test_tab_completes_commands_options_and_topics(words: tuple[str, ...], expected: set[str]) -> None:
    assert expected <= set(completed(*words))


def test_tab_completion_works_with_invalid_settings() -> None:
    assert completed("rec", LEDGER_HTTPPORT="1") == ["reconcile"]
