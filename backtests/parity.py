"""Do all drivers decide the same? Run each over the same tapes and compare their decision streams exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np

from backtests.inputs import BacktestInput
from backtests.replay_driver import RecordedBatch, batch_from_line, batch_to_line, record, replay
from backtests.results import MinuteOutcome, Sink
from backtests.run import ENGINES, run_backtest
from backtests.session import new_matcher
from backtests.stream import StreamDigest, StreamWriter, first_difference, read_lines
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.matching import BarMatcher
from bot.core.orders import ExecutionReport, Fill, Leg
from bot.errors import ConfigError, DataError, DifferenceError

StreamSource: TypeAlias = Callable[[], Iterable[bytes]]
"""Makes a decision stream, line by line without line ends, as ``backtests.stream`` writes it."""

PARITY_ENGINES = ("fast", "backtrader", "replay")
"""The engines that run in this process on any input; a source under another name may join them."""

KERNEL = "kernel"
"""The compiled kernel joins them where it can run the input (``kernel_scope.kernel_fault``)."""

PLANTS = ("candle", "fee")
FEE_CHANGE = 0.01
"""What a planted fee is off by, quote currency."""

CLOSE_CHANGE = 1.003
"""What a planted close is multiplied by."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What a comparison found.

    Attributes:
        digests: Hash and length of each engine's stream, in the order in which they ran.
        trade_count: Round trips of the first engine.
        fill_count: Executions of the first engine.
        candle_count: Candles that it decided on.
        planted: What was changed on purpose and in which engine, in words.
        difference: The first difference in one sentence; None when all streams are equal.
    """

    digests: Mapping[str, StreamDigest]
    trade_count: int
    fill_count: int
    candle_count: int
    planted: str | None
    difference: str | None


@dataclass(frozen=True, slots=True)
class Plant:
    """A difference made on purpose, in one engine only.

    Attributes:
        kind: ``candle`` or ``fee``.
        engine: Where it is planted.
        symbol: For a candle: whose.
        opened_at_ms: For a candle: which.
        fill_number: For a fee: which execution, counted from 0.
    """

    kind: str
    engine: str
    symbol: Symbol = ""
    opened_at_ms: int = -1
    fill_number: int = -1

    def words(self) -> str:
        """What was planted, for the report."""
        if self.kind == "fee":
            return f"the fee of execution {self.fill_number} in {self.engine} is off by {FEE_CHANGE}"
        return f"the close of {self.symbol} at ts {self.opened_at_ms} in {self.engine} is off by 0.3 %"

    def candle(self, candle: Candle) -> Candle:
        """A candle as the planted engine sees it."""
        if self.kind != "candle" or (candle.symbol, candle.opened_at_ms) != (self.symbol, self.opened_at_ms):
            return candle
        close = candle.close * CLOSE_CHANGE
        return candle._replace(close=close, high=max(candle.high, close))

    def data(self, data: BacktestInput) -> BacktestInput:
        """An input as the planted engine sees it."""
        if self.kind != "candle":
            return data
        arrays = data.candles[self.symbol]
        row = int(np.searchsorted(arrays.ts, self.opened_at_ms))
        close, high = arrays.close.copy(), arrays.high.copy()
        close[row] *= CLOSE_CHANGE
        high[row] = max(high[row], close[row])
        return replace(data, candles={**data.candles, self.symbol: replace(arrays, close=close, high=high)})


class FeeCounter:
    """Changes the fee of one execution out of all that pass."""

    def __init__(self, plant: Plant) -> None:
        self._left = plant.fill_number if plant.kind == "fee" else -1

    def changed(self, reports: Sequence[ExecutionReport]) -> list[ExecutionReport]:
        """The reports, one fee perhaps other than it was."""
        return [self._one(report) for report in reports]

    def _one(self, report: ExecutionReport) -> ExecutionReport:
        if not isinstance(report, Fill):
            return report
        self._left -= 1
        return replace(report, fee=report.fee + FEE_CHANGE) if self._left == -1 else report


class _PlantedMatcher:
    """The core's exchange with one fee changed."""

    def __init__(self, matcher: BarMatcher, plant: Plant) -> None:
        self._matcher = matcher
        self._fees = FeeCounter(plant)
        self.submit = matcher.submit
        self.cancel = matcher.cancel

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """As the core's, but for the fee."""
        return self._fees.changed(self._matcher.match(candle))


