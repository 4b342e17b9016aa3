"""Kafka: brokers from Maven's jars, each of them a controller too (KRaft, static voters).

Each address of `Settings.kafka` is a broker; further brokers take the ports after the
last address, and the controllers take the ports after all brokers.  Three brokers use
29092 to 29097, one broker 29092 and 29093.  The number of brokers is fixed when the stack
is created; it is read from the voters in the first broker's configuration.
"""

from __future__ import annotations

import base64
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from ledger_streams.errors import Unavailable
from ledger_streams.kafka.brokers import count_brokers
from ledger_streams.local.stack.install import TEMPLATES, Say, cache, fetch_once, maven, program, run
from ledger_streams.local.stack.server import local_port, port_is_open, render
from ledger_streams.local.stack.tls import ADMIN, Tls, tls, write_secret
from ledger_streams.settings import Settings

VERSION: Final = "4.3.1"
HEAP_MAX_ALONE: Final = "1g"
HEAP_MAX_OF_SEVERAL: Final = "512m"
"""Heap of one of several brokers: it stores the same topics, but serves a part of the requests only."""
REPLICAS_MAX: Final = 3
PROBE_TIMEOUT_MS: Final = 5_000
CLEANUP_MS: Final = 1_000
CLEANUP_MS_DEFAULT: Final = 10_000
"""Kafka's default interval of the search for transactions that have timed out."""


