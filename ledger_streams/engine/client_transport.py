"""Client transport: Faust's aiokafka transport, whose producer reaches Kafka as all our clients do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver

from ledger_streams.kafka.client_options import options
from ledger_streams.kafka_settings import client_options


class ClientProducer(driver.Producer):
    """Faust's own producer; nothing is sent with it, but it connects when an app starts."""

    def _settings_auth(self) -> Mapping[str, Any]:
        return options(client_options(self.app.engine_settings))


class ClientTransport(driver.Transport):
    """The transport of every app of ours."""

    Producer = ClientProducer
