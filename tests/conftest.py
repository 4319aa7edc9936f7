"""What every test runs under."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.session_search import holds_a_secret, leaks

LONG = (
    "test_lstm.py::test_it_gains_over_the_base_rate_out_of_sample_and_is_no_wiser_for_the_future",
    "test_every_recipe.py::test_a_recipe_is_served_as_it_was_learnt[attention-multitask]",
    "test_architectures.py::test_a_stored_network_is_read_by_another_process",
    "test_sweep.py::test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on",
    "test_report.py::test_a_live_run_says_what_its_exchange_did",
    "test_daemon_agrees.py::test_with_stored_forecasts_all_have_one_hash",
    "test_app.py::test_a_signal_ends_it_in_order_and_the_next_start_goes_on[2]",
    "test_backends.py::test_each_network_takes_a_step_and_is_served[jax]",
    "test_causality_models.py::test_every_recipe_prepares_its_fit_causally[attention-multitask]",
    "test_causality_models.py::test_every_recipe_prepares_its_fit_causally[ensemble]",
    "test_causality_models.py::test_every_recipe_prepares_its_fit_causally[multi-step]",
    "test_cluster.py::test_an_interrupt_ends_every_process[ray]",
    "test_cluster.py::test_fresh_gives_each_job_a_process_of_its_own[ray]",
    "test_cluster.py::TestRounds::test_a_job_that_fails_says_why_and_the_others_go_on[ray]",
    "test_cluster_seeds.py::test_seeds_of_other_processes_are_the_seeds_of_one",
    "test_every_recipe.py::test_a_recipe_is_served_as_it_was_learnt[direction]",
    "test_every_recipe.py::test_a_recipe_is_served_as_it_was_learnt[minmax-close]",
    "test_every_recipe.py::test_a_recipe_is_served_as_it_was_learnt[multi-step]",
    "test_live_parity.py::test_live_trades_what_paper_trades[okx]",
    "test_live_parity.py::test_live_trades_what_paper_trades[spot]",
    "test_every_recipe.py::test_a_recipe_is_served_as_it_was_learnt[return-volatility]",
    "test_pages_live.py::test_a_bot_that_ends_is_said_to_have_ended",
    "test_training.py::test_a_run_that_shall_not_go_on_begins_anew",
    "test_training.py::test_several_seeds_are_averaged_and_their_spread_reported",
    "test_training.py::test_the_same_command_goes_on_where_a_run_was_stopped[KeyboardInterrupt]",
)
"""Tests that take half a minute and more, and whose sisters run every time: tried with ``TESTS=all``, or by their name. So
are all on a cluster of ray, which takes a minute to begin; the same tests run on processes of our own."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long ones, unless all are wanted or one was named."""
    if os.environ.get("TESTS") == "all" or any("::" in argument for argument in config.args):
        return
    dropped = [item for item in items if item.nodeid.endswith(LONG) or "[ray]" in item.nodeid]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        kept = set(items) - set(dropped)
        items[:] = [item for item in items if item in kept]


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """A daemon that a test runs in this process makes every later file private; the next test begins as it was."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


# The machine may be busy: how long an example takes says nothing about the code.
settings.register_profile("bot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bot")


_said: list[str] = []
"""Tests that wrote a marked secret to one of their streams."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at what a test wrote to its streams and to the log of the standard library."""
    said = f"{report.capstdout}{report.capstderr}{report.caplog}"
    if holds_a_secret(said.encode("utf-8", "backslashreplace")):
        _said.append(f"the output of {report.nodeid}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No marked secret may be in anything that the run has left behind; a worker leaves that to who started it."""
    if hasattr(session.config, "workerinput"):
        return
    factory = getattr(session.config, "_tmp_path_factory", None)
    root = getattr(factory, "_basetemp", None)
    found = list(dict.fromkeys(_said)) + (leaks(root) if root is not None else [])
    if found:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"A MARKED SECRET IS IN: {'; '.join(found[:20])}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
