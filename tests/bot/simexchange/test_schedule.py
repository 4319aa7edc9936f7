"""What is sent when."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.simexchange.schedule import EventKind, next_event
from bot.simexchange.tape import TapeSource

OFFSETS = (5_000, 20_000, 35_000, 50_000)


def _play(source: TapeSource, after_ms: int) -> list[tuple[int, str]]:
    """All events from a time on, as minutes and seconds from the start of the tape."""
    found, position = [], after_ms
    while event := next_event(source, position, OFFSETS):
        assert event.at_ms > position
        position = event.at_ms
        found.append(((event.at_ms - source.start_ms) // 1000, event.kind.value))
    return found


def test_a_minute_is_sent_in_parts_and_closed(bars) -> None:
    """A bar is sent unfinished at each offset and final at its close; a beat follows the last one."""
    found = _play(TapeSource({"A": bars("A", 1)}), bars("A", 1).ts[0])
    assert found == [
        (5, "partial"), (20, "partial"), (35, "partial"), (50, "partial"), (60, "final"), (65, "beat"),
    ]  # fmt: skip


def test_a_hole_sends_one_beat_and_nothing_else(bars) -> None:
    """Between the last bar before a hole and the first after it there is one repeat of the last bar."""
    found = _play(TapeSource({"A": bars("A", 5, holes=(1, 2, 3))}), bars("A", 1).ts[0] + 59_999)
    assert found[:4] == [(60, "final"), (65, "beat"), (245, "partial"), (260, "partial")]


def test_a_symbol_that_goes_on_alone_keeps_the_minute_open(bars) -> None:
    """A minute in which one of two symbols has a bar is an ordinary minute."""
    source = TapeSource({"A": bars("A", 3, holes=(1,)), "B": bars("B", 3)})
    assert [kind for _, kind in _play(source, source.start_ms)].count("beat") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, 30), max_size=25), st.integers(0, 31 * 60_000))
def test_every_minute_with_a_bar_closes_once_from_wherever_play_begins(
    bars, holes: set[int], late_ms: int
) -> None:
    """However many holes there are and wherever one begins, each later bar closes exactly once, in order."""
    source = TapeSource({"A": bars("A", 32, holes=tuple(holes))})
    after = source.start_ms + late_ms
    expected = [int(ts) + 60_000 for ts in bars("A", 32, holes=tuple(holes)).ts if ts + 60_000 > after]
    closes, position = [], after
    while event := next_event(source, position, OFFSETS):
        position = event.at_ms
        if event.kind is EventKind.FINAL:
            closes.append(event.at_ms)
    assert closes == expected
