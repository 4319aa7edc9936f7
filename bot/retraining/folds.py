"""Walk-forward: each week is forecast by a model that was made of what lay before it, and never again touched.

A week that was forecast once is kept under ``MODELS/walk-forward/RECIPE-DIGEST/``, under a name that holds everything
it was made of: candles, recipe, code and libraries. The next retraining has one new week to fit, not twenty-six, and
an interrupted one goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.market import DAY_MS
from bot.errors import DataError
from bot.retraining.evidence import Rival
from bot.retraining.scored import WEEK_MS, ScoredForecasts, fill_prices, from_parquet, to_parquet
from models.candle_arrays import CandleArrays
from models.durable import disk, replace_file
from models.fit_progress import OnProgress
from models.forecaster import Forecaster, load_forecaster
from models.hashing import code_digest, data_digest, sha256
from models.out_of_sample import Moments, Outlook, fit_references, look_ahead
from models.recipe import Recipe
from models.training import train
from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]

FOLDER = "walk-forward"
_LAST_RETURN_PRIOR = 2.0


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """What every week has in common.

    Attributes:
        recipe: What is fitted.
        train_days: Days of candles that each fit is made of.
        max_minutes: Time limit of each fit.
        root: The folder of models.
    """

    recipe: Recipe
    train_days: int
    max_minutes: float
    root: Path

    @property
    def folder(self) -> Path:
        """Where this recipe's weeks are kept."""
        return self.root / FOLDER / f"{self.recipe.name}-{self.recipe.digest()[:12]}"


def week_starts(series: Mapping[str, CandleArrays], now_ms: int, *, train_days: int, most: int) -> list[int]:
    """Begins of the whole weeks before a moment that have enough candles before them, oldest first.

    They lie whole weeks before the day of that moment, so that a retraining on the same day of each week finds the
    weeks of the one before.
    """
    begin = max(int(candles.ts[0]) for candles in series.values() if len(candles))
    last = now_ms // DAY_MS * DAY_MS
    starts = [last - back * WEEK_MS for back in range(most, 0, -1)]
    return [start for start in starts if start - train_days * DAY_MS >= begin - DAY_MS]


def walk_forward(
    plan: FoldPlan,
    series: Mapping[str, CandleArrays],
    starts: Sequence[int],
    *,
    monotonic_ns: Callable[[], int],
    on_progress: OnProgress | None = None,
    on_week: Callable[[int, bool], None] | None = None,
) -> list[ScoredForecasts]:
    """Fit and forecast each week that is not kept yet.

    Args:
        plan: What is fitted, and where it is kept.
        series: Candles of each symbol.
        starts: Begins of the weeks.
        monotonic_ns: A local clock.
        on_progress: Told of each fit's progress.
        on_week: Told of each week that is done: its begin, and whether it was kept from before.

    Raises:
        ConfigError, DataError, ModelError, StorageError: As ``models.training.train`` does.
    """
    weeks = []
    for start_ms in starts:
        seen, history = seen_and_history(plan, series, start_ms)
        kept = kept_file(plan, seen, history, start_ms)
        known = kept.is_file()
        if known:
            week = from_parquet(kept.read_bytes(), str(kept))
        else:
            week = _forecast_week(plan, seen, history, start_ms, monotonic_ns, on_progress)
            with disk(kept):
                replace_file(kept, to_parquet(week))
        weeks.append(week)
        if on_week is not None:
            on_week(start_ms, known)
    return weeks


def rivals_of(plan: FoldPlan, weeks: Sequence[ScoredForecasts]) -> dict[str, Rival]:
    """What other recipes said of the same weeks, as far as they were tried and kept."""
    wanted = {week.start_ms: week for week in weeks}
    folder = plan.root / FOLDER
    found: dict[str, Rival] = {}
    if not wanted or not folder.is_dir():
        return found
    for other in sorted(folder.iterdir()):
        if other == plan.folder or not other.is_dir():
            continue
        theirs = [from_parquet(path.read_bytes(), str(path)) for path in sorted(other.glob("*.parquet"))]
        newest = {week.start_ms: week for week in theirs if _comparable(week, wanted.get(week.start_ms))}
        if newest:
            found[other.name] = rival_of(list(newest.values()))
    return found


