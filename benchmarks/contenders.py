"""The contenders of the case `wallets`: how each is started, and its log line at the start of work.

Each contender is one process with topics of its own.  The packages of a peer are installed
into a folder of the cache, in the versions of the extra `peers` of pyproject.toml.
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
    """An implementation of the task; `arguments` are those for Python."""

    name: str
    arguments: tuple[str, ...]
    begins: str = BEGINS
    is_exactly_once: bool = True
    package: str = ""
    """Its distribution in the extra `peers`, if it has one."""

    def task(self, settings: Settings) -> Task:
        """Return its topics and group; all names begin with the system's prefix."""
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
        """Return its process, not started yet; the first call fetches its packages."""
        environment = self.task(settings).environment()
        if self.package:
            environment["PYTHONPATH"] = str(packages_of(self.package))
        command = [sys.executable, *self.arguments]
        return Process(self.name, command, environment, settings.home / f"{self.name}.log")


class Ours(Contender):
    """A worker of this project, on the project's topics."""

    def task(self, settings: Settings) -> Task:
        events, outcomes = (settings.topic(name) for name in (topics.WALLET_EVENTS, topics.SAGA_EVENTS))
        return super().task(settings)._replace(events=events, outcomes=outcomes)

    def ready_to_start(self, settings: Settings) -> Process:
        command = [sys.executable, *self.arguments]
        environment = LiveSystem(settings).environment()
        return Process(self.name, command, environment, settings.home / f"{self.name}.log")


class KafkaStreams(Contender):
    """Kafka Streams in Java: jars from Maven; `java` compiles the single source file at its start."""

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
    """Return the folder with a package of the extra `peers` and its dependencies, installed by pip."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (requirement,) = (
        line for line in project["optional-dependencies"]["peers"] if line.partition("==")[0] == package
    )
    pip = [sys.executable, "-m", "pip", "install", "-q", requirement, "--target"]
    folder = cache() / requirement.replace("==", "-")
    return fetch_once(folder, lambda scratch: _run([*pip, str(scratch)], package))


def quiet(_line: str) -> None:
    """Print nothing: stdout is for the result."""


def _copy_jars(folder: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    maven(["-f", str(JAVA / "pom.xml"), *goal], dependency="kafka-streams", say=quiet)


def _run(command: list[str], package: str) -> None:
    run(command, dependency=package)
