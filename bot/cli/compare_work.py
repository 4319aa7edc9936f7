"""The work of ``bot compare`` once all models are there: forecasts, skill, money and time, as one document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.cli.compare_models import tell
from bot.cli.compare_timings import Timings
from bot.cli.compare_trials import look_at, trial_count, write_down
from bot.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from backtests.net_return import NetReturn
    from bot.cli.backtest_input import Prepared
    from bot.cli.compare import Split
    from models.comparison import Contender, Standing
    from models.forecaster import Forecaster
    from models.out_of_sample import Moments, Outlook, References
    from models.passport import ModelPassport
    from models.recipe import Recipe
    from models.trials import Ledger, Trial

_TIMED_WINDOWS = 256
ONCE_A_HORIZON = frozenset({"persistence", "last_return_sign"})
"""Baselines that are not fitted: the same whatever was trained."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model to compare: where it is, or the recipe that it is yet to be trained by."""

    name: str
    folder: Path | None
    recipe: Recipe | None


@dataclass(slots=True)
class _Ground:
    """Baselines fitted on one train slice, in the features of the models that share it."""

    label: str
    references: References
    keys: str


@dataclass(slots=True)
class _Field:
    """What has been gathered so far.

    Attributes:
        contenders: Of the comparison of forecasts.
        money: (name, ground) -> net return.
        facts: (name, ground) -> what else is known of it, as JSON values.
        grounds: By what they were fitted on.
        trials: (name, ground) -> the look at a model, for the ledger.
        hold: Buy-and-hold over the same candles.
    """

    contenders: list[Contender] = field(default_factory=list)
    money: dict[tuple[str, str], NetReturn] = field(default_factory=dict)
    facts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    grounds: dict[str, _Ground] = field(default_factory=dict)
    trials: dict[tuple[str, str], Trial] = field(default_factory=dict)
    hold: NetReturn | None = None


def compare_entries(
    entries: list[Entry], split: Split, money: Prepared, out: Path, ledger: Ledger, *, quiet: bool
) -> dict[str, Any]:
    """Compare all entries, each with a folder; the whole result as JSON values.

    Each model is a trial in the ledger, written down before the result is returned.

    Raises:
        DataError: A model was made from the time compared, or the candles hold no whole window there.
        ModelError: A model is refused, or the ledger is damaged.
        StorageError: The disk refused the measured times, or the ledger's lines.
    """
    from models.comparison import compare
    from models.hashing import data_digest
    from models.trials import read_trials

    earlier = read_trials(ledger.root)
    gathered = _Field()
    timings = Timings(out)
    digest = data_digest(split.whole)
    for entry in entries:
        _gather(entry, split, money, gathered, timings, (ledger.at_ms, digest), quiet=quiet)
    timings.store()
    tell("comparing", quiet=quiet)
    count = trial_count(gathered.trials, earlier)
    standings = compare(gathered.contenders, trials=count)
    write_down(standings, gathered.trials, ledger)
    return _document(standings, gathered, split, money) | {"trials": count}


def _gather(
    entry: Entry,
    split: Split,
    money: Prepared,
    gathered: _Field,
    timings: Timings,
    look: tuple[int, str],
    *,
    quiet: bool,
) -> None:
    """One model's forecasts, what they earn and how long they take; and those of its baselines, once."""
    from models.forecaster import load_forecaster
    from models.out_of_sample import look_ahead

    folder = entry.folder or Path()
    forecaster = load_forecaster(folder, threads=2)
    _refuse_what_saw(forecaster.passport, split.test_from_ms)
    tell(f"{entry.name}: forecasts", quiet=quiet)
    moments, said = look_ahead(forecaster, split.whole, split.test_from_ms)
    key = _ground_key(forecaster)
    if key not in gathered.grounds:
        gathered.grounds[key] = _new_ground(
            entry.name, key, forecaster, moments, split, money, gathered, timings, quiet=quiet
        )
    ground = gathered.grounds[key].label
    gathered.contenders.append(_contender(entry.name, ground, forecaster, moments, said, is_model=True))
    tell(f"{entry.name}: backtest", quiet=quiet)
    _earn(entry.name, ground, forecaster, moments, said, money, gathered, given=moments.given)
    gathered.trials[entry.name, ground] = look_at(forecaster.passport, moments, *look)
    gathered.facts[entry.name, ground] = {
        "model_id": forecaster.passport.model_id,
        "recipe": forecaster.passport.recipe,
        "abstained": int((~moments.given).sum()),
        "training_seconds": _training_seconds(folder),
        "inference_us": timings.of(
            forecaster.passport.model_id, lambda: _window_call(folder, split, forecaster, moments)
        ),
    }


