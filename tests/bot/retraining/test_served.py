"""Walk-forward as served: the daemon's own gate decides, no model is instant, and nothing knows what comes later."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.promotion import GateRules
from bot.errors import DataError, ModelError
from bot.retraining.served import Telling, moments
from bot.retraining.served_columns import served_columns
from bot.retraining.served_fits import FitWorld
from bot.retraining.served_summary import walk_summary
from models.candle_arrays import CandleArrays
from models.registry import list_models
from models.trials import read_trials
from tests.served_walk import (
    CANDLES,
    FIRST_MS,
    RECIPE,
    SINCE_MS,
    SYMBOL,
    TERMS,
    TRAIN_DAYS,
    UNTIL_MS,
    Tick,
    fingerprint,
    here,
    walk,
    walk_plan,
)

ROOT = Path(__file__).parents[3]
SECOND_MS = FIRST_MS + 7 * DAY_MS
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    """Two retrainings by easy rules: a recipe that wins, and a refit beside it."""
    told: list[tuple[str, int, int]] = []
    telling = Telling(
        fits=lambda done, total: told.append(("fits", done, total)),
        weeks=lambda done, total: told.append(("weeks", done, total)),
    )
    return walk(walk_plan(tmp_path_factory.mktemp("walk") / "cache"), telling=telling), told


def test_the_gate_decides_and_no_model_is_instant(gated):
    """A model serves half an hour of fitting and six hours of shadow after its retraining began, and not before."""
    served, told = gated
    rows = walk_summary(served, [], TERMS)["retrainings"]
    assert [(row["judged_as"], row["promoted"]) for row in rows] == [("recipe", True), ("refit", True)]
    first, second = (row["model_id"] for row in rows)
    late = 30 * MINUTE_MS + 6 * HOUR_MS
    assert served.pieces[0].from_ms == FIRST_MS + late
    changes = [piece for piece in served.pieces if piece.words.model_id == second]
    assert changes[0].from_ms == SECOND_MS + late
    assert {piece.words.model_id for piece in served.pieces} == {first, second}
    assert rows[1]["champion_before"] == first
    assert rows[1]["champion_after"] == second
    assert [event.what for event in served.events] == ["shadow_started", "promoted"] * 2
    assert told[0] == ("fits", 0, 3)
    assert told[3] == ("fits", 3, 3)
    assert told[-1] == ("weeks", 2, 2)


def test_a_second_start_fits_and_decides_nothing(gated):
    """Everything is found under what it is made of, and the result is the same."""
    served, _ = gated
    again = walk(served.plan, spread=_never)
    assert (again.fits_made, again.decisions_made) == (0, 0)
    assert fingerprint(again) == fingerprint(served)


def test_other_rules_find_the_same_fits(gated, tmp_path):
    """A stricter gate decides anew on the kept fits: nobody is promoted, and nobody serves."""
    served, _ = gated
    cache = _copied(served, tmp_path)
    strict = walk(replace(served.plan, cache=cache, rules=GateRules()), spread=_never)
    assert strict.decisions_made == 2
    assert strict.pieces == ()
    assert strict.turns == ()
    assert walk_summary(strict, [], TERMS)["sentence"].startswith("the gate refused all 2 models")
    assert all(len(one) == 0 for one in served_columns(strict.pieces, [SYMBOL]).values())


def test_ungated_serves_every_model_from_the_same_fits(gated):
    """Each model serves from when it is fitted until the next one is, whatever the gate said."""
    served, _ = gated
    free = walk(replace(served.plan, gated=False), spread=_never)
    ready = [run.ready_ms for run in served.plan.runs]
    assert [(piece.from_ms, piece.until_ms) for piece in free.pieces] == [
        (SINCE_MS, ready[1]),
        (ready[1], UNTIL_MS),
    ]
    assert [one.model_id for one in free.runs] == [one.model_id for one in served.runs]
    assert all(one.judged is None for one in free.runs)


def test_each_model_saw_only_candles_before_its_retraining(gated):
    """No slice of a passport reaches the retraining, and fits of the evidence lie before their weeks."""
    served, _ = gated
    for one in served.runs:
        passport = json.loads((_fit_of(served, one.model_id) / "passport.json").read_text())
        assert max(last for _, last in passport["ranges"].values()) <= one.run.began_ms
        assert (
            min(first for first, _ in passport["ranges"].values()) >= one.run.began_ms - TRAIN_DAYS * DAY_MS
        )
    models, weeks = moments(served.plan)
    assert models == {FIRST_MS, SECOND_MS}
    assert weeks == {FIRST_MS - 7 * DAY_MS, FIRST_MS}


@pytest.mark.parametrize("at_ms", [FIRST_MS + 2 * DAY_MS, SECOND_MS + 4 * HOUR_MS, SECOND_MS + 20 * HOUR_MS])
def test_no_later_candle_changes_what_was_served(gated, tmp_path, at_ms):
    """Every candle from a moment on is another one: predictions, verdicts and events up to it are the same."""
    served, _ = gated
    cache = _copied(served, tmp_path)
    world = FitWorld(RECIPE, {SYMBOL: _altered(at_ms)}, TRAIN_DAYS, 1.0, Tick())
    other = walk(replace(served.plan, cache=cache, world=world))
    for name in ("ts", "expected_return", "probability_up", "uncertainty", "models"):
        before, after = (_until(one, name, at_ms) for one in (served, other))
        assert before.tolist() == after.tolist()
    assert [one for one in other.events if one.at_ms <= at_ms] == [
        one for one in served.events if one.at_ms <= at_ms
    ]
    for mine, theirs in zip(served.runs, other.runs, strict=True):
        if mine.run.began_ms <= at_ms:
            assert (mine.model_id, mine.judged) == (theirs.model_id, theirs.judged)
        else:
            assert mine.model_id != theirs.model_id  # the alteration is seen where it may be
    assert fingerprint(other) != fingerprint(served)


def test_a_kill_at_any_moment_leaves_what_goes_on(gated, tmp_path):
    """Killed after its first fit and again after its first decision, the third start ends with the same bytes."""
    served, _ = gated
    cache = tmp_path / "cache"
    _killed(cache, lambda: any(list_models(fit) for fit in cache.glob("fits/*")))
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("fits/*/*/model.onnx")}
    assert kept
    assert not list(cache.glob("decisions/*/0002.json"))
    _killed(cache, lambda: any(cache.glob("decisions/*/0001.json")))
    done = subprocess.run(
        _command(cache), cwd=ROOT, env=_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == fingerprint(served)
    # A fit of the evidence alone is thrown away once its week is forecast.
    assert all(at == kept[path] for path in kept if path.exists() for at in [path.stat().st_mtime_ns])


def test_a_damaged_decision_is_made_again(gated, tmp_path):
    """What is no whole decision counts as none."""
    served, _ = gated
    cache = _copied(served, tmp_path)
    first = next(cache.glob("decisions/*/0001.json"))
    first.write_bytes(first.read_bytes()[:100])
    again = walk(replace(served.plan, cache=cache), spread=_never)
    assert again.decisions_made == 1
    assert fingerprint(again) == fingerprint(served)


def test_a_damaged_fit_is_one_sentence(gated, tmp_path):
    """A kept model with a changed byte is refused by name, and does not serve."""
    served, _ = gated
    cache = _copied(served, tmp_path)
    for scaler in cache.glob("fits/*/*/scaler.json"):
        scaler.write_bytes(scaler.read_bytes() + b" ")
    with pytest.raises(ModelError, match="altered"):
        walk(replace(served.plan, cache=cache, gated=False), spread=_never)


def test_the_trials_are_counted_in_the_caches_own_ledger(gated):
    """Each retraining writes its looks where it is judged, as the daemon's would."""
    served, _ = gated
    kinds = [one.kind for one in read_trials(served.plan.cache / "models")]
    assert kinds.count("training") == 2
    assert (
        kinds.count("walk_forward") == 2
    )  # the recipe's, before and with its figures; a refit looks at its test slice