def rival_of(weeks: Sequence[ScoredForecasts]) -> Rival:
    """Forecasts by moment."""
    moments = np.concatenate([week.moments for week in weeks])
    said = np.concatenate([week.probability for week in weeks])
    order = np.argsort(moments, kind="stable")
    return Rival(moments[order], said[order])


def scored(
    forecaster: Forecaster,
    baselines: Sequence[Outlook],
    moments: Moments,
    outlook: Outlook,
    history: Mapping[str, CandleArrays],
    *,
    start_ms: int,
    until_ms: int,
    after_sign: tuple[float, float],
) -> ScoredForecasts:
    """A model's and its baselines' words about the minutes from start to until.

    Args:
        forecaster: The model.
        baselines: Their words at the same moments.
        moments: Where the words were said.
        outlook: The model's words.
        history: Candles, for the prices of fills.
        start_ms: First minute that counts.
        until_ms: End of them.
        after_sign: P(up) after a minute that fell, and after one that rose.
    """
    kept = (moments.ts >= start_ms) & (moments.ts < until_ms)
    said = kept & moments.given
    missing = np.where(said, 0.0, np.nan)[kept]
    fill, late = _fills(moments, kept, history)
    last = moments.last_return[kept]
    words = {one.name: one.probability for one in baselines}
    base = words["base_rate"]
    sign = np.select([last < 0, last > 0], after_sign, 0.5 if base is None else base[kept])
    size = int(np.count_nonzero(kept))
    return ScoredForecasts(
        start_ms=start_ms,
        horizon=forecaster.target.horizon,
        symbols=moments.symbols,
        symbol=moments.symbol[kept],
        ts=moments.ts[kept],
        realized=moments.realized[kept],
        probability=_or_nan(outlook.probability, kept, size) + missing,
        expected=_or_nan(outlook.expected, kept, size) + missing,
        uncertainty=_or_nan(outlook.uncertainty, kept, size),
        fill=fill,
        late_fill=late,
        baselines={name: sign if said_up is None else said_up[kept] for name, said_up in words.items()},
    )


def seen_and_history(
    plan: FoldPlan, series: Mapping[str, CandleArrays], start_ms: int
) -> tuple[dict[str, CandleArrays], dict[str, CandleArrays]]:
    """The candles that a week's model is made of, and those with the week itself; ends are not included."""
    since_ms = start_ms - plan.train_days * DAY_MS
    # Not a minute more, or the newest week would be another one a week later.
    return _between(series, since_ms, start_ms), _between(series, since_ms, start_ms + WEEK_MS)


def kept_file(
    plan: FoldPlan, seen: Mapping[str, CandleArrays], history: Mapping[str, CandleArrays], start_ms: int
) -> Path:
    """The name of a week's file: everything that it depends on."""
    parts = [
        plan.recipe.digest(),
        data_digest(seen),
        data_digest(history),
        code_digest(),
        str(plan.max_minutes),
    ]
    with disk(plan.folder):
        plan.folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y%m%dT%H%M")
    return plan.folder / f"{stamp}-{sha256(''.join(parts).encode())[:12]}.parquet"


