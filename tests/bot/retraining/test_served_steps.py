"""The folder in which retrainings are judged: made anew at each start, but for the weeks that were forecast."""

from __future__ import annotations

from bot.core.market import DAY_MS
from bot.retraining.run import RetrainPlan
from bot.retraining.served_fits import FitWorld, KeptFits
from bot.retraining.served_steps import GateSteps, judging_code
from models.forecast_trades import TradingCosts
from tests.served_walk import CANDLES, EASY, FIRST_MS, RECIPE, SYMBOL, TRAIN_DAYS, Tick


def test_a_start_forgets_all_but_the_forecast_weeks(tmp_path):
    """Models, verdicts and names of a run before are gone, whatever a kill left half done; weeks stay."""
    series = {SYMBOL: CANDLES.between(0, FIRST_MS + DAY_MS)}
    fits = KeptFits(FitWorld(RECIPE, series, TRAIN_DAYS, 1.0, Tick()), tmp_path)
    week = fits.root / "walk-forward" / "forest" / "week.parquet"
    for path in (
        week,
        fits.root / "champion",
        fits.root / "forest-x" / "model.onnx",
        fits.root / "verdicts" / "x.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    plan = RetrainPlan(RECIPE, fits.root, 0, TRAIN_DAYS, 1, 1.0, EASY, TradingCosts(0.0))
    steps = GateSteps(plan, series, fits)
    assert steps.root == fits.root
    assert [path.name for path in fits.root.iterdir()] == ["walk-forward"]
    assert week.read_text() == "x"


def test_the_code_that_judges_has_a_digest():
    """Sixty-four digits, the same each time: a decision by other code is another decision."""
    assert judging_code() == judging_code()
    assert len(judging_code()) == 64