def test_too_few_candles_are_one_sentence(tmp_path):
    """A first model that could not have all its days is refused before anything is fitted."""
    plan = walk_plan(tmp_path)
    short = CANDLES.between(FIRST_MS - 3 * DAY_MS, UNTIL_MS)
    with pytest.raises(
        DataError, match=r"there are 3 days of candles before the first retraining.*made of 5"
    ):
        walk(replace(plan, world=replace(plan.world, series={SYMBOL: short})), spread=_never)
    empty = CANDLES.between(0, 0)
    with pytest.raises(DataError, match="there are 0 days"):
        walk(replace(plan, world=replace(plan.world, series={SYMBOL: empty})), spread=_never)


def test_a_fit_that_fails_is_named_by_its_day(tmp_path):
    """The fault keeps its kind and exit code, and says which fit it was."""

    def failing(jobs, world, on_done):
        on_done(next(iter(jobs)), DataError("a slice is empty"))

    with pytest.raises(DataError, match=r"^the fit of 2023-11-\d\d: a slice is empty$"):
        walk(walk_plan(tmp_path), spread=failing)


def test_fits_of_another_machine_come_as_bytes(gated, tmp_path):
    """Where fits do not see this disk their models are sent back, and everything else is the same."""
    served, _ = gated
    cache = _copied(served, tmp_path)
    second = _fit_of(served, served.runs[1].model_id).parent.name
    shutil.rmtree(cache / "fits" / second)

    def elsewhere(jobs, world, on_done):
        assert [job.root for job in jobs.values()] == [None]
        here(jobs, world, on_done)
        assert list_models(cache / "fits" / second)

    far = walk(replace(served.plan, cache=cache, fits_here=False), spread=elsewhere)
    assert (far.fits_made, far.decisions_made) == (1, 0)
    assert fingerprint(far) == fingerprint(served)


