"""What a comparison writes into the trial ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bot.cli.compare_trials import look_at, trial_count, write_down
from models.comparison import Contender, compare, moment_keys
from models.forecaster import load_forecaster
from models.out_of_sample import look_ahead
from models.trials import Ledger, read_trials
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model


def test_each_model_is_a_trial_and_the_second_time_no_new_one(tmp_path: Path) -> None:
    """The ledger has a line for each model and none for a baseline; comparing again adds lines but no trials."""
    series = {"A/X": random_candles(3000, seed=1)}
    since = int(series["A/X"].ts[1000])
    contenders, looks = [], {}
    for seed in (7, 8):
        folder = write_tiny_model(tmp_path / "models", seed=seed, recipe=f"tiny{seed}")
        forecaster = load_forecaster(folder)
        moments, said = look_ahead(forecaster, series, since)
        name = folder.name
        looks[name, "g"] = look_at(forecaster.passport, moments, 5, "data")
        keys = moment_keys(moments.symbol, moments.ts)
        given = np.ones(len(moments), bool)
        contenders.append(
            Contender(name, "g", 15, True, keys, moments.realized, said.direction, said.probability, given)
        )
        half = np.full(len(moments), 0.5)
        if seed == 7:
            contenders.append(
                Contender("base_rate", "g", 15, False, keys, moments.realized, half - 0.5, half, given)
            )
    ledger = Ledger(tmp_path / "models", 5)
    write_down(compare(contenders, trials=2), looks, ledger)
    written = read_trials(ledger.root)
    assert [one.note for one in written] == [key[0] for key in looks]
    assert all(one.kind == "comparison" and one.at_ms == 5 for one in written)
    assert all(one.gain_millinats is not None for one in written)
    assert all(one.test_from_ms == since for one in written)
    assert trial_count(looks, []) == 2
    assert trial_count(looks, written) == 2
    write_down(compare(contenders), looks, ledger)
    assert len(read_trials(ledger.root)) == 2 * len(written)
    assert trial_count(looks, read_trials(ledger.root)) == 2
