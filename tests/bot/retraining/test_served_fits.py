"""Fits of a walk-forward backtest: which are left to do, under which name they are kept, and who may have them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import DAY_MS
from bot.errors import DataError, EngineProtocolError
from bot.retraining.folds import FoldPlan, kept_file, seen_and_history
from bot.retraining.served_fits import FitDone, FitWorld, KeptFits, failed
from tests.served_walk import CANDLES, FIRST_MS, RECIPE, SYMBOL, TRAIN_DAYS, Tick
from tests.tiny_model import write_tiny_model

WORLD = FitWorld(RECIPE, {SYMBOL: CANDLES}, TRAIN_DAYS, 1.0, Tick())
DAYS = [FIRST_MS + day * DAY_MS for day in range(-2, 3)]


def stored(fits: KeptFits, at_ms: int) -> None:
    """A model is kept at a moment, as if it had been fitted."""
    job = next(iter(fits.missing({at_ms}, set(), here=True).values()))
    assert job.root is not None
    write_tiny_model(job.root)


@given(models=st.sets(st.sampled_from(DAYS)), weeks=st.sets(st.sampled_from(DAYS)))
def test_each_moment_is_fitted_once(tmp_path_factory, models, weeks):
    """A moment whose model and whose week are wanted is one job; nothing that is not wanted is done."""
    fits = KeptFits(WORLD, tmp_path_factory.getbasetemp() / "fits")
    jobs = fits.missing(models, weeks, here=False)
    assert [job.at_ms for job in jobs.values()] == sorted(models | weeks)
    assert {job.at_ms for job in jobs.values() if job.week} == weeks
    assert all(job.root is None and job.made is None for job in jobs.values())


def test_a_kept_model_is_sent_along_where_its_week_is_missing(tmp_path):
    """The week is forecast by the kept model, not by another fit; with the week there too nothing is left."""
    fits = KeptFits(WORLD, tmp_path)
    stored(fits, FIRST_MS)
    assert fits.missing({FIRST_MS}, set(), here=True) == {}
    (job,) = fits.missing({FIRST_MS}, {FIRST_MS}, here=True).values()
    assert job.week
    assert "model.onnx" in (job.made or {})
    fits.store(FitDone(FIRST_MS, week=b"a week"), keep=True)
    assert fits.missing({FIRST_MS}, {FIRST_MS}, here=True) == {}
    folds = FoldPlan(RECIPE, TRAIN_DAYS, 1.0, fits.root)
    assert (
        kept_file(folds, *seen_and_history(folds, WORLD.series, FIRST_MS), FIRST_MS).read_bytes() == b"a week"
    )


def test_what_is_for_the_evidence_alone_is_thrown_away(tmp_path):
    """The week stays, the model does not."""
    fits = KeptFits(WORLD, tmp_path)
    stored(fits, FIRST_MS)
    fits.store(FitDone(FIRST_MS, week=b"a week"), keep=False)
    with pytest.raises(EngineProtocolError, match="was not made"):
        fits.model(FIRST_MS)
    assert fits.missing(set(), {FIRST_MS}, here=True) == {}


def test_candles_recipe_limit_and_days_are_part_of_the_name(tmp_path):
    """Whatever a fit is made of changes its name; candles after it do not."""

    def _name(world: FitWorld) -> str:
        return next(iter(KeptFits(world, tmp_path).missing({FIRST_MS}, set(), here=False)))

    names = {_name(WORLD)}
    assert _name(replace(WORLD, series={SYMBOL: CANDLES.between(0, FIRST_MS)})) in names
    for other in (
        replace(WORLD, series={SYMBOL: CANDLES.between(0, FIRST_MS - 60_000)}),
        replace(WORLD, series={"ETH/USDT": CANDLES}),
        replace(WORLD, max_minutes=2.0),
        replace(WORLD, train_days=TRAIN_DAYS - 1),
        replace(WORLD, recipe=RECIPE.model_copy(update={"window": 30})),
    ):
        assert _name(other) not in names
        names.add(_name(other))


def test_a_kept_fit_of_something_else_is_not_taken_over(tmp_path):
    """A model whose passport names other candles or another recipe is our own mistake, and ends the run."""
    fits = KeptFits(WORLD, tmp_path)
    stored(fits, FIRST_MS)
    terms = {"created_at_ms": FIRST_MS, "max_seconds": 60.0}
    with pytest.raises(EngineProtocolError, match="not of what is retrained"):
        fits.adopt(RECIPE, WORLD.seen(FIRST_MS), tmp_path / "models", **terms)


def test_a_fault_says_which_fit_it_was():
    """Its kind, and so its exit code, is kept."""
    fault = failed("2024-01-07", DataError("too few"))
    assert isinstance(fault, DataError)
    assert str(fault) == "the fit of 2024-01-07: too few"
