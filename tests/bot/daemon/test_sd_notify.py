"""What a service manager hears, over real datagram sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import FixedClock
from bot.daemon.child import without_settings
from bot.daemon.sd_notify import Herald, Standing, minute_line, notify_address, watchdog_seconds
from bot.errors import ConfigError
from bot.redaction import forget_secrets, keep_secret
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Silent

STANDING = Standing("lstm-7", "trading", "paper, SIMULATED market")


class Listener:
    """The manager's socket.

    Attributes:
        name: As ``$NOTIFY_SOCKET`` writes it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        """What came since the last look, each datagram by its variables."""
        found: list[dict[str, str]] = []
        while True:
            try:
                text = self.socket.recv(8192).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.splitlines()))


@contextmanager
def listening(name: str) -> Iterator[Listener]:
    """A manager that listens while the block runs."""
    listener = Listener(name)
    try:
        yield listener
    finally:
        listener.socket.close()


def herald_of(name: str, clock: FixedClock, watchdog: float | None = 600.0) -> Herald:
    """One that speaks to a manager there, once a second at most."""
    return Herald(notify_address(name), watchdog, clock.monotonic_ns)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_life_is_told_from_its_first_step_to_its_end(tmp_path: Path, abstract: bool) -> None:
    """Steps give the start time, READY comes once, each minute feeds the watchdog, the stop says why; on a file and without one."""
    name = f"@{tmp_path}" if abstract else str(tmp_path / "notify")
    clock = FixedClock()
    with listening(name) as manager:
        with herald_of(name, clock) as herald:
            herald.step("loading the model")
            assert manager.heard() == [
                {
                    "STATUS": "starting: loading the model",
                    "EXTEND_TIMEOUT_USEC": "300000000",
                    "WATCHDOG": "1",
                }
            ]
            herald.ready(lambda: STANDING)
            [ready] = manager.heard()
            assert (ready["READY"], ready["WATCHDOG"]) == ("1", "1")
            herald.step("too late to be a step")
            clock.advance(60_000)
            herald.decided(MIDNIGHT, MIDNIGHT + 420)
            [minute] = manager.heard()
            assert minute == {
                "STATUS": "last candle closed 2024-01-01 00:00 UTC, decided 0.4 s later; "
                "model lstm-7, state trading, paper, SIMULATED market",
                "WATCHDOG": "1",
            }
            herald.stopping("SIGTERM")
            herald.stopping("a later reason")
            herald.decided(MIDNIGHT + 60_000, MIDNIGHT + 60_000)
            assert manager.heard() == [
                {"STOPPING": "1", "STATUS": "stopping: SIGTERM", "EXTEND_TIMEOUT_USEC": "60000000"}
            ]
        assert manager.heard() == []


def test_no_time_that_passes_feeds_the_watchdog(tmp_path: Path) -> None:
    """Beats of the pulse, a stall and its status are no progress; only a minute or a market that stands still is."""
    clock = FixedClock()
    name = str(tmp_path / "notify")
    with listening(name) as manager, herald_of(name, clock) as herald:
        herald.ready(lambda: STANDING)
        manager.heard()
        for _ in range(100):
            clock.advance(60_000)
            herald.flush()
        herald.stalled(300.0)
        assert manager.heard() == [{"STATUS": "STALLED: no minute was decided for 300 s"}]
        herald.stands("the market is held")
        assert manager.heard() == [{"STATUS": "no minute is due: the market is held", "WATCHDOG": "1"}]


def test_thousands_of_minutes_a_second_are_told_once_a_second(tmp_path: Path) -> None:
    """What is held back goes with the next beat, and is the newest."""
    clock = FixedClock()
    name = str(tmp_path / "notify")
    with listening(name) as manager, herald_of(name, clock) as herald:
        herald.ready(lambda: STANDING)
        for minute in range(2_000):
            herald.decided(MIDNIGHT + minute * 60_000, MIDNIGHT + minute * 60_000)
            clock.advance(1)
        told = manager.heard()
        assert len(told) == 2
        herald.flush()
        [last] = manager.heard()
        assert (last["STATUS"][:39], last["WATCHDOG"]) == ("last candle closed 2024-01-02 09:19 UTC", "1")


def test_a_manager_that_does_not_take_it_delays_nothing_and_gets_it_later(tmp_path: Path) -> None:
    """A full queue and a socket that is gone lose no READY; the log has one line for each fault."""
    clock, log = FixedClock(), Silent()
    name = str(tmp_path / "notify")
    with herald_of(name, clock) as herald:
        herald.complain_to(log)
        herald.ready(lambda: STANDING)  # nobody has bound the socket yet
        herald.flush()
        with listening(name) as manager:
            herald.flush()
            [ready] = manager.heard()
            assert ready["READY"] == "1"
            filled = 0
            while len(log.lines) < 2 and filled < 10_000:
                herald.stands(f"message {filled}")
                filled += 1
            manager.heard()
            herald.flush()
            assert manager.heard()[-1]["STATUS"] == f"no minute is due: message {filled - 1}"


