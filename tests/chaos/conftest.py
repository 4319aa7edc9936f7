"""Which part of the troubles is tried: all of them with ``CHAOS=all`` (``make chaos``), else one variant of each scenario.

Which variant that is follows from the scenario's name, so that it is the same in every run, and the variants that are
tried differ from scenario to scenario.
"""

from __future__ import annotations

import os
import zlib

import pytest

from tests.calm_hour import SPOT, USDM, Calm, live_calmly

SCENARIOS = "test_scenarios_"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave one variant of each scenario, unless all are wanted or one was named."""
    if os.environ.get("CHAOS") == "all" or any("[" in argument for argument in config.args):
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        if SCENARIOS in item.nodeid:
            variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = {
        id(item)
        for name, group in variants.items()
        for number, item in enumerate(group)
        if number != zlib.crc32(name.encode()) % len(group)
    }
    dropped = [item for item in items if id(item) in left_out]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if id(item) not in left_out]


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Calm]:
    """An hour of live trading on both markets, in which nothing goes wrong."""
    return {kind: live_calmly(tmp_path_factory.mktemp(kind), kind) for kind in (USDM, SPOT)}
