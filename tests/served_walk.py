"""A small walk-forward: three weeks of a market with an edge, a quick forest, and a gate that is easy to pass."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.promotion import GateRules
from bot.retraining.served import Served, ServedPlan, Telling, serve
from bot.retraining.served_columns import served_columns
from bot.retraining.served_fits import FitWorld, fit_once
from bot.retraining.served_schedule import retrainings
from bot.retraining.served_succession import ShadowTerms
from bot.retraining.served_summary import walk_summary
from bot.retraining.served_watch import ServedMinute, WatchWord
from models.forecast_trades import TradingCosts
from models.recipe import load_recipe
from tests.planted import planted_candles
from tests.random_candles import START_MS

SYMBOL = "BTC/USDT:USDT"
TRAIN_DAYS = 5
FIRST_MS = START_MS // DAY_MS * DAY_MS + (TRAIN_DAYS + 8) * DAY_MS
"""When the first retraining begins: one week of evidence lies before it."""
SINCE_MS = FIRST_MS + 12 * 60 * MINUTE_MS
UNTIL_MS = FIRST_MS + 9 * DAY_MS
CANDLES = planted_candles((TRAIN_DAYS + 8 + 10) * 1440, seed=4).between(0, UNTIL_MS)
RECIPE = load_recipe(
    "forest",
    [
        "target.horizon=1",
        "architecture.trees=20",
        "architecture.max_depth=6",
        "training.stride=1",
        "split={train: 0.45, early_stop: 0.1, calibrate: 0.35, test: 0.1}",
    ],
)
EASY = GateRules(
    min_weeks=1,
    min_minutes=1_000,
    min_trades=5,
    recent_weeks=1,
    min_positive_weeks=1,
    max_overfitting=1.1,
    max_spa_p=1.1,
    min_gain_millinats=0.0,
    gain_confidence=0.5,
    min_deflated_sharpe=-1.0,
    min_slope=0.1,
    max_slope=9.0,
    refit_min_minutes=100,
    refit_correlation=-1.0,
    refit_margin_millinats=50.0,
)
TERMS = {
    "recipe": "forest",
    "schedule": "0 0 * * *",
    "time_zone": "UTC",
    "train_days": TRAIN_DAYS,
    "max_minutes": 1.0,
}
TERMS |= {"fit_minutes": 30.0, "shadow_hours": 6.0, "max_weeks": 1}
SILENT = Telling(fits=lambda _, __: None, weeks=lambda _, __: None)


class Tick:
    """Nanoseconds that go on by one at each look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Trusting:
    """A watch that lets everything pass."""

    def step(self, minute: ServedMinute) -> WatchWord:
        """Take in a minute."""
        del minute
        return WatchWord(1.0, "", None)


def weekly(at_ms: int) -> int:
    """A fire time every seven days, the first retraining among them."""
    return FIRST_MS + ((at_ms - FIRST_MS) // (7 * DAY_MS) + 1) * 7 * DAY_MS


def walk_plan(cache: Path, **changes: Any) -> ServedPlan:
    """The plan; two retrainings, half an hour each, and six hours of shadow."""
    plan = ServedPlan(
        world=FitWorld(RECIPE, {SYMBOL: CANDLES}, TRAIN_DAYS, 1.0, Tick()),
        cache=cache,
        runs=retrainings(weekly, since_ms=SINCE_MS, until_ms=UNTIL_MS, fit_ms=30 * MINUTE_MS),
        since_ms=SINCE_MS,
        until_ms=UNTIL_MS,
        max_weeks=1,
        rules=EASY,
        costs=TradingCosts(0.0),
        shadow=ShadowTerms(6.0, 0.5, 0.5, 2.0),
        gated=True,
    )
    return replace(plan, **changes)


def here(jobs, world, on_done) -> None:
    """Fits in this process, one after the other."""
    for key, job in jobs.items():
        on_done(key, fit_once(world, job))


def walk(plan: ServedPlan, **changes: Any) -> Served:
    """Serve by a plan."""
    terms: dict[str, Any] = {"spread": here, "new_watch": lambda _: Trusting(), "telling": SILENT}
    return serve(plan, **(terms | changes))


def fingerprint(served: Served) -> str:
    """Everything that a backtest would see of it, as text."""
    columns = served_columns(served.pieces, sorted(served.plan.world.series))
    shown: dict[str, Any] = {"summary": walk_summary(served, [], TERMS), "turns": repr(served.turns)}
    for symbol, one in columns.items():
        parts = (one.ts, one.expected_return, one.probability_up, one.uncertainty, one.volatility, one.raw)
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts if part is not None))
        shown[symbol] = [
            digest.hexdigest(),
            len(one),
            sorted(set([] if one.models is None else one.models.tolist())),
        ]
    for path in sorted((served.plan.cache / "decisions").rglob("*.json")):
        shown[path.name] = path.read_text()
    return json.dumps(shown, sort_keys=True)


if __name__ == "__main__":
    sys.stdout.write(fingerprint(walk(walk_plan(Path(sys.argv[1])))))
