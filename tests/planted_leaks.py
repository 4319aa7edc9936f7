"""Pipelines that cheat, each in one place, and where the causality audit must catch it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.audits.causality import Answer, Learned, Market, Rows, Split
from bot.audits.causality_split import label_known_ms
from bot.core.closer import CandleUpdate
from models.candle_arrays import CandleArrays
from tests.leaky_pipelines import MINUTE, Fitted, Floats, PlainPipeline, Prepared, log_close

Members = list[npt.NDArray[np.bool_]]
Times = npt.NDArray[np.int64]


class WithColumn(PlainPipeline):
    """One more feature, which cheats."""

    leak = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*super().columns, self.leak)

    def features(self, candles: CandleArrays) -> Floats:
        return np.column_stack([super().features(candles), self.cheat(candles)])

    def cheat(self, candles: CandleArrays) -> Floats:
        raise NotImplementedError


class ScalerOnAllRows(PlainPipeline):
    def scaler_rows(self, rows: Floats, members: Members) -> Floats:
        return rows


class CentredFilter(WithColumn):
    leak = "centred_mean"

    def cheat(self, candles: CandleArrays) -> Floats:
        padded = np.pad(log_close(candles), 3, mode="edge")
        return log_close(candles) - sum(padded[lag : lag + len(candles)] for lag in range(7)) / 7.0


class ShuffledSplit(PlainPipeline):
    def members(self, times: Times) -> list[Times]:
        mixed = np.random.default_rng(5).permutation(times)
        cuts = [int(len(mixed) * share) for share in (0.6, 0.75, 0.85)]
        return [np.sort(part) for part in np.split(mixed, cuts)]


class HiddenShuffle(ShuffledSplit):
    """A shuffled split whose pipeline says that it was in order."""

    def split(self, times: list[Times], names: list[str]) -> Split:
        honest = PlainPipeline.members(self, np.unique(np.concatenate(times)))
        return super().split(honest, names)


class UnclosedBar(PlainPipeline):
    """Live it takes the first update of a minute for the minute's candle."""

    def is_closed(self, update: CandleUpdate, seen: set[tuple[str, int]]) -> bool:
        return (update.symbol, update.opened_at_ms) not in seen


class DecidesAtTheOpen(PlainPipeline):
    """It says to decide when a bar opens, but knows the bar's close."""

    def decision_known(self, ts: Times, learned_ms: int) -> Times:
        return np.maximum(ts, learned_ms)


class ThresholdOnTest(PlainPipeline):
    def threshold_slice(self) -> int:
        return 3


class CalibratedOnTest(PlainPipeline):
    def calibration_slice(self) -> int:
        return 3


class EarlyStopOnTest(PlainPipeline):
    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.model = "logistic"

    def stop_slice(self) -> int:
        return 3


class LabelsOverlap(PlainPipeline):
    """The slices follow each other without purge or embargo."""

    def purge(self) -> int:
        return 0

    def embargo(self) -> int:
        return 0


class NoEmbargo(PlainPipeline):
    """Purged, but the next slice begins at once."""

    def embargo(self) -> int:
        return 1