def forecast_week(
    model: Path,
    seen: Mapping[str, CandleArrays],
    history: Mapping[str, CandleArrays],
    start_ms: int,
    monotonic_ns: Callable[[], int],
) -> ScoredForecasts:
    """What a stored model says of the week after the candles that it was made of, baselines beside it.

    Raises:
        DataError: The week holds no whole window.
        ModelError: The model is refused.
    """
    forecaster = load_forecaster(model, threads=2)
    references = fit_references(forecaster, seen, seconds=lambda: monotonic_ns() / 1e9)
    moments, outlook = look_ahead(forecaster, history, start_ms)
    week = scored(
        forecaster,
        references.outlooks(moments),
        moments,
        outlook,
        history,
        start_ms=start_ms,
        until_ms=start_ms + WEEK_MS,
        after_sign=after_sign(seen, forecaster.target.horizon),
    )
    if not len(week):
        raise DataError(f"the week of {start_ms} holds no whole window to forecast")
    return week


def _comparable(week: ScoredForecasts, with_: ScoredForecasts | None) -> bool:
    """Whether two recipes spoke of the same moves."""
    return with_ is not None and (week.horizon, week.symbols) == (with_.horizon, with_.symbols)


def _forecast_week(
    plan: FoldPlan,
    seen: Mapping[str, CandleArrays],
    history: Mapping[str, CandleArrays],
    start_ms: int,
    monotonic_ns: Callable[[], int],
    on_progress: OnProgress | None,
) -> ScoredForecasts:
    """One fit and its week; the model is thrown away, its words are kept."""
    workshop = plan.folder / f"models-{start_ms}"
    trained = train(
        plan.recipe,
        seen,
        workshop,
        created_at_ms=start_ms,
        monotonic_ns=monotonic_ns,
        max_seconds=plan.max_minutes * 60.0,
        on_progress=on_progress,
    )
    week = forecast_week(trained.folder, seen, history, start_ms, monotonic_ns)
    shutil.rmtree(workshop, ignore_errors=True)
    return week


def after_sign(series: Mapping[str, CandleArrays], horizon: int) -> tuple[float, float]:
    """Share of rises over the horizon after a minute that fell, and after one that rose; drawn a little to one half."""
    rises, moves = {-1.0: 1.0, 1.0: 1.0}, {-1.0: _LAST_RETURN_PRIOR, 1.0: _LAST_RETURN_PRIOR}
    for candles in series.values():
        if len(candles) <= horizon + 1:
            continue
        last = np.sign(candles.close[1:-horizon] - candles.close[: -horizon - 1])
        came = np.sign(candles.close[horizon + 1 :] - candles.close[1:-horizon])
        whole = candles.ts[horizon + 1 :] - candles.ts[: -horizon - 1] == (horizon + 1) * MINUTE_MS
        for sign in rises:
            chosen = whole & (last == sign) & (came != 0.0)
            rises[sign] += float(np.count_nonzero(came[chosen] > 0.0))
            moves[sign] += float(np.count_nonzero(chosen))
    return rises[-1.0] / moves[-1.0], rises[1.0] / moves[1.0]


def _between(series: Mapping[str, CandleArrays], since_ms: int, until_ms: int) -> dict[str, CandleArrays]:
    """The candles of each symbol with times in [since, until)."""
    return {name: candles.between(since_ms, until_ms) for name, candles in series.items()}


def _fills(
    moments: Moments, kept: npt.NDArray[np.bool_], history: Mapping[str, CandleArrays]
) -> tuple[Floats, Floats]:
    """Prices of fills one and two bars later, at the moments kept."""
    symbol, ts = moments.symbol[kept], moments.ts[kept]
    soon, late = np.full(len(ts), np.nan), np.full(len(ts), np.nan)
    for number, name in enumerate(moments.symbols):
        candles, chosen = history[name], symbol == number
        place = np.searchsorted(candles.ts, ts[chosen])
        soon[chosen] = fill_prices(candles, 1)[place]
        late[chosen] = fill_prices(candles, 2)[place]
    return soon, late


def _or_nan(values: Floats | None, kept: npt.NDArray[np.bool_], size: int) -> Floats:
    """A column at the moments kept; NaN where there is none."""
    chosen: Floats = np.full(size, np.nan) if values is None else values[kept]
    return chosen