def test_a_failure_is_told_before_what_it_leaves_behind_is_cleared_away(tmp_path: Path) -> None:
    """The reason is in the status at once, on one line and without a secret."""
    name = str(tmp_path / "notify")
    keep_secret("s3cr3t-value")
    try:
        with listening(name) as manager:
            with (
                pytest.raises(ConfigError),
                herald_of(name, FixedClock()) as herald,
                herald.until_end(),
            ):
                raise ConfigError("one\nREADY=1 s3cr3t-value")
            [stopping] = manager.heard()
    finally:
        forget_secrets()
    assert stopping["STOPPING"] == "1"
    assert stopping["STATUS"].startswith("stopping: ConfigError: one READY=1 ")
    assert "s3cr3t" not in stopping["STATUS"]
    assert "READY" not in stopping


def test_a_watchdog_that_would_bite_a_sound_daemon_is_warned_of(tmp_path: Path) -> None:
    """In the log and in every status; one that is patient enough is not."""
    name = str(tmp_path / "notify")
    for watchdog, warned in ((60.0, True), (180.0, True), (600.0, False), (None, False)):
        clock, log = FixedClock(), Silent()
        with listening(name) as manager, herald_of(name, clock, watchdog) as herald:
            herald.complain_to(log)
            herald.check(180.0)
            herald.ready(lambda: STANDING)
            [ready] = manager.heard()
        Path(name).unlink()
        assert ("too short" in ready["STATUS"]) == warned
        assert log.lines == (
            [("service.watchdog_short", {"seconds": watchdog, "least_seconds": 180.0})] if warned else []
        )


def test_without_a_manager_nothing_is_sent_and_nothing_fails() -> None:
    """Whoever starts the bot by hand notices nothing of all this."""
    with Herald.of_environment({}, 7, FixedClock().monotonic_ns) as herald:
        herald.step("x")
        herald.ready(lambda: STANDING)
        herald.decided(MIDNIGHT, MIDNIGHT)
        herald.stopping("x")
    assert herald.watchdog_seconds is None


@pytest.mark.parametrize("text", ["notify", "", "@", "/", "vsock:2:1234", "/" + "x" * 107, "@" + "é" * 54])
def test_an_address_that_is_none_is_a_sentence(text: str) -> None:
    """It names the variable; a manager that can't be told would wait for READY in vain."""
    with pytest.raises(ConfigError, match="NOTIFY_SOCKET="):
        notify_address(text)


def test_the_watchdog_is_of_the_process_that_the_variable_names() -> None:
    """Seconds out of microseconds; another process's is none of ours; words are refused."""
    assert watchdog_seconds({"WATCHDOG_USEC": "2500000"}, 7) == 2.5
    assert watchdog_seconds({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "7"}, 7) == 2.5
    assert watchdog_seconds({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "8"}, 7) is None
    assert watchdog_seconds({"WATCHDOG_USEC": "0"}, 7) is None
    assert watchdog_seconds({}, 7) is None
    for wrong in ({"WATCHDOG_USEC": "5min"}, {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "me"}):
        with pytest.raises(ConfigError, match="whole number"):
            watchdog_seconds(wrong, 7)


def test_no_program_that_the_daemon_starts_may_speak_in_its_name() -> None:
    """The variables of the manager stay with the main process."""
    told = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "PATH": "/bin"}
    assert without_settings(told) == {"PATH": "/bin"}


@given(st.integers(0, 4_102_444_800_000), st.integers(-10_000, 10_000_000))
def test_a_status_is_one_line_that_never_tells_of_the_future(closed_at_ms: int, late_ms: int) -> None:
    """Whatever the two clocks say."""
    line = minute_line(closed_at_ms, closed_at_ms + late_ms, STANDING)
    assert "\n" not in line
    assert "decided -" not in line


async def test_a_herald_is_quick_enough_for_a_decision(tmp_path: Path) -> None:
    """Nothing of it waits: a loop that runs beside gets its turn although nobody reads."""
    name = str(tmp_path / "notify")
    clock, turns = FixedClock(), 0

    async def beside() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with listening(name), herald_of(name, clock) as herald:
        herald.ready(lambda: STANDING)
        running = asyncio.create_task(beside())
        for minute in range(500):
            clock.advance(60_000)
            herald.decided(MIDNIGHT + minute * 60_000, MIDNIGHT + minute * 60_000)
            await asyncio.sleep(0)
        running.cancel()
    assert turns >= 499