class ReachDenied(PlainPipeline):
    """It says that its labels are known at once, which would hide the overlap."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.horizon, self.model = 10, "ridge"
        self.reach = 0

    def purge(self) -> int:
        return 0


class FutureFilledGap(PlainPipeline):
    """Missing minutes are drawn as a line to the candle that came after them."""

    def fill(self, candles: CandleArrays) -> CandleArrays:
        ts = np.arange(candles.ts[0], candles.ts[-1] + 1, MINUTE)
        columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
        return CandleArrays(ts, *(np.interp(ts, candles.ts, column) for column in columns))


class BothDirections(PlainPipeline):
    """Forecasts are smoothed forwards and backwards over the whole series."""

    def predict(self, features: Floats, fitted: Fitted) -> Floats:
        score = super().predict(features, fitted)
        for _ in range(2):
            state = 0.0
            for place in range(len(score)):
                state += 0.3 * (score[place] - state)
                score[place] = state
            score = score[::-1].copy()
        return score


class TargetInFeatures(WithColumn):
    leak = "next_move"

    def cheat(self, candles: CandleArrays) -> Floats:
        return np.nan_to_num(self.label(candles))


class ResampledAhead(WithColumn):
    """Every minute has the close of the quarter of an hour that it lies in."""

    leak = "quarter_close"

    def cheat(self, candles: CandleArrays) -> Floats:
        bar = candles.ts // (15 * MINUTE)
        last = np.searchsorted(bar, bar, side="right") - 1
        return log_close(candles)[last] - log_close(candles)


class WholeSampleVolatility(WithColumn):
    leak = "in_deviations"

    def cheat(self, candles: CandleArrays) -> Floats:
        moves = np.diff(log_close(candles), prepend=log_close(candles)[0])
        scaled: Floats = moves / (moves.std() + 1e-12)
        return scaled


class BackfilledWarmUp(WithColumn):
    """Rows without enough history get the first value that there is."""

    leak = "slow_mean"

    def cheat(self, candles: CandleArrays) -> Floats:
        span = 400
        total = np.cumsum(log_close(candles))
        mean = np.full(len(candles), np.nan)
        mean[span:] = (total[span:] - total[:-span]) / span
        mean[:span] = mean[span] if len(candles) > span else 0.0
        above: Floats = log_close(candles) - mean
        return above


class RankedOverTime(WithColumn):
    """A percentile among all values of the series, later ones included."""

    leak = "volume_rank"

    def cheat(self, candles: CandleArrays) -> Floats:
        rank: Floats = np.argsort(np.argsort(candles.volume, kind="stable"), kind="stable") / len(candles)
        return rank


class Survivors(PlainPipeline):
    """Only symbols that still trade at the very end of the candles."""

    def symbols(self, market: Market) -> list[str]:
        end = max(int(candles.ts[-1]) for candles in market.values())
        return [name for name in super().symbols(market) if int(market[name].ts[-1]) >= end - 120 * MINUTE]


class ChosenByLaterVolume(PlainPipeline):
    """The symbols that are traded most by the end, one fewer than there are."""

    def symbols(self, market: Market) -> list[str]:
        traded = {name: float(candles.volume[-200:].mean()) for name, candles in market.items()}
        return sorted(sorted(traded, key=lambda name: -traded[name])[: len(traded) - 1])


class FeaturesChosenOnAllRows(PlainPipeline):
    """The columns that go best with the label, train and test alike, are kept."""

    def fit(self, rows: Floats, y: Floats, members: Members) -> Fitted:
        fitted = super().fit(rows, y, members)
        strength = np.abs([float(np.corrcoef(column, y)[0, 1]) for column in rows.T])
        fitted.weights = fitted.weights * (strength >= np.median(np.nan_to_num(strength)))
        fitted.weights = fitted.weights * (1.0 + np.nan_to_num(strength))
        return fitted


class SeesTheNextBar(PlainPipeline):
    """A decision is taken only where the next minute will not go against it."""

    def decide(self, candles: CandleArrays, score: Floats, fitted: Fitted) -> npt.NDArray[np.int64]:
        wanted = np.sign(score).astype(np.int64)
        ahead = np.append(np.diff(candles.close), 0.0)
        return np.where(ahead * wanted < 0.0, 0, wanted)


class NeverTheSame(PlainPipeline):
    """Its fit begins where the last one ended."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._warm = 0.0

    def fit_model(self, x: Floats, y: Floats, members: Members) -> Floats:
        self._warm += 0.001
        return super().fit_model(x, y, members) + self._warm


class RemembersTheSeries(PlainPipeline):
    """It keeps the features of the first candles that it was shown and looks everything up there."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._kept: dict[tuple[int, int], Prepared] = {}

    def prepare(self, candles: CandleArrays) -> Prepared:
        key = len(candles), int(candles.ts[0])
        return self._kept.setdefault(key, super().prepare(candles))


class KnownOnlyAtTheEnd(PlainPipeline):
    """It says of its model that it is learnt from everything, so that nobody can ask."""

    def learned(self, fitted: Fitted, split: Split) -> list[Learned]:
        end = label_known_ms(split.slices[3]) + 1440 * MINUTE
        return [Learned(one.stage, one.values, end) for one in super().learned(fitted, split)]


class WritesIntoCandles(PlainPipeline):
    """It reverses its input in place; later questions must not see that; it is clean otherwise."""

    def answer(self, market: Market) -> Answer:
        said = super().answer(market)
        for candles in market.values():
            candles.close[:] = candles.close[::-1].copy()
        return said


class BatchOnlyIndicator(PlainPipeline):
    """Batch rows know an average from the very first candle on; live there are only the last few."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*super().columns, "running_average")

    def features(self, candles: CandleArrays) -> Floats:
        average, state = np.empty(len(candles)), log_close(candles)[0]
        for place, value in enumerate(log_close(candles).tolist()):
            state += 0.02 * (value - state)
            average[place] = log_close(candles)[place] - state
        return np.column_stack([super().features(candles), average])


