"""The engine of a backtest says which minutes are calm, and is taken over them only in order."""

from __future__ import annotations

import pytest

from bot.core.calm_engine import CalmEngine
from bot.core.candle_run import CandleRun
from bot.core.engine_config import EngineConfig
from bot.core.market import Candle
from bot.core.position import Position
from bot.core.signal import Calm, Direction, Signal
from bot.errors import EngineProtocolError
from strategies.lstm_scalping import LstmScalping, ScalpingParameters
from tests.core_builders import PERPETUAL, SPOT, at, candle, instrument, predicted

WINDOW = 3


def engine(make: type[LstmScalping] = LstmScalping) -> CalmEngine:
    """An engine of two symbols with the default strategy."""
    config = EngineConfig(
        run_id="run",
        instruments={name: instrument(name) for name in (PERPETUAL, SPOT)},
        window_minutes=WINDOW,
    )
    return CalmEngine(config, lambda symbol: make(symbol, ScalpingParameters()))


def both(minute: int) -> list[Candle]:
    """The candles of a minute."""
    return [candle(minute, symbol=name) for name in (PERPETUAL, SPOT)]


def decided(made: CalmEngine, minutes: range, expected: float = 0.0) -> CalmEngine:
    """The engine after it has decided on these minutes."""
    for minute in minutes:
        made.observe(both(minute))
        forecasts = [predicted(minute + 1, expected)._replace(symbol=name) for name in (PERPETUAL, SPOT)]
        made.decide(forecasts, at(minute + 1))
    return made


def stretch(minutes: range) -> list[CandleRun]:
    """The candles of these minutes, a run for each symbol."""
    return [CandleRun.of([candle(minute, symbol=name) for minute in minutes]) for name in (PERPETUAL, SPOT)]


def test_nothing_is_calm_before_the_windows_are_full_nor_while_an_order_is_out() -> None:
    """A window that fills, a batch under way, flattening and a sent order each need decisions."""
    made = decided(engine(), range(WINDOW - 1))
    assert made.calm([PERPETUAL, SPOT]) is None
    decided(made, range(WINDOW - 1, 40))
    calms = made.calm([PERPETUAL, SPOT])
    assert calms is not None
    first, second = calms
    assert (first.signal.reason, first.least, first.most) == ("forecast_too_small", -second.most, second.most)
    made.observe(both(40))
    assert made.calm([PERPETUAL]) is None
    forecast = predicted(41, 0.5)._replace(symbol=PERPETUAL)
    (order, _) = made.decide([forecast], at(41))
    assert made.calm([PERPETUAL]) is None or not order.approved
    made.request_flatten()
    assert made.calm([SPOT]) is None


def test_a_stretch_leaves_what_deciding_on_each_minute_leaves() -> None:
    """Windows, indicators, marks, risk and clock are where they would be, and the value of each minute is given."""
    one, other = decided(engine(), range(10)), decided(engine(), range(25))
    equities, notionals = one.pass_over(stretch(range(10, 25)))
    assert one.snapshot() == other.snapshot()
    assert one.window(SPOT).candles == other.window(SPOT).candles
    assert list(equities) == [one.equity] * 15
    assert list(notionals) == [0.0] * 15


def test_a_stretch_out_of_order_is_refused() -> None:
    """Between observe and decide, after a hole, of the past, or of different minutes: a protocol error."""
    made = decided(engine(), range(10))
    for wrong in (range(9, 12), range(11, 14)):
        with pytest.raises(EngineProtocolError):
            made.pass_over(stretch(wrong))
    with pytest.raises(EngineProtocolError, match="same minutes"):
        made.pass_over([stretch(range(10, 13))[0], stretch(range(10, 12))[1]])
    made.observe(both(10))
    with pytest.raises(EngineProtocolError, match="decide first"):
        made.pass_over(stretch(range(13, 15)))


def test_a_strategy_that_promises_to_move_is_found_out() -> None:
    """What a strategy calls calm must leave the position as it is."""

    class Restless(LstmScalping):
        def calm(self, position: Position, round_trip_cost: float) -> Calm:
            return Calm(Signal(Direction.LONG, 1.0, "moves"), -1.0, 1.0)

    with pytest.raises(EngineProtocolError, match="moves on"):
        decided(engine(Restless), range(40)).calm([PERPETUAL])
