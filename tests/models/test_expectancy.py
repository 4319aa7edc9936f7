"""What a trade earns on average, net of costs."""

from __future__ import annotations

import numpy as np
import pytest

from models.expectancy import expectancy
from models.forecast_sample import Forecast, Sample
from models.forecast_trades import TradingCosts

COSTS = TradingCosts(0.001)


def market(count: int, edge: float, seed: int) -> tuple[Sample, Forecast]:
    """Prices that drift for a quarter of an hour at a time, and a forecaster that is told each drift."""
    rng = np.random.default_rng(seed)
    drift = np.repeat(rng.choice([-1.0, 1.0], count // 15 + 2), 15)[: count + 20] * edge / 15
    fill = 100 * np.exp(np.cumsum(drift + rng.normal(size=count + 20) * 2e-4))
    said = np.where(np.arange(count) % 15 == 14, drift[15 : count + 15] * 15, drift[1 : count + 1] * 1e-3)
    ts = np.arange(count, dtype=np.int64) * 60_000
    sample = Sample(
        ts, np.zeros(count, np.int16), fill[:count], np.zeros(count), np.zeros(count), 15, fill[1 : count + 1]
    )
    return sample, Forecast("model", said, said)


def test_an_edge_beyond_costs_is_earned() -> None:
    """Forecasts of 40 bps a quarter of an hour earn more than 10 bps a trade, and twice the costs take 10 bps more."""
    sample, forecast = market(30_000, 0.004, 1)
    found = expectancy(sample, forecast, COSTS)
    assert found is not None
    assert found["trades"] > 500
    assert found["at_1x"]["net_interval"][0] > 0
    assert found["at_1x"]["net_bps"] == pytest.approx(found["gross_bps"] - 10.0)
    assert found["at_2x"]["net_bps"] == pytest.approx(found["gross_bps"] - 20.0)
    low, high = found["at_2x"]["net_interval"]
    assert low < found["at_2x"]["net_bps"] < high
    assert found["daily_sharpe"] > 0
    assert found["deflated_sharpe"] > 0.95
    assert found["days_to_prove"] < 21


def test_an_edge_below_costs_is_not_traded() -> None:
    """No trade is a result: no figures, no Sharpe ratio, and no error."""
    sample, forecast = market(30_000, 0.0005, 2)
    found = expectancy(sample, forecast, COSTS)
    assert found == {
        "trades": 0,
        "gross_bps": None,
        "at_1x": {"net_bps": None, "net_interval": None},
        "at_2x": {"net_bps": None, "net_interval": None},
        "daily_sharpe": None,
        "deflated_sharpe": None,
        "days_to_prove": None,
    }


def test_a_handful_of_trades_has_no_interval() -> None:
    """A mean of a few trades is given, an interval of them would pretend."""
    sample, forecast = market(1000, 0.004, 3)
    few = np.where(np.arange(1000) < 100, forecast.direction, 0.0)
    found = expectancy(sample, Forecast("model", few, few), COSTS)
    assert found is not None
    assert 0 < found["trades"] < 10
    assert found["at_1x"]["net_bps"] is not None
    assert found["at_1x"]["net_interval"] is None


def test_doubt_is_taken_off_the_forecast() -> None:
    """A forecast whose own doubt is as large as itself is not worth a trade."""
    sample, forecast = market(30_000, 0.004, 4)
    assert forecast.expected is not None
    unsure = Forecast("model", forecast.direction, forecast.expected, None, np.abs(forecast.expected))
    found = expectancy(sample, unsure, COSTS)
    assert found is not None
    assert found["trades"] == 0


def test_trials_deflate_what_the_days_prove() -> None:
    """The same days prove less when they are the best of many trials'."""
    sample, forecast = market(30_000, 0.0025, 5)
    alone, among = (expectancy(sample, forecast, TradingCosts(0.0023), trials=count) for count in (1, 100))
    assert alone is not None
    assert among is not None
    assert among["deflated_sharpe"] < alone["deflated_sharpe"]
    assert among["daily_sharpe"] == alone["daily_sharpe"]


def test_money_is_not_measured_without_its_ingredients() -> None:
    """Without costs, fills or expected returns there is no expectancy."""
    sample, forecast = market(1000, 0.004, 6)
    bare = Sample(sample.ts, sample.symbol, sample.close, sample.realized, sample.last_return, 15)
    assert expectancy(sample, forecast, None) is None
    assert expectancy(bare, forecast, COSTS) is None
    assert expectancy(sample, Forecast("signs", forecast.direction), COSTS) is None