@dataclass(frozen=True)
class Broker:
    """Broker `ports.index(port) + 1` of a cluster on `ports`."""

    folder: Path
    port: int
    ports: tuple[int, ...]
    tls: Tls | None = None

    @property
    def node_id(self) -> int:
        """Return the broker's number, from 1."""
        return self.ports.index(self.port) + 1

    @property
    def controller_ports(self) -> tuple[int, ...]:
        """Return the ports of all controllers, in the brokers' order."""
        return tuple(max(self.ports) + number for number in range(1, len(self.ports) + 1))

    @property
    def name(self) -> str:
        """Return kafka-1, kafka-2, ..."""
        return f"kafka-{self.node_id}"

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of a controlled shutdown."""
        return signal.SIGTERM

    def prepare(self, say: Say) -> bool:
        """Fetch the jars, write the configuration, format the data folder if it is new."""
        fetch_jars(say)
        java = program("java", package="default-jre-headless", dependency="kafka", say=say)
        changed = write_secret(self._configuration, self._properties())
        if not (self.folder / "data" / "meta.properties").exists():
            say(f"{self.name}: formatting {self.folder / 'data'}")
            arguments = ["format", "--cluster-id", self._cluster_id(), "--config", str(self._configuration)]
            arguments += self._scram()
            storage_tool = [*self._java(java), "kafka.tools.StorageTool", *arguments, "--ignore-formatted"]
            run(storage_tool, dependency="kafka", cwd=self.folder)
        return changed

    def command(self) -> list[str]:
        """Return the broker's command."""
        java = program("java", package="default-jre-headless", dependency="kafka", say=print)
        heap = [
            "-Xms256m",
            f"-Xmx{HEAP_MAX_ALONE if len(self.ports) == 1 else HEAP_MAX_OF_SEVERAL}",
            "-XX:+ExitOnOutOfMemoryError",
            f"-XX:ErrorFile={self.folder}/hs_err.log",
        ]
        return [*self._java(java, *heap), "kafka.Kafka", str(self._configuration)]

    async def complaint(self) -> str | None:
        """Request the metadata; healthy if it contains every broker of the cluster."""
        if not await port_is_open(self.port):
            return f"no process listens on port {self.port}"
        address = f"127.0.0.1:{self.port}"
        bootstrap = address if self.tls is None else self.tls.admin(address)
        try:
            present = await count_brokers(bootstrap, timeout_ms=PROBE_TIMEOUT_MS)
        except (KafkaError, OSError) as error:
            return str(error) or type(error).__name__
        return (
            None if present == len(self.ports) else f"{present} of {len(self.ports)} brokers have registered"
        )

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    def _properties(self) -> str:
        voters = [f"{number}@127.0.0.1:{port}" for number, port in enumerate(self.controller_ports, start=1)]
        replicas = min(len(self.ports), REPLICAS_MAX)
        text = render(
            TEMPLATES / "kafka" / "server.properties",
            protocol="PLAINTEXT" if self.tls is None else "SASL_SSL",
            cleanup_interval_ms=CLEANUP_MS if self.tls is None else CLEANUP_MS_DEFAULT,
            node_id=self.node_id,
            voters=",".join(voters),
            port=self.port,
            controller_port=self.controller_ports[self.node_id - 1],
            data=self.folder / "data",
            replicas=replicas,
            min_isr=max(1, replicas - 1),
            **self._detours(),
        )
        return text if self.tls is None else text + self._security(self.tls)

    def _security(self, tls: Tls) -> str:
        """Return the configuration of TLS, users and the authorizer."""
        users = " ".join(f'user_{name}="{password}"' for name, password in tls.users.items())
        own = f'required username="{ADMIN}" password="{tls.users[ADMIN]}"'
        return render(
            TEMPLATES / "kafka" / "security.properties",
            keystore=tls.keystore,
            ca=tls.ca,
            plain=f"org.apache.kafka.common.security.plain.PlainLoginModule {own} {users};",
            scram="org.apache.kafka.common.security.scram.ScramLoginModule required;",
        )

    def _scram(self) -> list[str]:
        """Return the format options that create the SCRAM users; PLAIN's users are in the configuration."""
        users = {} if self.tls is None else self.tls.users
        return [
            word
            for name, password in users.items()
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for word in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]

    def _detours(self) -> dict[str, str]:
        """Return further listeners, for tests with a proxy before the broker.

        Each line of the file `detours` in the folder has a listener's port and its advertised port.  A
        client that connects through the proxy is directed through the proxy again.
        """
        file = self.folder / "detours"
        lines = file.read_text().splitlines() if file.is_file() else []
        pairs = [(f"DETOUR{number}", *line.split()) for number, line in enumerate(lines, start=1)]
        return {
            "detours_listened": "".join(f",{name}://127.0.0.1:{port}" for name, port, _ in pairs),
            "detours_advertised": "".join(f",{name}://127.0.0.1:{port}" for name, _, port in pairs),
            "detours_protocols": "".join(f",{name}:PLAINTEXT" for name, _, _ in pairs),
        }

    def _cluster_id(self) -> str:
        """Return the cluster id, derived from the stack's folder; the zero byte avoids a leading dash."""
        name = uuid.uuid5(uuid.NAMESPACE_URL, str(self.folder.parent))
        return base64.urlsafe_b64encode(b"\0" + name.bytes[1:]).decode().rstrip("=")

    @staticmethod
    def _java(java: str, *options: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={TEMPLATES / 'kafka' / 'log4j2.properties'}"
        return [java, *options, logging, "-cp", f"{jars()}/*"]


def brokers(settings: Settings, stack: Path, count: int | None) -> list[Broker]:
    """Return the stack's brokers: as many as it was created with, else `count`, else one per address."""
    addresses = [address.strip() for address in settings.kafka.split(",")]
    given = [local_port(address, dependency="kafka") for address in addresses]
    created, wanted = _created(stack), count or (len(given) if len(given) > 1 else None)
    if created and wanted is not None and wanted != created:
        detail = (
            f"the stack was created with {created} broker(s), not {wanted}: "
            f"set another LEDGER_HOME or remove {stack}"
        )
        raise Unavailable(dependency="kafka", detail=detail)
    total = created or wanted or 1
    following = range(max(given) + 1, max(given) + 1 + total)
    ports = (*given, *following)[:total]
    own = tls(stack)
    return [Broker(stack / f"kafka-{number}", port, ports, own) for number, port in enumerate(ports, start=1)]


def _created(stack: Path) -> int:
    """Return the number of brokers that the stack was created with; 0 if it is new."""
    configuration = stack / "kafka-1" / "server.properties"
    return configuration.read_text().count("@127.0.0.1:") if configuration.is_file() else 0


def jars() -> Path:
    """Return the folder of Kafka's jars."""
    return cache() / f"kafka-{VERSION}"


def fetch_jars(say: Say) -> None:
    """Fetch the jars with Maven unless they are in the cache."""
    if jars().is_dir():
        return
    say(f"kafka: fetching Apache Kafka {VERSION} from Maven to {jars()}")
    pom = str(TEMPLATES / "kafka" / "pom.xml")

    def copy(folder: Path) -> None:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        maven(["-f", pom, *goal], dependency="kafka", say=say)

    fetch_once(jars(), copy)
