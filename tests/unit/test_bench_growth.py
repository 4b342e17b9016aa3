"""Growth benchmark: ratios to the smallest size."""

from __future__ import annotations

from benchmarks.growth import GrowthCost, compared_to_smallest


def test_a_cost_is_the_worker_s_cpu_time_if_measured() -> None:
    grown = compared_to_smallest([GrowthCost(10, 5_000.0, 40.0), GrowthCost(100, 5_000.0, 50.0)])
    assert [one.cost_to_smallest for one in grown] == [1.0, 1.25]


def test_a_cost_without_cpu_time_is_elapsed_time() -> None:
    grown = compared_to_smallest([GrowthCost(10, 5_000.0), GrowthCost(100, 2_500.0)])
    assert [one.cost_to_smallest for one in grown] == [1.0, 2.0]
