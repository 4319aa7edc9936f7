"""Which part of the troubles is tried: all of them with ``CHAOS=all`` (``make chaos``), else one test of each scenario.

Which test and variant that is follows from the scenario's number, so that it is the same in every run.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import re
import zlib
from pathlib import Path

import pytest

from tests.calm_hour import Calm, live_calmly

SCENARIO = re.compile(r"test_scenarios_.*::test_(\d+)_")
PARITY = re.compile(r"(test_live_parity)\..*\[maker")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave one test of each scenario, unless all are wanted or one was named; and no live run with maker entries."""
    if os.environ.get("CHAOS") == "all" or any("[" in argument for argument in config.args):
        return
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        if found := SCENARIO.search(item.nodeid):
            variants.setdefault(found[1], []).append(item)
    left_out = {
        id(item)
        for name, group in variants.items()
        for number, item in enumerate(group)
        if number != zlib.crc32(name.encode()) % len(group)
    } | {id(item) for item in items if PARITY.search(item.nodeid)}
    dropped = [item for item in items if id(item) in left_out]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if id(item) not in left_out]


class _Calms(dict[str, Calm]):
    """An hour of each market, lived once when it is first asked for, whichever process of the run asks."""

    def __init__(self, shared: Path) -> None:
        super().__init__()
        self._shared = shared

    def __missing__(self, kind: str) -> Calm:
        folder = self._shared / f"calm-{kind}"
        folder.mkdir(exist_ok=True)
        lived = folder / "lived.pickle"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not lived.exists():
                lived.write_bytes(pickle.dumps(live_calmly(folder, kind)))
        self[kind] = pickle.loads(lived.read_bytes())  # noqa: S301 - written above, by this very run
        return self[kind]


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Calm]:
    """An hour of live trading on a market, in which nothing goes wrong."""
    base = tmp_path_factory.getbasetemp()
    # Workers of xdist have a folder each, in the folder of the run.
    return _Calms(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
