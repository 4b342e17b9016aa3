"""The contenders of the case `wallets`: how each is started, and what its log says when it begins.

Each is one process of its own with topics of its own.  A peer with packages that differ from
this project's gets them in a folder of the cache, from the extra `peers` of pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers.task import BEGINS, Task
from ledger_streams import topics
from ledger_streams.local.stack.install import cache, fetch_once, maven, program, run
from ledger_streams.local.stack.kafka import VERSION
from ledger_streams.settings import Settings
from tests.conftest import ROOT
from tests.live import LiveSystem, Process

PEERS: Final = "benchmarks.peers"
JAVA: Final = ROOT / "tests" / "bench" / "peers" / "kafka_streams"
FAUST_WORKER: Final = ("worker", "--without-web", "-l", "info")


@dataclass(frozen=True)
class Contender:
    """A way to carry commands out; `arguments` are those of Python."""

    name: str
    arguments: tuple[str, ...]
    begins: str = BEGINS
    is_exactly_once: bool = True
    package: str = ""
    """Its distribution, if it is one of the extra `peers`."""

    def task(self, settings: Settings) -> Task:
        """Return where it reads and writes; all names begin with the system's prefix."""
        name = settings.topic(self.name)
        return Task(
            kafka=settings.kafka,
            group=name,
            commands=settings.topic(topics.WALLET_COMMANDS),
            events=f"{name}-events",
            outcomes=f"{name}-outcomes",
            folder=str(settings.home / self.name),
        )

    def ready_to_start(self, settings: Settings) -> Process:
        """Return its process, not started yet; what it needs is fetched the first time."""
        environment = self.task(settings).environment()
        if self.package:
            environment["PYTHONPATH"] = str(packages_of(self.package))
        command = [sys.executable, *self.arguments]
        return Process(self.name, command, environment, settings.home / f"{self.name}.log")


class Ours(Contender):
    """A worker of this project, which has its own topics."""

    def task(self, settings: Settings) -> Task:
        events, outcomes = (settings.topic(name) for name in (topics.WALLET_EVENTS, topics.SAGA_EVENTS))
        return super().task(settings)._replace(events=events, outcomes=outcomes)

    def ready_to_start(self, settings: Settings) -> Process:
        command = [sys.executable, *self.arguments]
        environment = LiveSystem(settings).environment()
        return Process(self.name, command, environment, settings.home / f"{self.name}.log")


class KafkaStreams(Contender):
    """Java: the jars are Maven's, and the one source file is compiled by the `java` that runs it."""

    def ready_to_start(self, settings: Settings) -> Process:
        java = program("java", package="default-jdk-headless", dependency=self.name, say=quiet)
        jars = fetch_once(cache() / f"kafka-streams-{VERSION}", _copy_jars)
        command = [java, "-cp", f"{jars}/*", str(JAVA / "Wallets.java")]
        return Process(
            self.name, command, self.task(settings).environment(), settings.home / f"{self.name}.log"
        )


OURS: Final = Ours(
    "ours", ("-m", "ledger_streams", "-A", f"{PEERS}.ours", *FAUST_WORKER), begins="ready: 8 partitions"
)
CONTENDERS: Final[Mapping[str, Contender]] = {
    contender.name: contender
    for contender in (
        OURS,
        Contender("faust", ("-m", f"{PEERS}.faust_agent", *FAUST_WORKER), is_exactly_once=False),
        Contender("aiokafka", ("-m", f"{PEERS}.aiokafka_loop")),
        Contender("quix", ("-m", f"{PEERS}.quix_dataframe"), package="quixstreams"),
        KafkaStreams("kafka-streams", ()),
    )
}


def packages_of(package: str) -> Path:
    """Return the folder with a package of the extra `peers` and all that it needs, fetched by pip."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = (
        line for line in project["optional-dependencies"]["peers"] if line.partition("==")[0] == package
    )
    pip = [sys.executable, "-m", "pip", "install", "-q", requirement, "--target"]
    folder = cache() / requirement.replace("==", "-")
    return fetch_once(folder, lambda scratch: _run([*pip, str(scratch)], package))


def quiet(_line: str) -> None:
    """Say nothing: stdout is for figures."""


def _copy_jars(folder: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    maven(["-f", str(JAVA / "pom.xml"), *goal], dependency="kafka-streams", say=quiet)


def _run(command: list[str], package: str) -> None:
    run(command, dependency=package)
