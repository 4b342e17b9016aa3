"""Nemeses of a cluster: what goes wrong with one broker of three, or two; see nemeses.py.

What counts is what the others do meanwhile, so each waits until they lead what the lost
one has led, and for the workload, and at the end until all replicas are in sync again.
"""

from __future__ import annotations

import signal
from typing import Final

from tests.fault import cluster
from tests.fault.nemeses import Nemesis
from tests.fault.testbed import STRETCH, Stage


async def leader_of_most_killed(stage: Stage) -> None:
    await _without(stage, await cluster.leader_of_most(stage))


async def group_coordinator_killed(stage: Stage) -> None:
    await _without(stage, await cluster.coordinator_of_group(stage))


async def transaction_coordinator_killed(stage: Stage) -> None:
    await _without(stage, await cluster.coordinator_of_transactions(stage))


async def active_controller_killed(stage: Stage) -> None:
    await _without(stage, cluster.active_controller(stage))


async def brokers_restarted_in_turn(stage: Stage) -> None:
    for name in stage.brokers:
        await stage.kill_server(name, signal.SIGTERM)
        await stage.servers_up()
        await cluster.in_sync(stage)


async def two_of_three_brokers_killed(stage: Stage) -> None:
    for name in stage.brokers[1:]:
        await stage.kill_server(name)
    await stage.further(2 * STRETCH)
    await stage.servers_up()
    await cluster.in_sync(stage)


async def leader_of_most_paused(stage: Stage) -> None:
    """Pause it beyond its session with the controller: it wakes as a leader that others have replaced."""
    name = await cluster.leader_of_most(stage)
    stage.signal_server(name, signal.SIGSTOP)
    try:
        await cluster.led_without(stage, name)
        await stage.further(STRETCH)
    finally:
        stage.signal_server(name, signal.SIGCONT)
    await cluster.in_sync(stage)


async def _without(stage: Stage, name: str) -> None:
    """Kill a broker, have the others do its work for a while, and start it again."""
    await stage.kill_server(name)
    await cluster.led_without(stage, name)
    await stage.further(STRETCH)
    await stage.servers_up()
    await cluster.in_sync(stage)


BROKER_NEMESES: Final[tuple[Nemesis, ...]] = (
    leader_of_most_killed,
    group_coordinator_killed,
    transaction_coordinator_killed,
    active_controller_killed,
    brokers_restarted_in_turn,
    two_of_three_brokers_killed,
    leader_of_most_paused,
)
