"""The brokers of a local stack: number, ports and controllers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.kafka import Broker, brokers
from ledger_streams.settings import Settings

ONE = "127.0.0.1:29092"
THREE = "127.0.0.1:29092, 127.0.0.1:29093,127.0.0.1:29094"


def brokers_of(kafka: str, stack: Path, count: int | None = None) -> list[Broker]:
    return brokers(Settings.model_validate({"kafka": kafka}), stack, count)


def test_one_address_is_one_broker_with_its_controller_one_port_above(tmp_path: Path) -> None:
    (broker,) = brokers_of(ONE, tmp_path)
    assert (broker.name, broker.port, broker.controller_ports) == ("kafka-1", 29092, (29093,))


@pytest.mark.parametrize(("kafka", "count"), [(THREE, None), (THREE, 3), (ONE, 3)])
def test_three_brokers_in_a_row_have_their_controllers_in_a_row_after_them(
    tmp_path: Path, kafka: str, count: int | None
) -> None:
    three = brokers_of(kafka, tmp_path, count)
    assert [(broker.name, broker.port) for broker in three] == [
        ("kafka-1", 29092),
        ("kafka-2", 29093),
        ("kafka-3", 29094),
    ]
    assert {broker.controller_ports for broker in three} == {(29095, 29096, 29097)}


def test_a_stack_keeps_the_number_of_brokers_it_was_created_with(tmp_path: Path) -> None:
    (tmp_path / "kafka-1").mkdir()
    voters = "controller.quorum.voters=1@127.0.0.1:29095,2@127.0.0.1:29096,3@127.0.0.1:29097\n"
    (tmp_path / "kafka-1" / "server.properties").write_text(voters)
    assert len(brokers_of(ONE, tmp_path)) == len(brokers_of(THREE, tmp_path)) == 3
    with pytest.raises(Unavailable, match=r"the stack was created with 3 broker\(s\), not 2"):
        brokers_of(THREE.rpartition(",")[0], tmp_path)
    with pytest.raises(Unavailable, match=r"the stack was created with 3 broker\(s\), not 1"):
        brokers_of(ONE, tmp_path, count=1)
