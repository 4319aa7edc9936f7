"""On real months the compiled kernel makes the core's trades, to the last digit.

Crashes, outages, a market that hardly trades, holes on every day, several symbols in one account, spot and perpetuals with
their real funding rates, entries at market and by limit orders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

pytest.importorskip("numba")

from backtests.inputs import BacktestInput
from backtests.kernel import KernelTape
from backtests.kernel_scope import parameters_of
from backtests.parity import run_parity
from backtests.run import run_backtest
from backtests.seeded import seeded_predictions
from backtests.side_files import read_funding
from bot.candles.store import read_candles
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule, EntryStyle
from bot.core.market import default_instrument
from bot.core.risk import RiskLimits
from strategies import strategy_factory
from tests.kernel_agreement import assert_same
from tests.shared_data import candle_file, shared_file

ROOMY = RiskLimits(max_daily_loss_fraction=0.2, max_drawdown_fraction=0.9)
AT_MARKET = EntryRule()


@dataclass(frozen=True)
class Month:
    """A stretch of real candles, and how it is traded.

    Attributes:
        files: Candle file of each symbol.
        since: First day.
        until: End, not included.
        strategy: Name and set.
        limits: Of the account.
        entry: How positions are entered.
        funding: File of funding rates.
        least_trades: So many must happen.
    """

    files: dict[str, str]
    since: str
    until: str
    strategy: str = "lstm_scalping"
    limits: RiskLimits = ROOMY
    entry: EntryRule = AT_MARKET
    funding: str | None = None
    least_trades: int = 1000


SPRING = "2021-04-02_2021-06-15"
MONTHS = {
    "btc-crash-2021": Month(
        {"BTC/USDT": "binance-BTCUSDT-1m-2021-04-01_2021-07-31"}, "2021-05-01", "2021-06-01"
    ),
    "btc-outages-2021": Month(
        {"BTC/USDT": "binance-BTCUSDT-1m-2021-04-01_2021-07-31"}, "2021-04-01", "2021-05-01"
    ),
    "luna-2021": Month(
        {"LUNA/USDT": "binance-LUNAUSDT-1m-2021-09-17_2021-10-17"},
        "2021-09-17",
        "2021-10-17",
        strategy="lstm_scalping:aggressive",
    ),
    "three-spots-2021": Month(
        {
            name: f"binance-{name.replace('/', '')}-1m-{SPRING}"
            for name in ("ETH/USDT", "XRP/USDT", "ADA/USDT")
        },
        "2021-05-12",
        "2021-05-27",
    ),
    "btc-perpetual-luna-collapse-2022": Month(
        {"BTC/USDT:USDT": "binanceusdm-BTCUSDT-1m-2022-01-01_2022-06-30"}, "2022-05-01", "2022-06-01"
    ),
    "eth-perpetual-daily-limit-2022": Month(
        {"ETH/USDT:USDT": "binanceusdm-ETHUSDT-1m-2022-01-01_2022-06-30"},
        "2022-06-01",
        "2022-07-01",
        limits=RiskLimits(max_drawdown_fraction=0.5),
        least_trades=100,
    ),
    "okx-two-with-holes-2022": Month(
        {
            "BTC/USDT": "okx-BTCUSDT-1m-2022-01-07_2022-02-26",
            "ETH/USDT": "okx-ETHUSDT-1m-2022-01-07_2022-02-26",
        },
        "2022-01-07",
        "2022-02-07",
    ),
    "xrp-conservative-2022": Month(
        {"XRP/USDT": "binance-XRPUSDT-1m-2022-05-30_2022-06-30"},
        "2022-05-30",
        "2022-06-30",
        strategy="lstm_scalping:conservative",
    ),
    "sushi-in-bitcoin-2023": Month(
        {"SUSHI/BTC": "binance-SUSHIBTC-1m-2023-04-01_2023-05-01"},
        "2023-04-01",
        "2023-05-01",
        least_trades=300,
    ),
    "btc-outage-limit-entries-2023": Month(
        {"BTC/USDT": "binance-BTCUSDT-1m-2023-01-01_2025-03-31"},
        "2023-03-10",
        "2023-04-10",
        entry=EntryRule(EntryStyle.MAKER, 3, taker_fallback=True),
    ),
    "bnb-perpetual-real-funding-2023": Month(
        {"BNB/USDT:USDT": "binanceusdm-BNBUSDT-1m-2023-07-18_2023-08-17"},
        "2023-07-18",
        "2023-08-17",
        funding="binanceusdm-BNBUSDT-funding-2023-07-18_2023-08-17",
        limits=replace(ROOMY, max_funding_rate=0.0001, max_loss_streak=5),
    ),
    "doge-limit-entries-2023": Month(
        {"DOGE/USDT:USDT": "binanceusdm-DOGEUSDT-1m-2023-07-18_2023-08-17"},
        "2023-07-18",
        "2023-08-17",
        entry=EntryRule(EntryStyle.MAKER, 2),
    ),
}


def month(name: str) -> BacktestInput:
    """A month with seeded predictions."""
    told = MONTHS[name]
    since_ms, until_ms = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
        for day in (told.since, told.until)
    )
    candles = {
        symbol: read_candles(candle_file(f"{file}.parquet")).between(since_ms, until_ms)
        for symbol, file in told.files.items()
    }
    config = EngineConfig(
        run_id="months",
        instruments={
            symbol: default_instrument(symbol, price=float(arrays.close[0]))
            for symbol, arrays in candles.items()
        },
        limits=told.limits,
        entry=told.entry,
    )
    files = [str(shared_file("funding", f"{told.funding}.parquet"))] if told.funding else []
    funding, _ = read_funding(files, candles, config.costs.funding_rate)
    predictions = {symbol: seeded_predictions(symbol, arrays, 1) for symbol, arrays in candles.items()}
    return BacktestInput(candles, predictions, config, strategy_factory(told.strategy), funding)


@pytest.mark.parametrize("name", MONTHS)
def test_trade_for_trade_the_kernel_is_the_core(name: str) -> None:
    """Every trade, fill, funding, state change, hold reason and minute of equity is the fast engine's; so is a lean run."""
    data = month(name)
    fast = run_backtest(data)
    assert_same(fast, run_backtest(data, engine="kernel"))
    assert len(fast.trades) >= MONTHS[name].least_trades
    run = KernelTape.of(data).run(parameters_of(data))
    assert run.trades() == fast.trades
    assert run.final_equity == fast.equity.equity[-1]


@pytest.mark.parametrize("name", ["btc-outages-2021", "btc-outage-limit-entries-2023"])
def test_decision_for_decision_over_an_outage(name: str) -> None:
    """The streams of decisions of days around an outage have one hash."""
    data = month(name)
    days = {"btc-outages-2021": "2021-04-25", "btc-outage-limit-entries-2023": "2023-03-24"}
    start = int(datetime.fromisoformat(days[name]).replace(tzinfo=UTC).timestamp()) * 1000
    candles = {"BTC/USDT": data.candles["BTC/USDT"].between(start - 3_600_000, start + 86_400_000)}
    assert len(candles["BTC/USDT"]) < 25 * 60
    report = run_parity(replace(data, candles=candles), engines=("fast", "kernel"))
    assert report.difference is None
    assert report.trade_count > 50