class _Watch:
    """Notes in the first run where a difference can be planted, and how much was traded."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        self.entries: list[tuple[Symbol, int]] = []

    def __call__(self, outcomes: Sequence[MinuteOutcome]) -> None:
        self._writer(outcomes)
        for _, decisions in outcomes:
            self.entries += [
                (decision.symbol, decision.closed_at_ms - MINUTE_MS)
                for decision in decisions
                for order in decision.approved
                if order.intent.leg is Leg.ENTRY
            ]


def run_parity(
    data: BacktestInput,
    *,
    engines: Sequence[str] = PARITY_ENGINES,
    sources: Mapping[str, StreamSource] | None = None,
    recorded: StreamSource | None = None,
    plant: str | None = None,
    plant_in: str | None = None,
) -> ParityReport:
    """Run every engine over the same input and compare what they decided.

    Args:
        data: Candles, predictions, rules.
        engines: Names out of ``PARITY_ENGINES`` and ``sources``; the first is what the others are held against.
        sources: Further streams by name, such as that of a daemon.
        recorded: Lines of ``batch_to_line`` for the replay; by default a run of the core is recorded.
        plant: ``candle`` or ``fee``: change one in one engine, which must then be found.
        plant_in: That engine; by default the last of those that run in this process.

    Raises:
        ConfigError: An unknown engine or plant, or fewer than two engines.
        DataError: Nothing was traded, so that nothing can be planted.
    """
    sources = dict(sources or {})
    _check_names(engines, sources, plant, plant_in)
    with TemporaryDirectory(prefix="parity-") as folder:
        files = {name: Path(folder) / f"{number}.jsonl" for number, name in enumerate(engines)}
        digests: dict[str, StreamDigest] = {}
        with StreamWriter(Path(folder) / "survey.jsonl") as writer:
            watch = _Watch(writer)
            survey = run_backtest(data, sink=watch)
        planted = _choose(plant, plant_in, engines, sources, watch.entries, len(survey.fills))
        for name in engines:
            mine = planted if planted is not None and planted.engine == name else None
            with StreamWriter(files[name]) as writer:
                _run_one(name, data, writer, sources, recorded, mine)
                digests[name] = writer.digest()
        return ParityReport(
            digests=digests,
            trade_count=len(survey.trades),
            fill_count=len(survey.fills),
            candle_count=survey.candle_count,
            planted=planted.words() if planted else None,
            difference=_compare(digests, files),
        )


def _check_names(
    engines: Sequence[str], sources: Mapping[str, StreamSource], plant: str | None, plant_in: str | None
) -> None:
    known = (*PARITY_ENGINES, KERNEL, *sources)
    for name in engines:
        if name not in known:
            raise ConfigError(f"there is no engine {name!r} to compare: use {', '.join(known)}")
    if len(set(engines)) < 2 or len(set(engines)) != len(engines):
        raise ConfigError("parity needs at least two different engines, such as --engines fast,replay")
    if plant is not None and plant not in PLANTS:
        raise ConfigError(f"{plant!r} can't be planted: use {' or '.join(PLANTS)}")
    if plant_in is not None and (plant_in not in engines or plant_in in sources):
        raise ConfigError(f"nothing can be planted in {plant_in!r}")


def _choose(
    kind: str | None,
    engine: str | None,
    engines: Sequence[str],
    sources: Mapping[str, StreamSource],
    entries: Sequence[tuple[Symbol, int]],
    fill_count: int,
) -> Plant | None:
    """Pick the candle of an entry, or an execution, from the middle of the run."""
    if kind is None:
        return None
    chosen = engine or [name for name in engines if name not in sources][-1]
    if not entries or not fill_count:
        raise DataError("no trade happened, so nothing can be planted that would show")
    if kind == "fee":
        return Plant(kind, chosen, fill_number=fill_count // 2)
    symbol, opened_at_ms = entries[len(entries) // 2]
    return Plant(kind, chosen, symbol=symbol, opened_at_ms=opened_at_ms)


def _run_one(
    name: str,
    data: BacktestInput,
    writer: StreamWriter,
    sources: Mapping[str, StreamSource],
    recorded: StreamSource | None,
    plant: Plant | None,
) -> None:
    """Write one engine's stream."""
    if name in sources:
        writer.add(sources[name]())
    elif name in ENGINES:
        matcher: _PlantedMatcher | None = None
        sink: Sink = writer
        if plant is not None:
            data = plant.data(data)
            if name == KERNEL:
                sink = _planted_sink(writer, plant)
            else:
                matcher = _PlantedMatcher(new_matcher(data), plant)
        run_backtest(data, engine=name, sink=sink, matcher=matcher)
    else:
        lines = recorded() if recorded is not None else map(batch_to_line, record(data))
        batches = map(batch_from_line, lines)
        try:
            replay(
                batches if plant is None else _changed(batches, plant),
                data.config,
                data.make_strategy,
                sink=writer,
            )
        except DifferenceError:
            # The stream ends here; the comparison names where it left the others.
            return


def _planted_sink(writer: StreamWriter, plant: Plant) -> Sink:
    """The stream with one fee changed: the kernel fills its orders itself, so nothing can stand in between before."""
    fees = FeeCounter(plant)
    return lambda outcomes: writer([(fees.changed(reports), decisions) for reports, decisions in outcomes])


def _changed(batches: Iterable[RecordedBatch], plant: Plant) -> Iterator[RecordedBatch]:
    """A record with the planted difference in it."""
    fees = FeeCounter(plant)
    for batch in batches:
        yield replace(
            batch,
            candles=tuple(map(plant.candle, batch.candles)),
            reports=tuple(fees.changed(batch.reports)),
        )


def _compare(digests: Mapping[str, StreamDigest], files: Mapping[str, Path]) -> str | None:
    """The first difference between the first stream and any other."""
    (first, expected), *others = digests.items()
    for name, digest in others:
        if digest != expected:
            found = first_difference(read_lines(files[first]), read_lines(files[name]), names=(first, name))
            return found or f"the streams of {first} and {name} differ in their line ends"
    return None
