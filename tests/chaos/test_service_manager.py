"""Under a manager that speaks systemd's protocol: a start, a feed that stalls, the watchdog, a restart, a stop, and every order."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from tests.calm_hour import SETTINGS, USDM, Calm, assert_sound, fault
from tests.live_rig import FIRST_MS, await_end_of_exchange, events, outcome, prepare, said, start
from tests.order_rig import PROTECTION_MS
from tests.systemd_stand_in import StandIn

WATCHDOG_SECONDS = 8.0
"""Below the ten seconds after which the feed of a paced market helps itself."""

MINUTE = re.compile(
    r"last candle closed 2023-03-\d\d \d\d:\d\d UTC, decided \d+\.\d s later; "
    r"model \S+, state trading, live, SIMULATED market"
)


def silence_while_held(whole: Calm) -> dict[str, Any]:
    """The stream says nothing from the second minute of the longest trade on."""
    longest = max(whole.books["trades"], key=lambda trade: trade.exit_at_ms - trade.entry_at_ms)
    minute = (longest.entry_at_ms - FIRST_MS) // MINUTE_MS + 2
    assert longest.exit_at_ms >= FIRST_MS + (minute + 1) * MINUTE_MS
    return fault(
        "silence",
        {"kind": "stall", "seconds": 600},
        stream=".+@kline_1m",
        where={"k.x": True},
        minute=[f"+{minute}m", None],
    )


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_stalled_feed_trips_the_watchdog_and_nothing_is_lost(calm: dict[str, Calm], tmp_path: Path) -> None:
    """READY comes after reconciliation, silence is ended by SIGABRT, a stop is told and in order; the books are those of a calm hour."""
    whole = calm[USDM]
    silence = silence_while_held(whole)
    state = prepare(tmp_path / "state")

    def launch(variables):
        if (state / "sim").exists():
            await_end_of_exchange(state)  # as RestartSec= gives it time
        return start(state, whole.tape, faults=[silence], settings=SETTINGS, environment=variables)

    with StandIn(tmp_path, launch, watchdog_seconds=WATCHDOG_SECONDS, abstract=True) as manager:
        manager.pump(lambda: len(manager.lives) == 2, 120)
        first = manager.lives[0]
        held = outcome(state)
        manager.pump(lambda: manager.life.is_ready, 120)
        second = manager.stop()
        code = start(state, whole.tape, faults=[silence], settings=SETTINGS).wait(120)
    assert (first.result, first.process.returncode) == ("watchdog", -signal.SIGABRT), said(state)
    steps = [text.removeprefix("starting: ") for text in first.said("STATUS") if "starting: " in text]
    assert steps[0] == "loading the model"
    assert steps[-1] == "comparing the books with the exchange's"
    assert all("READY" not in message for message in first.messages[: len(steps)])
    assert any(MINUTE.match(text) for text in first.said("STATUS")), first.said("STATUS")[-3:]
    assert "Current thread" in (state / "output.txt").read_text()  # where it hung
    assert (second.result, second.process.returncode) == ("success", 0), said(state)
    assert second.said("STOPPING") == ["1"]
    assert second.said("STATUS")[-1] == "stopping: SIGTERM"
    assert [life.strangers for life in manager.lives] == [0, 0]
    assert held["account"]["positions"], "the test is about a position that is held"
    assert code == 0, said(state)
    assert events(state)["service.interrupted"] == 1
    assert outcome(state) == whole.books
    assert_sound(state, whole.tape, PROTECTION_MS)
