"""Who is told what: through the log, to a real receiver of apprise's json://."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.clock import FixedClock, monotonic_ns
from bot.daemon.apprise_post import connect, outlet_name
from bot.daemon.notify import Notifier, NotifyRules, addresses_told, worded
from bot.daemon.outlet import Message
from bot.logs import close, configure, get_logger, listen, stop_listening
from bot.redaction import forget_secrets
from bot.settings.service import DEFAULT_EVENTS
from tests.bot.test_log_taps import Config
from tests.daemon_harness import Silent
from tests.notice_board import NoticeBoard

RULES = NotifyRules((), events=DEFAULT_EVENTS)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Addresses of tests are no secrets of other tests."""
    yield
    forget_secrets()


class Rig:
    """A notifier with its counts."""

    def __init__(self, *addresses: str, clock: FixedClock | None = None, **changes: Any) -> None:
        self.outcomes: Counter[str] = Counter()
        self.log = Silent()
        told: dict[str, Any] = {"events": DEFAULT_EVENTS, "quiet_seconds": 600.0} | changes
        self.notifier = Notifier(
            NotifyRules(addresses, **told),
            self.log,
            monotonic_ns if clock is None else clock.monotonic_ns,
            lambda outcome: self.outcomes.update([outcome]),
            first_wait_seconds=0.01,
        )
        self.notifier.start()


@pytest.mark.parametrize(
    ("event", "level", "told"),
    [
        ("risk.halted", "warning", True),
        ("summary.daily", "info", True),
        ("retrain.missed", "warning", True),
        ("order.filled", "info", False),
        ("candle.missing", "warning", False),
        ("model.refused", "error", True),
        ("notify.failed", "error", False),
    ],
)
def test_the_events_that_are_told_unless_somebody_says_otherwise(event: str, level: str, told: bool) -> None:
    """What a person must know, every error, and never a message about messages."""
    assert RULES.tells(event, level) is told


def test_levels_groups_and_mutes() -> None:
    """A group is told whatever its level; the level adds the rest; what is muted is muted."""
    rules = NotifyRules((), events=("order.",), level="warning", mute=("order.refused", "feed."))
    assert rules.tells("order.filled", "info")
    assert rules.tells("candle.late", "warning")
    assert not rules.tells("candle.closed", "info")
    assert not rules.tells("order.refused", "warning")
    assert not rules.tells("feed.stalled", "error")
    assert not NotifyRules((), events=(), level="never").tells("service.failed", "error")
    assert not NotifyRules((), events=("order",), level="never").tells("order.filled", "info")


def test_an_event_of_the_log_reaches_a_receiver() -> None:
    """Through the log's own pipeline, apprise and a socket; the message says how far it is real."""
    with NoticeBoard() as board:
        rig = Rig(board.url)
        configure(Config(level="error"), stream=io.BytesIO(), mode="paper", simulated=True, run_id="r7")
        listen(rig.notifier.on_line)
        get_logger("test").warning("risk.halted", before="trading", after="halted", reason="drawdown_limit")
        stop_listening(rig.notifier.on_line)
        close()
        board.wait(notices=1)
        rig.notifier.close()
    notice = board.notices[0]
    assert notice["title"] == "risk.halted (paper, SIMULATED market)"
    assert notice["message"] == "before: trading\nafter: halted\nreason: drawdown_limit\nrun r7"
    assert notice["type"] == "warning"
    assert rig.outcomes == {"sent": 1}


def test_a_refused_message_is_tried_again() -> None:
    """A receiver that answers 500 twice gets it the third time."""
    with NoticeBoard(refusals=2) as board:
        rig = Rig(board.url)
        rig.notifier.on_line("risk.halted", "warning", {"reason": "x"})
        board.wait(notices=1)
        rig.notifier.close()
    assert (board.asked, len(board.notices)) == (3, 1)
    assert rig.outcomes == {"sent": 1}


