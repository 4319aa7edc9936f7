"""One retraining, start to verdict: what is kept, what is looked at, and who may follow whom."""

import json
from dataclasses import replace

import pytest

from bot.core.promotion import NO_TRADE, GateRules
from bot.errors import DataError
from bot.retraining.folds import week_starts
from bot.retraining.run import RetrainPlan, Telling, retrain
from bot.retraining.scored import WEEK_MS
from models.champions import promote
from models.forecast_trades import TradingCosts
from models.recipe import load_recipe
from models.registry import challenger, champion, list_models
from models.trials import read_trials
from models.verdicts import is_proven, read_verdict
from tests.planted import planted_candles
from tests.random_candles import START_MS

DAY_MS = 86_400_000
SYMBOL = "BTC/USDT:USDT"
TRAIN_DAYS = 5
WEEKS = 3
CANDLES = planted_candles((TRAIN_DAYS + 7 * WEEKS + 9) * 1440, seed=4)
NOW_MS = START_MS + (TRAIN_DAYS + 7 * WEEKS + 1) * DAY_MS
RECIPE = load_recipe(
    "forest",
    [
        "target.horizon=1",
        "architecture.trees=20",
        "architecture.max_depth=6",
        "training.stride=1",
        # Long enough to know the error of an expected return.
        "split={train: 0.45, early_stop: 0.1, calibrate: 0.35, test: 0.1}",
    ],
)
EASY = GateRules(
    min_weeks=WEEKS,
    min_minutes=10_000,
    min_trades=50,
    recent_weeks=WEEKS,
    min_positive_weeks=2,
    max_overfitting=1.0,
    max_spa_p=1.0,
    min_gain_millinats=0.0,
    gain_confidence=0.5,
    min_slope=0.1,
    max_slope=9.0,
    refit_min_minutes=500,
    refit_correlation=-1.0,
    refit_margin_millinats=20.0,
)
SILENT = Telling(phase=lambda _: None, week=lambda _, __: None)


class _Clock:
    """Nanoseconds that go on by one at each look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


def _plan(root, **changes):
    plan = RetrainPlan(
        recipe=RECIPE,
        root=root,
        now_ms=NOW_MS,
        train_days=TRAIN_DAYS,
        max_weeks=WEEKS,
        max_minutes=1.0,
        rules=EASY,
        costs=TradingCosts(0.0),
    )
    return replace(plan, **changes)


def _retrain(plan, series=None, telling=SILENT):
    return retrain(plan, series or {SYMBOL: CANDLES}, monotonic_ns=_Clock(), telling=telling)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A retraining of a recipe that wins by easy rules."""
    root = tmp_path_factory.mktemp("models")
    weeks: list[tuple[int, int]] = []
    outcome = _retrain(
        _plan(root), telling=replace(SILENT, week=lambda done, total: weeks.append((done, total)))
    )
    return root, outcome, weeks


def test_a_recipe_that_wins_is_named_challenger_and_proven(first):
    """Three weeks are forecast, a model of the newest candles is stored, judged, and named challenger."""
    root, outcome, weeks = first
    assert weeks == [(1, 3), (2, 3), (3, 3)]
    assert outcome.kind == "recipe"
    assert outcome.verdict.promote, outcome.verdict.objections
    assert challenger(root) == outcome.model_id
    assert is_proven(root, outcome.model_id)
    assert list_models(root) == [outcome.model_id]
    assert champion(root) is None  # it has to shadow before it trades
    stored = read_verdict(root, outcome.model_id)
    assert stored is not None
    assert stored.evidence["weeks"] == WEEKS
    path = stored.evidence["drawdown_path"]
    assert len(path) == 90
    assert path == sorted(path)
    assert {reason.name for reason in stored.reasons} >= {"gain", "slope", "trades", "delayed"}


def test_every_look_at_test_minutes_is_in_the_ledger(first):
    """The walk-forward is written down before its figures and with them, as one trial."""
    root, outcome, _ = first
    tried = [one for one in read_trials(root) if one.kind == "walk_forward" and "weeks" in one.note]
    assert [one.gain_millinats is None for one in tried] == [True, False]
    assert len({one.subject for one in tried}) == 1
    assert tried[1].gain_millinats == pytest.approx(outcome.evidence.gain_millinats)


