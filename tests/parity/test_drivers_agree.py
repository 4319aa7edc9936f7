"""On real tapes every driver decides the same to the last digit, and a planted difference is found and named."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from backtests.inputs import BacktestInput
from backtests.parity import PARITY_ENGINES, run_parity
from backtests.replay_driver import batch_to_line, record
from backtests.run import run_backtest
from backtests.seeded import seeded_predictions
from backtests.stream import StreamWriter, outcome_lines, report_line
from bot.candles.store import read_candles
from bot.core.engine_config import EngineConfig
from bot.core.market import default_instrument
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from bot.errors import ConfigError, DataError
from strategies import strategy_factory
from tests.random_market import PERPETUALS, random_input
from tests.shared_data import candle_file

CRASH = {
    "BTC/USDT": "binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet",
    "ETH/USDT": "binance-ETHUSDT-1m-2021-04-02_2021-06-15.parquet",
    "XRP/USDT": "binance-XRPUSDT-1m-2021-04-02_2021-06-15.parquet",
}
QUIET = {
    "BTC/USDT": "binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet",
    "ETH/USDT": "binance-ETHUSDT-1m-2023-03-16_2023-05-01.parquet",
    "XRP/USDT": "binance-XRPUSDT-1m-2023-04-01_2023-05-01.parquet",
}
TAPES = {
    "crash": (CRASH, "2021-05-18", "2021-05-20", 0),
    "outage": (CRASH, "2021-04-24", "2021-04-26", 284),
    "quiet": (QUIET, "2023-04-11", "2023-04-13", 0),
}
"""Files, first day, end (not included), and how many minutes of BTC the exchange was down."""

ENOUGH_TRADES = 100


def tape(name: str, width: int, *, perpetual: bool = False) -> BacktestInput:
    """Two days of a real tape with seeded predictions."""
    files, since, until, _ = TAPES[name]
    bounds = [
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000 for day in (since, until)
    ]
    candles = {
        symbol + (":USDT" if perpetual else ""): read_candles(candle_file(file)).between(*bounds)
        for symbol, file in list(files.items())[:width]
    }
    config = EngineConfig(
        run_id="parity",
        instruments={
            symbol: default_instrument(symbol, price=float(arrays.close[0]))
            for symbol, arrays in candles.items()
        },
        limits=RiskLimits(max_daily_loss_fraction=0.2, max_drawdown_fraction=0.5),
    )
    predictions = {symbol: seeded_predictions(symbol, arrays, 1) for symbol, arrays in candles.items()}
    return BacktestInput(candles, predictions, config, strategy_factory("lstm_scalping"))


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("name", TAPES)
def test_all_engines_give_one_hash(name: str, width: int):
    """Fast, backtrader and replay leave the same stream on a crash, an outage and a quiet stretch, over many trades."""
    data = tape(name, width)
    report = run_parity(data)
    assert report.difference is None
    assert list(report.digests) == list(PARITY_ENGINES)
    assert len({digest.sha256 for digest in report.digests.values()}) == 1
    assert report.trade_count >= ENOUGH_TRADES
    assert report.candle_count == width * 2 * 1440 - sum(
        2 * 1440 - len(arrays) for arrays in data.candles.values()
    )


def test_the_outage_is_in_its_tape():
    """The tape of the outage does lack its minutes, so that parity is proved over a real hole."""
    assert 2 * 1440 - len(tape("outage", 1).candles["BTC/USDT"]) == TAPES["outage"][3]


def test_perpetuals_trade_both_ways_and_pay_funding():
    """The crash traded as perpetuals, short too and with funding, gives one hash as well."""
    data = tape("crash", 2, perpetual=True)
    result = run_backtest(data)
    assert {trade.direction for trade in result.trades} == {"long", "short"}
    assert result.fundings
    assert run_parity(data).difference is None


def test_sizes_and_stops_by_volatility_are_the_same_everywhere():
    """With both on, every engine cuts sizes and places stops alike, and neither is as it was without them."""
    plain = random_input(3, symbols=PERPETUALS[:2], gaps=False)
    data = random_input(
        3,
        symbols=PERPETUALS[:2],
        gaps=False,
        sizing=SizingRule(0.2, target_volatility=0.002),
        stop_volatility=2.0,
    )
    report = run_parity(data)
    assert report.difference is None
    assert report.trade_count > 20
    result, before = run_backtest(data), run_backtest(plain)
    assert len(result.trades) != len(before.trades)
    notional = [abs(trade.quantity * trade.entry_price) for trade in result.trades]
    assert min(notional) < 0.5 * max(notional)


@pytest.mark.parametrize("engine", PARITY_ENGINES[1:])
@pytest.mark.parametrize("plant", ["candle", "fee"])
def test_a_planted_difference_is_found_and_named(plant: str, engine: str):
    """One changed close or fee in one engine is reported with minute, symbol, field and both values."""
    report = run_parity(tape("crash", 1), plant=plant, plant_in=engine, engines=("fast", engine))
    assert report.planted is not None
    assert engine in report.planted
    assert report.difference is not None
    field = {"candle": "approved", "fee": "fee"}[plant]
    found = re.fullmatch(
        rf"the (decision|fill) of BTC/USDT in the minute 2021-05-1\dT\d\d:\d\dZ \(line \d+\): {field}\S* is (.+) in fast "
        rf"and (.+) in {engine}",
        report.difference,
    )
    assert found, report.difference
    assert found[2] != found[3]
    assert found[1] == {"candle": "decision", "fee": "fill"}[plant]


def test_a_source_from_outside_is_compared_too():
    """A stream of lines under a name of its own joins the comparison, equal or not."""
    data = random_input(3, symbols=PERPETUALS[:2], count=500)
    lines: list[bytes] = []
    run_backtest(data, sink=lambda part: lines.extend(line for o in part for line in outcome_lines(*o)))
    engines = ("fast", "daemon")
    assert run_parity(data, engines=engines, sources={"daemon": lambda: lines}).difference is None
    place = next(place for place, line in enumerate(lines) if b'"fill"' in line)
    less = [*lines[:place], *lines[place + 1 :]]
    report = run_parity(data, engines=engines, sources={"daemon": lambda: less})
    assert report.difference is not None
    assert "fast has the fill of" in report.difference


def test_a_record_from_outside_is_replayed():
    """The replay can take its batches from elsewhere, such as a journal."""
    data = random_input(3, count=400)
    lines = [batch_to_line(batch) for batch in record(data)]
    assert run_parity(data, engines=("fast", "replay"), recorded=lambda: lines).difference is None
    shorter = run_parity(data, engines=("fast", "replay"), recorded=lambda: lines[:-5])
    assert shorter.difference is not None
    assert "replay ends before line" in shorter.difference


def test_the_hash_covers_fills_and_decisions():
    """The stream of a run holds each fill and each decision once, in the order of minutes."""
    data = random_input(3, count=400)
    with StreamWriter() as writer:
        result = run_backtest(data, sink=writer)
    fundings = len(result.fundings)
    assert writer.digest().line_count == result.candle_count + len(result.fills) + fundings
    assert all(report_line(fill) for fill in result.fills)


def test_nonsense_is_refused():
    """Unknown engines, one engine alone, and a plant where nothing trades are said to be so."""
    data = random_input(3, count=100)
    with pytest.raises(ConfigError, match="no engine 'nautilus'"):
        run_parity(data, engines=("fast", "nautilus"))
    with pytest.raises(ConfigError, match="two different engines"):
        run_parity(data, engines=("fast",))
    with pytest.raises(ConfigError, match="two different engines"):
        run_parity(data, engines=("fast", "fast"))
    with pytest.raises(ConfigError, match="can't be planted"):
        run_parity(data, plant="volume")
    with pytest.raises(ConfigError, match="nothing can be planted in 'daemon'"):
        run_parity(data, engines=("fast", "daemon"), sources={"daemon": list}, plant="fee", plant_in="daemon")
    with pytest.raises(DataError, match="no trade happened"):
        run_parity(random_input(3, count=100, threshold=0.9), plant="fee")
