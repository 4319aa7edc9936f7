"""The median time of a forecast."""

from __future__ import annotations

from models.latency import WARM_UPS, median_microseconds


def test_the_median_is_that_of_the_calls() -> None:
    """Calls that take 1, 2, ... microseconds by the clock have their middle as median, within its interval."""
    now = [0]
    seen: list[int] = []

    def call(number: int) -> None:
        seen.append(number)
        now[0] += (number + 1) * 1000

    found = median_microseconds(call, lambda: now[0], runs=101)
    assert found.value == 51.0
    assert (found.low, found.high) == (41.0, 61.0)
    assert seen == [*range(WARM_UPS), *range(101)]