def _refuse_what_saw(passport: ModelPassport, test_from_ms: int) -> None:
    """A model that was made from the time compared would be measured in sample."""
    from bot.cli.data_tables import time_words

    made = [bounds[1] for name, bounds in passport.ranges.items() if name != "test"]
    if made and max(made) > test_from_ms:
        raise DataError(
            f"model {passport.model_id} was made from candles up to {time_words(max(made))}, after --test-from "
            f"{time_words(test_from_ms)}: what it said there is a fit, not a forecast"
        )


def _ground_key(forecaster: Forecaster) -> str:
    """What the baselines of a model depend on."""
    passport = forecaster.passport
    parts = (
        passport.features,
        passport.window,
        passport.horizon_minutes,
        passport.hashes["scaler"],
        sorted(passport.ranges.items()),
    )
    return json.dumps(parts)


def _new_ground(
    label: str,
    key: str,
    forecaster: Forecaster,
    moments: Moments,
    split: Split,
    money: Prepared,
    gathered: _Field,
    timings: Timings,
    *,
    quiet: bool,
) -> _Ground:
    """Fit the baselines of a train slice and let them forecast the same minutes."""
    from bot.clock import monotonic_ns
    from models.hashing import sha256
    from models.out_of_sample import fit_references

    tell(f"{label}: fitting its baselines", quiet=quiet)
    references = fit_references(forecaster, split.before, seconds=lambda: monotonic_ns() / 1e9)
    ground = _Ground(label, references, sha256(key.encode())[:12])
    horizons = {(one.name, one.horizon) for one in gathered.contenders}
    for said in references.outlooks(moments):
        if said.name in ONCE_A_HORIZON and (said.name, forecaster.target.horizon) in horizons:
            continue
        gathered.contenders.append(_contender(said.name, label, forecaster, moments, said, is_model=False))
        facts = gathered.facts[said.name, label] = {"features": forecaster.passport.features}
        if said.expected is None:
            continue
        _earn(said.name, label, forecaster, moments, said, money, gathered, given=None)
        mark = f"{ground.keys}:{said.name}"
        facts["training_seconds"] = timings.kept(f"{mark}:training", references.seconds[said.name])
        facts["inference_us"] = timings.of(
            mark,
            lambda name=said.name: _row_call(references, moments, name),  # type: ignore[misc]
        )
    return ground


def _contender(
    name: str, ground: str, forecaster: Forecaster, moments: Moments, said: Outlook, *, is_model: bool
) -> Contender:
    """A forecaster as the comparison takes it."""
    import numpy as np

    from models.comparison import Contender, moment_keys

    return Contender(
        name=name,
        ground=ground,
        horizon=forecaster.target.horizon,
        is_model=is_model,
        moments=moment_keys(moments.symbol, moments.ts),
        realized=moments.realized,
        direction=said.direction,
        probability=said.probability,
        given=moments.given if is_model else np.ones(len(moments), np.bool_),
        expected=said.expected,
    )


