"""Sixteen troubles of the candle stream and of REST, each met while trading live; see docs/faults.md for their plans.

Whatever happens between the exchange and the bot: every candle is decided on once, in order, with its final values, and
the exchange's books agree with ours. Where the market waits for the bot (speed 0) every decision, execution and figure
must be that of a run without the trouble. The troubles that are about time are met on a market at 120 times the speed
of the world: a minute is half a second.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from tests.candle_truth import (
    acts,
    assert_candles,
    assert_nothing_unhandled,
    assert_traded_around,
    decisions,
    log_of,
    notes,
)
from tests.live_rig import (
    FIRST_MS,
    LiveTape,
    assert_agreement,
    await_end_of_exchange,
    events,
    fills,
    make_tape,
    outcome,
    prepare,
    run,
    said,
    start,
)

SEED = 5
MINUTES = 92
WARM_WRITES = 92
"""Writes of the first life: what a start notes, the minutes that fill the windows, and a few that trade."""
FAST = 120.0
SETTINGS = {"execution.lookup_seconds": 6, "strategy.parameters": '{"require_macd": false}'}
KLINES = ".+@kline_1m"
FINAL = {"k.x": True}
Fault = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Market:
    """A market that was traded for an hour, to be copied; and how it ends where nothing is wrong.

    Attributes:
        tape: All of it.
        base: The state folder after the hour.
        calm: The state folder of a run to the end without faults, the market waiting for the bot.
    """

    tape: LiveTape
    base: Path
    calm: Path


def _warm(folder: Path, tape: LiveTape) -> Market:
    """Trade until the warm writes, end there as by ``kill -9``, and once go on undisturbed."""
    base = prepare(folder / "base")
    fate = {"DIE_AT_WRITE": str(WARM_WRITES), "DIE_WHEN": "after", "DIE_COUNT_FILE": str(base / "writes")}
    program = ("-m", "tests.chaos.dying_bot")
    process = start(base, tape, settings=SETTINGS, program=program, environment=fate)
    try:
        code = process.wait(timeout=120)
    finally:
        process.kill()
    assert code == -signal.SIGKILL, said(base)
    await_end_of_exchange(base)
    calm = folder / "calm"
    shutil.copytree(base, calm)
    run(calm, tape, settings=SETTINGS)
    assert_candles(calm, tape)
    assert_agreement(calm, tape)
    return Market(tape, base, calm)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """One symbol."""
    folder = tmp_path_factory.mktemp("market")
    return _warm(folder, make_tape(folder / "tape", seed=SEED, minutes=MINUTES, quiet_minutes=59))


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Eight symbols."""
    folder = tmp_path_factory.mktemp("markets")
    bases = ("ADA", "BNB", "BTC", "DOGE", "ETH", "LTC", "SOL", "XRP")
    return _warm(
        folder, make_tape(folder / "tape", seed=SEED, minutes=MINUTES, quiet_minutes=59, bases=bases)
    )


def _stream(
    action: Any, *, where: Fault | None = None, minute: Sequence[str | None] = ("+72m", "+82m"), **match: Any
) -> Fault:
    """A fault on candle messages."""
    fits = {"stream": KLINES, "minute": list(minute), **match}
    return {"match": fits | ({"where": where} if where else {}), "action": action}


def _rest(action: Any, *, minute: Sequence[str | None] = ("+72m", "+82m"), **match: Any) -> Fault:
    """A fault on what fetches candles."""
    return {"match": {"route": "GET /fapi/v1/klines", "minute": list(minute), **match}, "action": action}


def _lived(of: Market, folder: Path, faults: Sequence[Fault], **choices: Any) -> Path:
    """Trade on with faults, and check what holds after every trouble."""
    state = folder / "state"
    shutil.copytree(of.base, state)
    run(state, of.tape, faults=faults, settings=SETTINGS, **choices)
    assert_candles(state, of.tape)
    assert_agreement(state, of.tape)
    assert_nothing_unhandled(state)
    assert_traded_around(state)
    return state