def test_a_second_retraining_finds_the_weeks_of_the_first(first, tmp_path):
    """Weeks that were forecast are kept under names of what they were made of, and are not fitted again."""
    root, outcome, _ = first
    folder = next((root / "walk-forward").iterdir())
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert len(kept) == WEEKS
    again = _retrain(_plan(root, now_ms=NOW_MS + 60_000))
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")} == kept
    assert again.evidence == outcome.evidence
    assert not list(folder.glob("models-*"))


def test_the_future_is_not_looked_at(first, tmp_path):
    """Candles from the time of the retraining on change nothing of model and evidence."""
    _, outcome, _ = first
    cut = {SYMBOL: CANDLES.between(0, NOW_MS)}
    again = _retrain(_plan(tmp_path), cut)
    assert again.evidence == outcome.evidence
    assert again.model_id == outcome.model_id


def test_a_refit_of_the_champion_is_judged_beside_it(first):
    """Once its model is champion, the recipe is refitted and compared on minutes that neither was made from."""
    root, outcome, _ = first
    promote(root, outcome.model_id, at_ms=NOW_MS)
    later = NOW_MS + 4 * DAY_MS
    refit = _retrain(_plan(root, now_ms=later))
    assert refit.kind == "refit"
    assert refit.evidence.minutes > 500
    assert refit.verdict.promote, refit.verdict.objections
    inherited = read_verdict(root, refit.model_id)
    before = read_verdict(root, outcome.model_id)
    assert inherited is not None
    assert before is not None
    assert inherited.evidence["drawdown_path"] == before.evidence["drawdown_path"]
    assert challenger(root) == refit.model_id
    assert champion(root) == outcome.model_id


def test_nothing_proven_means_no_trade(tmp_path):
    """A recipe that the gate refuses is stored with every reason and names nobody; without a champion, no-trade is."""
    outcome = _retrain(_plan(tmp_path, rules=GateRules()))
    assert not outcome.verdict.promote
    assert challenger(tmp_path) is None
    assert champion(tmp_path) == NO_TRADE == outcome.champion
    assert not is_proven(tmp_path, outcome.model_id)
    content = json.loads(outcome.path.read_text())
    assert content["promote"] is False
    assert any(not reason["passed"] for reason in content["reasons"])


def test_who_trades_an_unproven_model_knowingly_goes_on(tmp_path):
    """Where an unproven model is wanted, a refusal names nobody: the daemon would else stop trading it."""
    outcome = _retrain(_plan(tmp_path, rules=GateRules(), empties=False))
    assert not outcome.verdict.promote
    assert champion(tmp_path) is None


def test_a_champion_named_by_hand_is_left_alone(first, tmp_path):
    """A refusal does not take away a champion that a person has named."""
    root, outcome, _ = first
    before = champion(root)
    refused = _retrain(
        _plan(root, recipe=load_recipe("forest", ["architecture.trees=10"]), rules=GateRules())
    )
    assert not refused.verdict.promote
    assert champion(root) == before == outcome.model_id or before is not None


def test_too_few_candles_for_a_week_are_refused_by_the_gate(tmp_path):
    """Without a whole week out of sample there is no evidence, and no promotion."""
    outcome = _retrain(_plan(tmp_path, now_ms=START_MS + 8 * DAY_MS))
    assert outcome.evidence.weeks == 0
    assert not outcome.verdict.promote


def test_no_candles_at_all_is_one_sentence(tmp_path):
    """Candles that all lie after the time of the retraining are none, and the symbol is named."""
    with pytest.raises(DataError, match=SYMBOL):
        _retrain(_plan(tmp_path, now_ms=START_MS - DAY_MS))


def test_weeks_lie_whole_weeks_before_the_day():
    """Weeks begin at midnight whole weeks before the day of the retraining, as far as the candles reach."""
    starts = week_starts({SYMBOL: CANDLES}, NOW_MS + 3_600_000, train_days=TRAIN_DAYS, most=9)
    midnight = NOW_MS // DAY_MS * DAY_MS
    assert starts == [midnight - back * WEEK_MS for back in (3, 2, 1)]
    assert week_starts({SYMBOL: CANDLES}, NOW_MS, train_days=TRAIN_DAYS, most=2) == starts[1:]
