"""Sentences about health, and the figures out of the daemon's metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.daemon.metric_families import Families
from bot.dashboard.health_page import Disk, figures_of, health_page, look_at_disk
from bot.dashboard.overview import Moment


def checks(running: bool = True, **daemon: object) -> dict[str, tuple[bool, str]]:
    """What is said of a daemon."""
    told = {"process_id": 7, "healthy": True, "ready": True, "stalled": False, "since_decided_seconds": 3.0}
    page = health_page(
        None, "no journal", None, Moment(0, 0.0, running, "1"), told | daemon, Disk(10**12, 1, 1), {}
    )
    return {row["name"]: (row["ok"], row["sentence"]) for row in page["checks"]}


def test_each_state_of_a_daemon_has_its_sentence() -> None:
    """Gone, mute, starting, stalled, well."""
    assert checks()["progress"][0] is True
    assert "past" in checks(running=False)["daemon"][1]
    assert "answers" in checks(healthy=None)
    assert "getting ready" in checks(ready=False)["progress"][1]
    stalled = checks(stalled=True, since_decided_seconds=200.0)["progress"]
    assert stalled == (False, "No minute was decided for 200 seconds.")
    assert checks()["journal"] == (False, "no journal")


def test_a_disk_that_is_nearly_full_is_said(tmp_path: Path) -> None:
    """And one that does not say; sizes of what is not there are zero."""
    for free, ok in ((10, False), (None, False), (5 * 10**9, True)):
        page = health_page(None, None, None, Moment(0, 0.0, False, "1"), {}, Disk(free, 0, 0), {})
        assert page["checks"][-1]["ok"] is ok
    assert look_at_disk(tmp_path, tmp_path / "x", tmp_path / "y")[1:] == (0, 0)


def test_figures_are_those_of_the_daemons_metrics() -> None:
    """Counts as they are, quantiles within their bucket, and null for what was never counted."""
    from prometheus_client import generate_latest

    families = Families()
    for seconds in [0.0021] * 98 + [0.2] * 2:
        families.close_to_decision.observe(seconds)
    found = figures_of(generate_latest(families.registry).decode())
    p50, p99 = found["close_to_decision_p50_ms"], found["close_to_decision_p99_ms"]
    assert p50 is not None
    assert p99 is not None
    assert 1.0 <= p50 <= 5.0
    assert 100.0 <= p99 <= 500.0
    assert found["event_loop_lag_p99_ms"] is None
    assert found["reconnects"] == 0.0
    assert set(found) == set(figures_of(None))


@pytest.mark.parametrize("text", ["", "no metrics { at all", "a{b=c} d\n", "x 1\n"])
def test_a_text_that_is_none_has_no_figures(text: str) -> None:
    """Whatever answers on that port."""
    assert set(figures_of(text).values()) == {None}