def test_a_dead_receiver_delays_nobody() -> None:
    """One that never answers takes nothing from another address, from who tells, or from the end."""
    with NoticeBoard(silent=True) as dead, NoticeBoard() as sound:
        rig = Rig(dead.url, sound.url, quiet_seconds=0.0, capacity=50)
        rig.notifier.on_line("risk.halted", "warning", {"number": 0})
        dead.wait(asked=1)
        told = threading.Event()

        def tell() -> None:
            for number in range(1, 2_000):
                rig.notifier.on_line("risk.halted", "warning", {"number": number})
            told.set()

        telling = threading.Thread(target=tell)
        telling.start()
        assert told.wait(20)  # the dead receiver holds its line for half a minute
        telling.join()
        sound.wait(notices=1)
        began = time.monotonic()
        rig.notifier.close(seconds=0.3)
        assert time.monotonic() - began < 20
    assert rig.outcomes["dropped"] >= 1_900
    assert [event for event, _ in rig.log.lines].count("notify.undelivered") == 1


def test_a_receiver_that_is_gone_is_told_in_the_log_without_its_address() -> None:
    """The log names the kind and number of the address, and why; never what is in it."""
    rig = Rig("json://user:hunter2hunter2@127.0.0.1:9/tok3ntok3ntok3n", attempts=2)
    rig.notifier.on_line("risk.halted", "warning", {})
    while not rig.log.lines:
        time.sleep(0.01)
    rig.notifier.close()
    event, fields = rig.log.lines[0]
    assert (event, fields["address"], fields["messages"]) == ("notify.failed", "json-1", 1)
    assert fields["reason"]
    assert "hunter2" not in str(rig.log.lines)
    assert "tok3n" not in str(rig.log.lines)
    assert rig.outcomes == {"failed": 1}


def test_the_same_event_is_told_once_in_a_while() -> None:
    """Of each symbol by itself; what was held back is counted in the next message."""
    clock = FixedClock()
    with NoticeBoard() as board:
        rig = Rig(board.url, clock=clock, quiet_seconds=600.0)
        for symbol in ("A", "A", "A", "B"):
            rig.notifier.on_line("order.rejected", "warning", {"symbol": symbol})
        clock.advance(600_000)
        rig.notifier.on_line("order.rejected", "warning", {"symbol": "A"})
        rig.notifier.on_line("order.rejected", "warning", {"symbol": "A"})
        rig.notifier.close(20)
    text = "\n".join(notice["message"] for notice in board.notices)
    assert text.count("symbol: A") == 2
    assert text.count("symbol: B") == 1
    assert text.count("(2 more of these since the last message)") == 1
    assert rig.outcomes == {"sent": 3, "muted": 3}


@example({"\n": "", "\n\n": ""})
@given(
    st.dictionaries(
        st.text(max_size=20), st.text(max_size=2_000) | st.floats() | st.lists(st.text()), max_size=8
    )
)
def test_any_fields_make_a_short_message(fields: dict[str, Any]) -> None:
    """Whatever an event holds: a field is a line, lines have an end, and there is always a body."""
    message = worded("order.unknown", "warning", fields, held_back=3)
    assert message.body.strip()
    assert all(len(line) <= 400 for line in message.body.split("\n"))
    assert len(message.body.split("\n")) <= len(fields) + 3


def test_a_fault_is_told_by_its_last_line_and_an_unproven_model_by_name() -> None:
    """A traceback is for the log."""
    fields = {"exception": "Traceback\n  File x\nValueError: no", "unproven": True, "mode": "paper", "n": 0.1}
    message = worded("service.failed", "error", fields)
    assert message == Message("service.failed (paper, UNPROVEN model)", "n: 0.1\nValueError: no", "error")


def test_an_address_that_apprise_does_not_know_is_a_sentence() -> None:
    """And its name shows its kind alone."""
    assert isinstance(connect("nosuchthing://secret"), str)
    assert outlet_name("tgram://123:abc/456", 2) == "tgram-2"
    assert outlet_name("nonsense", 1) == "address-1"
    answers = addresses_told(NotifyRules(("nosuchthing://secret",), events=()), Message("t", "b", "info"))
    assert answers[0][0] == "nosuchthing-1"
    assert answers[0][1] is not None


def test_apprise_is_imported_only_where_somebody_is_told(tmp_path: Path) -> None:
    """Its import costs a third of a second: the daemon's modules do not need it."""
    code = "import sys, bot.daemon.app; print(sorted({'apprise', 'fastapi', 'uvicorn'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