@dataclass(frozen=True)
class PlantedLeak:
    """A pipeline that cheats, and what the audit must say.

    Attributes:
        name: As the issue calls it.
        make: The pipeline; seed 3 unless it sets something itself.
        stage: Where the audit must find it.
        compared: A word of the comparison that must find it.
        words: What the sentence must hold.
    """

    name: str
    make: type[PlainPipeline]
    stage: str
    compared: str
    words: str


LEAKS: Sequence[PlantedLeak] = (
    PlantedLeak(
        "scaler fitted on all rows", ScalerOnAllRows, "scaler", "altered", "but knows what came later"
    ),
    PlantedLeak("centred filter", CentredFilter, "features", "altered", "centred_mean"),
    PlantedLeak("shuffled split", ShuffledSplit, "split", "order", "the slices are mixed, as by a shuffle"),
    PlantedLeak("shuffled split, denied", HiddenShuffle, "model", "altered", "but knows what came later"),
    PlantedLeak("unclosed bar", UnclosedBar, "features", "stream", "live it would see something else"),
    PlantedLeak(
        "unclosed bar, decided at its open",
        DecidesAtTheOpen,
        "decisions",
        "altered",
        "before its own candle has closed",
    ),
    PlantedLeak(
        "threshold tuned on test", ThresholdOnTest, "threshold", "altered", "but knows what came later"
    ),
    PlantedLeak(
        "calibration on test", CalibratedOnTest, "calibration", "altered", "but knows what came later"
    ),
    PlantedLeak("label overlap without purge", LabelsOverlap, "split", "order", "is not purged"),
    PlantedLeak("label overlap, denied", ReachDenied, "model", "altered", "but knows what came later"),
    PlantedLeak("label that is known too early", ReachDenied, "labels", "altered", "move"),
    PlantedLeak("no embargo", NoEmbargo, "split", "order", "the longer of window and label reach"),
    PlantedLeak("future-filled gap", FutureFilledGap, "features", "altered", "when the candles after"),
    PlantedLeak("bidirectional over the whole series", BothDirections, "predictions", "altered", "score"),
    PlantedLeak("target in features", TargetInFeatures, "features", "altered", "next_move"),
    PlantedLeak("resampling that looks ahead", ResampledAhead, "features", "altered", "quarter_close"),
    PlantedLeak("early stopping on test", EarlyStopOnTest, "model", "altered", "but knows what came later"),
    PlantedLeak("survivorship by symbol list", Survivors, "features", "ends", "which rows there are"),
    PlantedLeak("survivorship in the training set", Survivors, "split", "ends", "only survivors are"),
    PlantedLeak(
        "symbols by later volume", ChosenByLaterVolume, "features", "altered", "which rows there are"
    ),
    PlantedLeak(
        "volatility of the whole sample", WholeSampleVolatility, "features", "altered", "whole series"
    ),
    PlantedLeak("back-filled warm-up", BackfilledWarmUp, "features", "altered", "slow_mean"),
    PlantedLeak("rank over all time", RankedOverTime, "features", "altered", "volume_rank"),
    PlantedLeak(
        "features chosen on all rows",
        FeaturesChosenOnAllRows,
        "model",
        "altered",
        "but knows what came later",
    ),
    PlantedLeak("decisions that see the next bar", SeesTheNextBar, "decisions", "altered", "position"),
    PlantedLeak(
        "a fit that is never the same",
        NeverTheSame,
        "model",
        "twice",
        "does not answer the same question the same way",
    ),
    PlantedLeak(
        "a remembered series", RemembersTheSeries, "features", "altered", "does it remember an earlier series"
    ),
    PlantedLeak(
        "a claim that cannot be asked", KnownOnlyAtTheEnd, "model", "altered", "nothing could be checked"
    ),
    PlantedLeak("another indicator live", BatchOnlyIndicator, "features", "stream", "running_average"),
)


def rows_only(symbol: str, ts: Times, values: Floats) -> Rows:
    """One column of one stage, for tests of the comparisons."""
    return Rows("features", symbol, ts, ("x",), values[:, None])
