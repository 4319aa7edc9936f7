"""With entries that rest, and with every guard on, all drivers decide and fill alike; the daemon over sockets too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtests.inputs import BacktestInput
from backtests.parity import PARITY_ENGINES, run_parity
from backtests.run import run_backtest
from bot.cli import main
from bot.core.entry import EntryRule, EntryStyle
from bot.core.orders import Fill
from bot.core.risk import RiskLimits
from tests.random_market import NO_LIMITS, PERPETUALS, SPOTS, START_MS, random_input

GUARDED = replace(
    NO_LIMITS,
    max_trade_risk_fraction=0.001,
    max_correlated_notional_fraction=0.3,
    correlation_threshold=0.2,
    max_loss_streak=3,
    loss_streak_minutes=15,
    max_funding_rate=0.0005,
    max_jump_fraction=0.006,
    max_stale_minutes=1,
)
FUNDED = {START_MS + 3_600_000 * hour: 0.001 * (-1) ** hour for hour in range(20)}


def data(
    seed: int,
    *,
    fallback: bool,
    limits: RiskLimits = NO_LIMITS,
    symbols: tuple[str, ...] = PERPETUALS,
    minutes: int = 3,
) -> BacktestInput:
    """A random market of three symbols, holes in it, entered by limit orders."""
    return random_input(
        seed, symbols=symbols, limits=limits, entry=EntryRule(EntryStyle.MAKER, minutes, fallback)
    )


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize("symbols", [PERPETUALS, SPOTS])
def test_all_engines_give_one_hash(symbols: tuple[str, ...], fallback: bool) -> None:
    """Fast, backtrader and replay leave one stream, in which entries filled at their limits."""
    made = data(3, fallback=fallback, symbols=symbols)
    report = run_parity(made)
    assert report.difference is None
    assert list(report.digests) == list(PARITY_ENGINES)
    assert report.trade_count > 20
    fills = run_backtest(made).fills
    kinds = {fill.client_order_id[-1] for fill in fills}
    assert ("m" in kinds) is fallback
    assert sum(fill.client_order_id.endswith("e") for fill in fills) > 10


@pytest.mark.parametrize("maker", [False, True])
def test_guards_are_the_same_everywhere(maker: bool) -> None:
    """With every guard in reach, all engines refuse and cut alike, and not what they do without."""
    made = data(5, fallback=True, limits=GUARDED)
    if not maker:
        made = replace(made, config=replace(made.config, entry=EntryRule()))
    assert run_parity(made).difference is None
    guarded = run_backtest(made)
    without = run_backtest(replace(made, config=replace(made.config, limits=NO_LIMITS)))
    words = {word for word in guarded.hold_reasons if word and word.startswith("refused_")}
    assert {"refused_price_jump", "refused_cooling_down"} <= words
    notional = [[fill.price * fill.quantity for fill in run.fills] for run in (guarded, without)]
    assert max(notional[0]) < max(notional[1])


@pytest.mark.parametrize("engine", PARITY_ENGINES[1:])
def test_a_planted_difference_is_found(engine: str) -> None:
    """A changed fee or close in one engine is still found among limit entries."""
    for plant in ("fee", "candle"):
        report = run_parity(data(3, fallback=True), plant=plant, plant_in=engine, engines=("fast", engine))
        assert report.difference is not None


def test_backtrader_counts_the_same_trades() -> None:
    """Backtrader's own analyzer sees every round trip that began with a limit order, and its money."""
    result = run_backtest(data(3, fallback=True), engine="backtrader")
    total = result.second_opinion["trades"]["total"]
    assert total["closed"] == len(result.trades) > 20
    assert all(isinstance(fill, Fill) for fill in result.fills)


def walk(path: Path, seed: int, minutes: int) -> None:
    """A random market that stands still for some minutes in a row, and jumps once in a while."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.001, minutes)
    still = np.isin(np.arange(minutes) % 60, range(7))
    moves[still] = 0.0
    close = np.round(100.0 * np.exp(np.cumsum(moves)), 2)
    open_ = np.concatenate([close[:1], close[:-1]])
    wick = np.where(still, 0.0, 0.05)
    columns = {
        "ts": 1_704_067_200_000 + np.arange(minutes, dtype=np.int64) * 60_000,
        "open": open_,
        "high": np.maximum(open_, close) + wick,
        "low": np.minimum(open_, close) - wick,
        "close": close,
        "volume": np.where(still, 0.0, rng.integers(1, 100, minutes).astype(np.float64)),
    }
    keep = np.arange(minutes) % 97 != 5
    pq.write_table(pa.table({name: column[keep] for name, column in columns.items()}), path)


def test_the_daemon_rests_and_guards_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Daemon over sockets, replay of its journal, backtrader and the fast engine have one hash."""
    words = []
    for number, symbol in enumerate(("BTC/USDT:USDT", "ETH/USDT:USDT")):
        walk(tmp_path / f"{number}.parquet", number, 450)
        words += ["--tape", f"{symbol}={tmp_path / f'{number}.parquet'}"]
    for change in (
        "entry.style=maker",
        "entry.fallback=taker",
        "entry.limit_minutes=2",
        "risk.max_correlated_notional_fraction=0.3",
        "risk.max_loss_streak=3",
        "risk.loss_streak_minutes=10",
        "risk.max_funding_rate=0.0005",
        "risk.max_jump_fraction=0.003",
        "risk.max_stale_minutes=3",
    ):
        words += ["--set", change]
    assert main(["verify-parity", *words, "--seed", "3", "--min-trades", "10", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engines"] == ["fast", "backtrader", "replay", "daemon"]
