"""What every test runs under."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

LONG = (
    "test_backends.py::test_each_network_takes_a_step_and_is_served[jax]",
    "test_cluster.py::test_an_interrupt_ends_every_process[ray]",
    "test_cluster.py::test_fresh_gives_each_job_a_process_of_its_own[ray]",
    "test_cluster_seeds.py::test_seeds_of_other_processes_are_the_seeds_of_one",
    "test_live_parity.py::test_live_trades_what_paper_trades[okx]",
    "test_live_parity.py::test_live_trades_what_paper_trades[spot]",
)
"""Tests that take half a minute and more, and whose sisters run every time: tried with ``TESTS=all``, or by their name."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long ones, unless all are wanted or one was named."""
    if os.environ.get("TESTS") == "all" or any("::" in argument for argument in config.args):
        return
    dropped = [item for item in items if item.nodeid.endswith(LONG)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if not item.nodeid.endswith(LONG)]


# The machine may be busy: how long an example takes says nothing about the code.
settings.register_profile("bot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bot")
