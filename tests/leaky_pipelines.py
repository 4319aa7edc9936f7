"""Small whole pipelines for the causality audit: clean ones by seed, and such as cheat in exactly one place.

From candles to decisions in a few hundred lines: features that look back at most ``LOOKBACK`` minutes, four purged
slices, a scaler, a ridge or logistic regression with early stopping, a threshold, decisions. Every sum runs over lags
one by one, so that a row has the same bits however many rows are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.audits.causality import Answer, Learned, Market, Rows, Slice, Split
from bot.audits.causality_split import label_known_ms
from bot.core.closer import CandleUpdate
from models.candle_arrays import CandleArrays
from tests.random_candles import random_candles

MINUTE = 60_000
LOOKBACK = 30
Floats = npt.NDArray[np.float64]

SLICES = ("train", "early_stop", "calibrate", "test")


def small_market(seed: int, *, minutes: int = 1000, symbols: int = 2) -> dict[str, CandleArrays]:
    """Some random symbols over the same time, each with three short gaps of its own."""
    found, rng = {}, np.random.default_rng([seed, 9])
    for place, name in enumerate(("AAA/USDT", "BBB/USDT", "CCC/USDT")[:symbols]):
        whole, keep = random_candles(minutes, seed=seed * 10 + place), np.ones(minutes, np.bool_)
        for share in (0.2, 0.5, 0.7):
            start = int(minutes * share) + int(rng.integers(0, minutes // 20))
            keep[start : start + int(rng.integers(1, 25))] = False
        columns = (whole.open, whole.high, whole.low, whole.close, whole.volume)
        found[name] = CandleArrays(whole.ts[keep], *(column[keep] for column in columns))
    return found


def lagged(column: Floats, lag: int) -> Floats:
    """The column ``lag`` rows ago; NaN before the first."""
    return np.concatenate([np.full(min(lag, len(column)), np.nan), column[: max(0, len(column) - lag)]])


def running_mean(column: Floats, span: int) -> Floats:
    """Mean of the last ``span`` rows, added one lag after the other."""
    total = np.zeros(len(column))
    for lag in range(span):
        total = total + lagged(column, lag)
    return total / span


def decayed(column: Floats, span: int) -> Floats:
    """A weighted mean of the last ``LOOKBACK`` rows, the newest ones most."""
    total, weight = np.zeros(len(column)), 1.0
    for lag in range(LOOKBACK):
        total, weight = total + weight * lagged(column, lag), weight * (1.0 - 1.0 / span)
    return total / span


def log_close(candles: CandleArrays) -> Floats:
    """Logarithm of the close."""
    return np.log(candles.close)


def fast_move(candles: CandleArrays, span: int) -> Floats:
    """Log return over some minutes."""
    return log_close(candles) - lagged(log_close(candles), span)


def distance(candles: CandleArrays, span: int) -> Floats:
    """Log close less its mean."""
    return log_close(candles) - running_mean(log_close(candles), span)


def volume_lean(candles: CandleArrays, span: int) -> Floats:
    """Volume against its mean."""
    return candles.volume / (running_mean(candles.volume, span) + 1.0)


def trend(candles: CandleArrays, span: int) -> Floats:
    """Decayed mean of the last returns."""
    return decayed(fast_move(candles, 1), span)


def bar_range(candles: CandleArrays, span: int) -> Floats:
    """Mean log range of the bars."""
    return running_mean(np.log(candles.high / candles.low), span)


def closed_bar_move(candles: CandleArrays, span: int) -> Floats:
    """Move since the last bar of ``span`` minutes that has closed: resampling as it should be."""
    minute = candles.ts // MINUTE
    since = (minute + 1) % span
    moves = np.full(len(candles), np.nan)
    for back in range(span):
        at = since == back
        moves[at] = fast_move(candles, max(back, 1))[at]
    return moves


def time_of_day(candles: CandleArrays, span: int) -> Floats:
    """A wave over the day."""
    return np.sin(candles.ts / MINUTE % 1440 * 2.0 * np.pi / 1440.0 * (1 + span % 2))


FEATURES: Mapping[str, Callable[[CandleArrays, int], Floats]] = {
    "fast_move": fast_move,
    "distance": distance,
    "volume_lean": volume_lean,
    "trend": trend,
    "bar_range": bar_range,
    "closed_bar_move": closed_bar_move,
    "time_of_day": time_of_day,
}


@dataclass
class Prepared:
    """What a pipeline has made of a market before it learns."""

    ts: npt.NDArray[np.int64]
    features: Floats
    label: Floats
    whole: npt.NDArray[np.bool_]


@dataclass
class Fitted:
    """What it has learnt."""

    offset: Floats
    scale: Floats
    weights: Floats
    slope: float
    threshold: float


class PlainPipeline:
    """A pipeline that does not cheat; the seed draws what it is made of."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.name = f"clean {seed}"
        names = rng.permutation(sorted(FEATURES))[: int(rng.integers(3, 6))]
        # The time of day alone would be no pipeline: something always looks at the price.
        self.chosen = [("fast_move", 1), *((str(name), int(rng.integers(2, 16))) for name in names)]
        self.horizon = int(rng.integers(1, 11))
        self.window = int(rng.integers(5, LOOKBACK + 1))
        self.scaler = str(rng.choice(["standard", "minmax", "robust"]))
        self.model = str(rng.choice(["ridge", "logistic"]))
        self.test_share = float(rng.uniform(0.15, 0.25))
        self.reach = self.horizon

    # --- from candles to rows ----------------------------------------------------------------------------

    def symbols(self, market: Market) -> list[str]:
        return sorted(market)

    def fill(self, candles: CandleArrays) -> CandleArrays:
        """What is done about missing minutes: nothing."""
        return candles

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{name}_{span}_{place}" for place, (name, span) in enumerate(self.chosen))

    def features(self, candles: CandleArrays) -> Floats:
        return np.column_stack([FEATURES[name](candles, span) for name, span in self.chosen])

    def label(self, candles: CandleArrays) -> Floats:
        label, h = np.full(len(candles), np.nan), self.horizon
        if len(candles) > h:
            there = candles.ts[h:] - candles.ts[:-h] == h * MINUTE
            moves = np.log(candles.close[h:] / candles.close[:-h]) * 100.0
            label[:-h][there] = moves[there]
        return label

    def prepare(self, candles: CandleArrays) -> Prepared:
        made = self.features(candles)
        back = lagged(candles.ts.astype(np.float64), LOOKBACK)
        whole = (candles.ts - back == LOOKBACK * MINUTE) & np.isfinite(made).all(axis=1)
        return Prepared(candles.ts, made, self.label(candles), whole)

    # --- the split -----------------------------------------------------------------------------------------

    def purge(self) -> int:
        """Minutes that a slice ends before the next one begins, so that its labels are known."""
        return self.horizon

    def embargo(self) -> int:
        return max(self.window, self.horizon)

    def members(self, times: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Which moments each of the four slices has, out of all that there are."""
        first, last = int(times.min()), int(times.max())
        rest = 1.0 - self.test_share
        edges = [first + int((last - first) * share) for share in (0.0, rest * 0.6, rest * 0.8, rest)] + [
            last + 1
        ]
        parts = []
        for number in range(4):
            since = edges[number] + (self.embargo() * MINUTE if number else 0)
            until = edges[number + 1] - (self.purge() * MINUTE if number < 3 else 0)
            parts.append(times[(times >= since) & (times < until)])
        return parts

    # --- learning ------------------------------------------------------------------------------------------

    def scaler_rows(self, rows: Floats, members: list[npt.NDArray[np.bool_]]) -> Floats:
        return rows[members[0]]

    def fit_scaler(self, rows: Floats) -> tuple[Floats, Floats]:
        if self.scaler == "minmax":
            offset, scale = rows.min(axis=0), np.ptp(rows, axis=0)
        elif self.scaler == "robust":
            low, offset, high = np.percentile(rows, [25.0, 50.0, 75.0], axis=0)
            scale = high - low
        else:
            offset, scale = rows.mean(axis=0), rows.std(axis=0)
        return offset, np.where(scale > 0.0, scale, 1.0)

    def stop_slice(self) -> int:
        """Which slice tells when to stop."""
        return 1

    def fit_model(self, x: Floats, y: Floats, members: list[npt.NDArray[np.bool_]]) -> Floats:
        train = members[0]
        if self.model == "ridge":
            own = x[train]
            return np.asarray(
                np.linalg.solve(own.T @ own + 10.0 * np.eye(x.shape[1]), own.T @ y[train]), np.float64
            )
        return self.descend(x, y, train, members[self.stop_slice()])

    def descend(
        self, x: Floats, y: Floats, train: npt.NDArray[np.bool_], stop: npt.NDArray[np.bool_]
    ) -> Floats:
        """Logistic regression by gradient descent, stopped where the loss on another slice is lowest."""
        weights = best = np.full(x.shape[1], 0.05)
        least, up = np.inf, (y > 0.0).astype(float)
        for _ in range(40):
            p = 1.0 / (1.0 + np.exp(-np.clip(x[stop] @ weights, -30.0, 30.0)))
            loss = -float(np.mean(np.where(up[stop] > 0.0, np.log(p + 1e-12), np.log(1.0 - p + 1e-12))))
            if loss < least:
                least, best = loss, weights
            slip = 1.0 / (1.0 + np.exp(-np.clip(x[train] @ weights, -30.0, 30.0))) - up[train]
            weights = weights - 0.3 * (x[train].T @ slip) / len(slip)
        return best

    def calibration_slice(self) -> int:
        return 2

    def threshold_slice(self) -> int:
        return 2

    def fit_slope(self, score: Floats, y: Floats) -> float:
        return float(score @ y / (score @ score + 1.0))

    def fit_threshold(self, score: Floats, y: Floats) -> float:
        """The quantile of the forecasts beyond which trades on this slice earned most."""
        candidates = np.quantile(np.abs(score), np.linspace(0.0, 0.95, 40))
        gains = [float(np.sum(np.sign(score) * y * (np.abs(score) > one))) for one in candidates]
        return float(candidates[int(np.argmax(gains))])

    def fit(self, rows: Floats, y: Floats, members: list[npt.NDArray[np.bool_]]) -> Fitted:
        offset, scale = self.fit_scaler(self.scaler_rows(rows, members))
        x = (rows - offset) / scale
        weights = self.fit_model(x, y, members)
        score = x @ weights
        judged, tuned = members[self.calibration_slice()], members[self.threshold_slice()]
        slope = self.fit_slope(score[judged], y[judged])
        return Fitted(offset, scale, weights, slope, self.fit_threshold(score[tuned], y[tuned]))

    # --- what it says --------------------------------------------------------------------------------------

    def predict(self, features: Floats, fitted: Fitted) -> Floats:
        x, score = (features - fitted.offset) / fitted.scale, np.zeros(len(features))
        for column, weight in enumerate(
            fitted.weights
        ):  # one by one: no sum depends on how many rows there are
            score = score + x[:, column] * weight
        return score

    def decide(self, candles: CandleArrays, score: Floats, fitted: Fitted) -> npt.NDArray[np.int64]:
        return np.where(np.abs(score) > fitted.threshold, np.sign(score), 0.0).astype(np.int64)

    def decision_known(self, ts: npt.NDArray[np.int64], learned_ms: int) -> npt.NDArray[np.int64]:
        return np.maximum(ts + MINUTE, learned_ms)

    def answer(self, market: Market) -> Answer:
        names = self.symbols(market)
        filled = {name: self.fill(market[name]) for name in names}
        made = {name: self.prepare(filled[name]) for name in names}
        pooled = [np.flatnonzero(one.whole & np.isfinite(one.label)) for one in made.values()]
        ts = np.concatenate([one.ts[at] for one, at in zip(made.values(), pooled, strict=True)])
        rows = np.concatenate([one.features[at] for one, at in zip(made.values(), pooled, strict=True)])
        y = np.concatenate([one.label[at] for one, at in zip(made.values(), pooled, strict=True)])
        times = self.members(np.unique(ts))
        fitted = self.fit(rows, y, [np.isin(ts, part) for part in times])
        split = self.split(times, names)
        learned = self.learned(fitted, split)
        known = max(one.until_ms for one in learned)
        found: list[Rows] = []
        for name in names:
            found += self.rows_of(name, filled[name], made[name], fitted, known)
        return Answer(found, learned, split)

    def split(self, times: list[npt.NDArray[np.int64]], names: list[str]) -> Split:
        parts = tuple(Slice(name, part, self.reach) for name, part in zip(SLICES, times, strict=True))
        return Split(parts, self.window, tuple(names))

    def learned(self, fitted: Fitted, split: Split) -> list[Learned]:
        known = [label_known_ms(part) for part in split.slices]
        constants = {"offset": fitted.offset, "scale": fitted.scale}
        return [
            Learned("scaler", constants, int(split.slices[0].ts.max()) + MINUTE),
            Learned("model", {"weights": fitted.weights}, known[0] if self.model == "ridge" else known[1]),
            Learned("calibration", {"slope": fitted.slope}, known[2]),
            Learned("threshold", {"threshold": fitted.threshold}, known[2]),
        ]

    def rows_of(
        self, name: str, candles: CandleArrays, made: Prepared, fitted: Fitted, known: int
    ) -> list[Rows]:
        at = made.whole
        ts, features = made.ts[at], made.features[at]
        after = np.maximum(ts + MINUTE, known)
        labelled = np.isfinite(made.label)
        own = made.ts[labelled]
        score = self.predict(features, fitted)
        decisions = self.decide(candles.rows(0, len(candles)), self._spread(score, at), fitted)[at]
        label = made.label[labelled][:, None]
        return [
            Rows("features", name, ts, self.columns, features),
            Rows("labels", name, own, ("move",), label, own + (1 + self.reach) * MINUTE),
            Rows("predictions", name, ts, ("score",), score[:, None], after),
            Rows("decisions", name, ts, ("position",), decisions[:, None], self.decision_known(ts, known)),
        ]

    @staticmethod
    def _spread(score: Floats, at: npt.NDArray[np.bool_]) -> Floats:
        whole = np.zeros(len(at))
        whole[at] = score
        return whole

    # --- live ----------------------------------------------------------------------------------------------

    def is_closed(self, update: CandleUpdate, seen: set[tuple[str, int]]) -> bool:
        return update.closed is True

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """Features of the newest candle out of the last few, candle by candle."""
        kept: dict[str, list[CandleUpdate]] = {}
        found: dict[str, list[tuple[int, Floats]]] = {}
        seen: set[tuple[str, int]] = set()
        for update in updates:
            if not self.is_closed(update, seen):
                continue
            seen.add((update.symbol, update.opened_at_ms))
            last = kept[update.symbol] = [*kept.get(update.symbol, []), update][-(LOOKBACK + 20) :]
            columns: list[Any] = [np.array([one[place] for one in last]) for place in range(1, 7)]
            made = self.prepare(CandleArrays(*columns))
            if made.whole[-1]:
                found.setdefault(update.symbol, []).append((update.opened_at_ms, made.features[-1]))
        return [
            Rows(
                "features",
                name,
                np.array([ts for ts, _ in rows]),
                self.columns,
                np.stack([row for _, row in rows]),
            )
            for name, rows in found.items()
        ]