def _never(jobs, world, on_done):
    """No fit may be left to do."""
    raise AssertionError(f"{len(jobs)} fits were asked for")


def _copied(served, folder: Path) -> Path:
    return Path(shutil.copytree(served.plan.cache, folder / "cache"))


def _fit_of(served, model_id: str) -> Path:
    found: Path = next(served.plan.cache.glob(f"fits/*/{model_id}"))
    return found


def _altered(at_ms: int) -> CandleArrays:
    """The candles with every one from a moment on replaced by another that is as sound."""
    later = CANDLES.ts >= at_ms
    assert later.any()
    rng = np.random.default_rng(1)
    move = np.where(later, np.exp(np.cumsum(rng.normal(size=len(later)) * 1e-3) * later), 1.0)
    return CandleArrays(
        CANDLES.ts,
        CANDLES.open * move,
        CANDLES.high * move,
        CANDLES.low * move,
        CANDLES.close * move,
        np.where(later, CANDLES.volume * 3.0, CANDLES.volume),
    )


def _until(served, name: str, at_ms: int) -> np.ndarray:
    """A column of what was served on candles that had closed by then."""
    columns = served_columns(served.pieces, [SYMBOL])[SYMBOL]
    kept = columns.ts + MINUTE_MS <= at_ms
    assert kept.any()
    found: np.ndarray = getattr(columns, name)[kept]
    return found


def _command(cache: Path) -> list[str]:
    return [sys.executable, "-m", "tests.served_walk", str(cache)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def _killed(cache: Path, seen) -> None:
    """Start it, and end it without warning once something is on the disk."""
    with subprocess.Popen(
        _command(cache), cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        for _ in range(6000):
            if seen() or run.poll() is not None:
                break
            time.sleep(0.01)
        assert run.poll() is None, "it ended before it could be killed"
        run.send_signal(signal.SIGKILL)
