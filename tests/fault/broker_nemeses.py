"""Nemeses of a cluster: faults of one or two brokers of three; see nemeses.py.

Each waits until the other brokers lead the lost one's partitions, then for further steps of the
workload, and at the end until all replicas are in sync again.
"""

from __future__ import annotations

import signal
from typing import Final

from tests.fault import cluster
from tests.fault.nemeses import Nemesis
from tests.fault.testbed import STRETCH, Testbed


async def leader_of_most_killed(testbed: Testbed) -> None:
    await _without(testbed, await cluster.leader_of_most(testbed))


async def group_coordinator_killed(testbed: Testbed) -> None:
    await _without(testbed, await cluster.coordinator_of_group(testbed))


async def transaction_coordinator_killed(testbed: Testbed) -> None:
    await _without(testbed, await cluster.coordinator_of_transactions(testbed))


async def active_controller_killed(testbed: Testbed) -> None:
    await _without(testbed, cluster.active_controller(testbed))


async def brokers_restarted_in_turn(testbed: Testbed) -> None:
    for name in testbed.brokers:
        await testbed.kill_server(name, signal.SIGTERM)
        await testbed.servers_up()
        await cluster.in_sync(testbed)


async def two_of_three_brokers_killed(testbed: Testbed) -> None:
    for name in testbed.brokers[1:]:
        await testbed.kill_server(name)
    await testbed.further(2 * STRETCH)
    await testbed.servers_up()
    await cluster.in_sync(testbed)


async def leader_of_most_paused(testbed: Testbed) -> None:
    """Pause it beyond its session with the controller: it wakes as a leader that others have replaced."""
    name = await cluster.leader_of_most(testbed)
    testbed.signal_server(name, signal.SIGSTOP)
    try:
        await cluster.led_without(testbed, name)
        await testbed.further(STRETCH)
    finally:
        testbed.signal_server(name, signal.SIGCONT)
    await cluster.in_sync(testbed)


async def _without(testbed: Testbed, name: str) -> None:
    """Kill a broker, have the others do its work for a while, and start it again."""
    await testbed.kill_server(name)
    await cluster.led_without(testbed, name)
    await testbed.further(STRETCH)
    await testbed.servers_up()
    await cluster.in_sync(testbed)


BROKER_NEMESES: Final[tuple[Nemesis, ...]] = (
    leader_of_most_killed,
    group_coordinator_killed,
    transaction_coordinator_killed,
    active_controller_killed,
    brokers_restarted_in_turn,
    two_of_three_brokers_killed,
    leader_of_most_paused,
)