def _assert_as_calm(of: Market, state: Path) -> None:
    """Not a decision, an execution or a figure differs from those of the undisturbed run."""
    for found, expected in zip(decisions(state), decisions(of.calm), strict=True):
        assert found == expected
    assert outcome(state) == outcome(of.calm)
    booked = [(row["client_order_id"], row["quantity"], row["price"], row["fee"]) for row in fills(state)]
    calm = [(row["client_order_id"], row["quantity"], row["price"], row["fee"]) for row in fills(of.calm)]
    assert booked == calm


def _kinds(state: Path) -> list[str]:
    """What was done to the bot, in order."""
    return [act["kind"] for act in acts(state)]


def _fetched(state: Path) -> int:
    """How many candles REST had to tell since the faults began."""
    began_ms = acts(state)[0]["at_ms"] - 2 * MINUTE_MS
    told = [line for line in log_of(state, "candle.closed") if line["candle_at_ms"] >= began_ms]
    return sum(line["source"] != "stream" for line in told)


# --- the market waits for the bot -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_1_a_socket_cut_in_the_middle_of_a_minute(market: Market, tmp_path: Path) -> None:
    """The line is dialled again each time, and nothing but that differs."""
    state = _lived(market, tmp_path, [_stream("cut", seconds=[20, 30], count=3)])
    assert _kinds(state) == ["cut"] * 3
    assert events(state)["feed.disconnected"] == events(state)["feed.reconnected"] == 3
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_2_a_socket_cut_while_the_bot_is_busy(markets: Market, tmp_path: Path) -> None:
    """Cut amid the finals of eight symbols, and again while orders wait for their answers: only the missing are fetched."""
    slow = {"match": {"route": "POST /fapi/v1/order", "minute": ["+72m", "+82m"], "count": "every"}}
    faults = [
        slow | {"action": {"kind": "delay", "delay_ms": 200, "when": "after"}},
        _stream({"kind": "cut", "sent": True}, where=FINAL, symbol="DOGEUSDT", count=3),
        _stream("cut", seconds=[4, 6], minute=("+78m", "+82m"), symbol="BTCUSDT", count=3),
    ]
    state = _lived(markets, tmp_path, faults)
    assert _kinds(state).count("cut") == 6
    assert "delay" in _kinds(state)
    assert events(state)["feed.reconnected"] == 6
    assert events(state)["candle.missing"] == 0
    _assert_as_calm(markets, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("close_frame", [False, True])
def test_3_a_socket_cut_at_the_close(market: Market, tmp_path: Path, close_frame: bool) -> None:
    """The final candle that was lost with the socket is fetched once the line stands again, and decided on as ever."""
    state = _lived(
        market, tmp_path, [_stream({"kind": "cut", "close_frame": close_frame}, where=FINAL, count=3)]
    )
    assert _kinds(state) == ["cut"] * 3
    assert events(state)["feed.reconnected"] == 3
    assert _fetched(state) == 3
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_6_a_malformed_frame(market: Market, tmp_path: Path) -> None:
    """A torn frame costs itself only: it is named in the log, and a torn final candle is fetched."""
    faults = [
        _stream({"kind": "corrupt", "share": 0.4}, seconds=[20, 30], count=2),
        _stream({"kind": "corrupt", "share": 0.9}, where=FINAL, minute=("+76m", "+82m"), count=2),
    ]
    state = _lived(market, tmp_path, faults)
    assert _kinds(state) == ["corrupt"] * 4
    assert events(state)["feed.frame_refused"] == 4
    assert events(state)["feed.stalled"] == 0
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_7_a_final_candle_twice(market: Market, tmp_path: Path) -> None:
    """The second one changes nothing, and is not worth a line."""
    state = _lived(market, tmp_path, [_stream({"kind": "duplicate", "times": 2}, where=FINAL, count=5)])
    assert _kinds(state) == ["duplicate"] * 5
    assert events(state)["candle.revised"] == events(state)["candle.late"] == 0
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("messages", [0, 1, 3])
def test_8_a_late_correction(market: Market, tmp_path: Path, messages: int) -> None:
    """Another close of a candle that was decided on is journaled as a revision, and no decision changes."""
    action = {"kind": "correct", "by_bps": 5, "wrong": "last", "messages": messages}
    state = _lived(market, tmp_path, [_stream(action, where=FINAL, count=3)])
    assert _kinds(state) == ["correct"] * 3
    revised = notes(state, "candle.revised")
    assert len(revised) == events(state)["candle.revised"] == 3
    for note in revised:
        assert note["new"][0] == note["old"][0]
        assert note["new"][4] == pytest.approx(note["old"][4] * 1.0005, rel=1e-5)
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_9_an_older_candle_out_of_order(market: Market, tmp_path: Path) -> None:
    """A final candle of minutes ago, and an unfinished one, come again: neither is decided on nor counts as a revision."""
    faults = [
        _stream({"kind": "replay", "back": 3}, where=FINAL, count=3),
        _stream({"kind": "replay", "back": 2}, seconds=[20, 30], count=3),
    ]
    state = _lived(market, tmp_path, faults)
    assert sorted(_kinds(state)) == ["replay"] * 6
    assert events(state)["candle.revised"] == events(state)["candle.late"] == 0
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("change", [{"remove": ["k.x"]}, {"set": {"k.x": False}}, {"set": {"k.x": "true"}}])
def test_10_a_final_candle_without_its_flag(market: Market, tmp_path: Path, change: Fault) -> None:
    """A candle whose end is not said, or said in another way, is taken from REST once the next minute has begun."""
    state = _lived(market, tmp_path, [_stream({"kind": "mutate", **change}, where=FINAL, count=3)])
    assert _kinds(state) == ["mutate"] * 3
    assert _fetched(state) == 3
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_14_an_answer_that_is_a_page_or_rows_of_nothing(market: Market, tmp_path: Path) -> None:
    """REST is asked again until it answers with candles, and the minute is decided on those."""
    spoilt = ("html", "null_rows", "null_fields", "empty", "cut")
    faults = [_stream("drop", where=FINAL, count=3)]
    faults += [_rest({"kind": "spoil", "how": how}, minute=("+72m", None)) for how in spoilt]
    state = _lived(market, tmp_path, faults)
    assert _kinds(state).count("spoil") == len(spoilt)
    assert _fetched(state) == 3
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_15_too_many_requests_and_then_a_ban(market: Market, tmp_path: Path) -> None:
    """After 429 and 418 nothing is asked before the time that the exchange named; then the candle is fetched."""
    faults = [
        _stream("drop", where=FINAL, count=3),
        _rest({"kind": "answer", "status": 429, "code": -1003, "retry_after_s": 1}),
        _rest({"kind": "answer", "status": 418, "code": -1003, "retry_after_s": 1}),
    ]
    state = _lived(market, tmp_path, faults)
    assert _kinds(state).count("answer") == 2
    _assert_as_calm(market, state)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_12_minutes_without_trades(tmp_path: Path) -> None:
    """A minute that the exchange does not have is passed over, one with volume 0 is decided on like any other.

    The strategy starts over after a hole: its windows are of minutes in a row.
    """
    holes, still, minutes = (66, 68, 69), (64, 65, 132, 136), 150
    tape = make_tape(
        tmp_path / "tape", seed=SEED, minutes=minutes, quiet_minutes=59, holes=holes, without_trades=still
    )
    state = prepare(tmp_path / "state")
    run(state, tape, settings=SETTINGS)
    assert_candles(state, tape)
    assert_agreement(state, tape)
    assert_nothing_unhandled(state)
    decided = {(closed_at_ms - FIRST_MS) // MINUTE_MS - 1: found for closed_at_ms, found in decisions(state)}
    assert set(range(minutes)) - set(decided) == set(holes)
    assert set(still) <= set(decided)
    assert [line["minutes"] for line in log_of(state, "candle.gap_remains")] == [1, 2]
    filled = [(row["filled_at_ms"] - FIRST_MS) / MINUTE_MS for row in fills(state)]
    assert filled[0] < holes[0]
    assert filled[-1] > still[-1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_13_two_hundred_symbols_that_close_together(tmp_path: Path) -> None:
    """Every tenth final candle is lost: those are fetched, and each minute is decided once with all two hundred."""
    bases = [f"SIM{number:03d}" for number in range(200)]
    tape = make_tape(tmp_path / "tape", seed=SEED, minutes=72, quiet_minutes=59, bases=bases)
    state = prepare(tmp_path / "state")
    lost = _stream("drop", where=FINAL, probability=0.1, count="every", minute=("+64m", "+70m"))
    run(state, tape, faults=[lost], settings=SETTINGS, seconds=400)
    assert_candles(state, tape)
    assert_agreement(state, tape)
    assert_nothing_unhandled(state)
    assert_traded_around(state)
    assert 60 < len(acts(state)) < 180
    assert _fetched(state) == len(acts(state))
    assert events(state)["candle.missing"] == 0


# --- the market goes on -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_4_ninety_seconds_of_silence(market: Market, tmp_path: Path) -> None:
    """Pings are answered and nothing comes: the minutes are fetched when they are due, and the line is kept."""
    silence = {"kind": "stall", "seconds": 90 / FAST}
    state = _lived(market, tmp_path, [_stream(silence, minute=("+78m", None))], speed=FAST)
    assert _kinds(state) == ["stall"]
    assert _fetched(state) >= 1
    assert events(state)["feed.disconnected"] == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["stall", "no_pong"])
def test_5_a_line_that_is_dead(market: Market, tmp_path: Path, kind: str) -> None:
    """Whether pings are answered or not: a line that stays silent while the symbol trades is dialled anew."""
    state = _lived(
        market, tmp_path, [_stream({"kind": kind, "seconds": 600}, minute=("+78m", None))], speed=FAST
    )
    assert _kinds(state) == [kind]
    assert _fetched(state) >= 3
    counted = events(state)
    assert counted["feed.stalled"] == counted["feed.disconnected"] == counted["feed.reconnected"] == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_11_ten_minutes_without_the_exchange(markets: Market, tmp_path: Path) -> None:
    """Neither streams nor REST for ten minutes: then every minute of every symbol is fetched and decided in order."""
    away = {"kind": "cut", "refuse_s": 600 / FAST, "rest": True}
    fault = {"match": {"state": "exchange", "minute": "+76m"}, "action": away}
    state = _lived(markets, tmp_path, [fault], speed=FAST, goes_on=True)
    assert _kinds(state) == ["cut"]
    symbols = len(markets.tape.symbols)
    assert _fetched(state) >= 9 * symbols
    assert {line["symbol"] for line in log_of(state, "candle.gap_filled")} == set(markets.tape.symbols)
    assert events(state)["candle.missing"] == events(state)["candle.gap_remains"] == 0
    assert events(state)["feed.reconnected"] >= 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["closed at once", "refused"])
def test_16_a_dial_refused_for_five_minutes(market: Market, tmp_path: Path, way: str) -> None:
    """While no stream can be had, REST tells the minutes; then there is a stream again."""
    faults = [_stream({"kind": "cut", "refuse_s": 300 / FAST}, minute=("+76m", None))]
    if way == "refused":
        handshake = {"route": "GET /.*(ws|stream).*", "minute": ["+76m", "+81m"], "count": "every"}
        refusal = {"match": handshake, "action": "drop_before"}
        faults = [_stream("cut", minute=("+76m", None)), refusal]
    state = _lived(market, tmp_path, faults, speed=FAST, goes_on=True)
    assert _fetched(state) >= 4
    assert events(state)["feed.disconnected"] >= 2
    assert events(state)["feed.reconnected"] == 1
    assert events(state)["candle.missing"] == 0