def _earn(
    name: str,
    ground: str,
    forecaster: Forecaster,
    moments: Moments,
    said: Outlook,
    money: Prepared,
    gathered: _Field,
    *,
    given: np.ndarray[Any, np.dtype[np.bool_]] | None,
) -> None:
    """Trade on the forecasts, costs and all."""
    import numpy as np

    from backtests.inputs import PredictionColumns, rounded
    from backtests.net_return import hold_return, net_return
    from backtests.run import run_backtest

    if said.expected is None or said.probability is None:
        return
    spoken = np.ones(len(moments), np.bool_) if given is None else given
    columns = {}
    for number, symbol in enumerate(moments.symbols):
        chosen = spoken & (moments.symbol == number)
        columns[symbol] = PredictionColumns(
            ts=moments.ts[chosen],
            expected_return=rounded(said.expected[chosen]),
            model_id=name,
            horizon_minutes=forecaster.target.horizon,
            probability_up=rounded(said.probability[chosen]),
            uncertainty=None if said.uncertainty is None else rounded(said.uncertainty[chosen]),
        )
    data = replace(money.data, predictions=columns)
    result = run_backtest(data, engine="fast")
    gathered.money[name, ground] = net_return(result, data)
    gathered.hold = gathered.hold or hold_return(result, data)


def _training_seconds(folder: Path) -> float | None:
    """How long a stored model took to train, by its own history."""
    try:
        history = json.loads((folder / "training_history.json").read_bytes())
    except FileNotFoundError:
        return None
    seconds = history.get("seconds")
    return None if seconds is None else float(seconds)


def _window_call(
    folder: Path, split: Split, forecaster: Forecaster, moments: Moments
) -> Callable[[int], object]:
    """One inference of one window, as the daemon makes it: one thread. The first windows compared on, in turn."""
    from models.forecaster import load_forecaster
    from models.windows import MINUTE_MS, gather

    single = load_forecaster(folder, threads=1)
    first = int(moments.ts[0])
    symbol = moments.symbols[int(moments.symbol[0])]
    history = forecaster.features.history_minutes(forecaster.passport.window)
    candles = split.whole[symbol].between(first - history * MINUTE_MS, first + _TIMED_WINDOWS * MINUTE_MS)
    table = forecaster.features.compute(candles)
    ends = forecaster.ends(candles, table)
    windows = gather(forecaster.scaler.transform_table(table.matrix), ends, forecaster.passport.window)
    return lambda number: single.infer(windows[number % len(windows)][None])


def _row_call(references: References, moments: Moments, name: str) -> Callable[[int], object]:
    """One forecast of a baseline from one row."""
    rows = moments.rows[:_TIMED_WINDOWS]
    score = references.logistic_score if name == "logistic_regression" else references.boosting.score
    return lambda number: score(rows[number % len(rows)][None])


def _document(standings: list[Standing], gathered: _Field, split: Split, money: Prepared) -> dict[str, Any]:
    """Everything as JSON values."""
    from bot.candles.columns import iso_utc

    shared = max((one.samples for one in standings if one.shared), default=0)
    return {
        "symbols": sorted(split.whole),
        "trained_from": iso_utc(min(int(arrays.ts[0]) for arrays in split.before.values())),
        "test_from": iso_utc(split.test_from_ms),
        "test_until": iso_utc(max(int(arrays.ts[-1]) for arrays in split.after.values())),
        "shared_minutes": shared,
        "strategy": money.strategy,
        "costs": asdict(money.data.config.costs),
        "forecasters": list(_rows(standings, gathered)),
        "buy_and_hold": None if gathered.hold is None else asdict(gathered.hold),
    }


def _rows(standings: list[Standing], gathered: _Field) -> Iterator[dict[str, Any]]:
    """Each forecaster with all that is known of it."""
    for standing in standings:
        key = (standing.contender.name, standing.contender.ground)
        earned = gathered.money.get(key)
        yield {
            **standing.as_json(),
            "training_seconds": None,
            "inference_us": None,
            **gathered.facts.get(key, {}),
            "net_return": None if earned is None else asdict(earned),
        }
