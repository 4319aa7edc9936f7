"""One run of the core over stored candles: the three steps that every driver takes, in the order that all share.

For the candles of each minute a driver calls ``match`` (the exchange), ``observe`` (settle and observe), then
``decide``. What differs between drivers is only who brings the candles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from backtests.blocks import Stretch
from backtests.inputs import BacktestInput
from backtests.results import BacktestResult, EquityRecorder, MinuteOutcome, Sink
from backtests.turns import EngineTurns
from bot.core.calm_engine import CalmEngine
from bot.core.calm_matching import CalmMatcher
from bot.core.decision import CancelWish, Decision
from bot.core.engine_config import NO_PREDICTION, EngineConfig
from bot.core.limits import MarketFacts
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.matchers import matcher_of
from bot.core.matching import BarMatcher, FundingRates
from bot.core.orders import ApprovedOrder, ExecutionReport, Fill, Funding
from bot.core.position import Trade
from bot.core.prediction import Prediction
from bot.core.risk import StateChange
from bot.core.signal import Strategy

FLUSH_MINUTES = 512
"""How many minutes' outcomes are kept before they go to the sink."""


class Exchange(Protocol):
    """What a session's orders meet: ``BarMatcher``, or one that wraps it."""

    @property
    def submit(self) -> Callable[[ApprovedOrder], None]:
        """Take in an order."""

    @property
    def cancel(self) -> Callable[[CancelWish], None]:
        """Cancel an order that rests."""

    def match(self, candle: Candle) -> list[ExecutionReport]:
        """What a bar does to the orders of its symbol."""


class CoreRun:
    """A new engine and what it leaves behind; who fills its orders is the business of the driver.

    Args:
        config: Rules, costs, limits, money.
        make_strategy: Makes the strategy of one symbol.
        sink: Gets every minute's reports and decisions; its time is not counted as engine time.
        monotonic_ns: A counter of nanoseconds; without one, no time is taken.
        progress: Called now and then with the number of minutes done.
    """

    def __init__(
        self,
        config: EngineConfig,
        make_strategy: Callable[[Symbol], Strategy],
        *,
        sink: Sink | None = None,
        monotonic_ns: Callable[[], int] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.engine = CalmEngine(config, make_strategy)
        self._sink = sink
        self._progress = progress
        self._now_ns = monotonic_ns or _no_time
        self._pending: list[MinuteOutcome] = []
        self._reports: Sequence[ExecutionReport] = ()
        self._minutes = 0
        self._aside_ns = 0
        self._began_ns = self._now_ns()
        self._equity = EquityRecorder()
        self._record = self._equity.add
        self._trades: list[Trade] = []
        self._fills: list[Fill] = []
        self._fundings: list[Funding] = []
        self._state_changes: list[StateChange] = []
        self._hold_reasons: Counter[str | None] = Counter()
        self._passed = 0

    def settle(self, reports: Sequence[ExecutionReport]) -> None:
        """Book the reports of the minute that is next."""
        self._trades += self.engine.settle(reports)
        self._reports = reports
        for report in reports:
            if isinstance(report, Fill):
                self._fills.append(report)
            elif isinstance(report, Funding):
                self._fundings.append(report)

    def observe(self, candles: Sequence[Candle], reports: Sequence[ExecutionReport] = ()) -> None:
        """Book the reports, then show the engine the candles."""
        engine = self.engine
        if reports:
            self.settle(reports)
        engine.observe(candles)
        account = engine.account
        exposure = account.total_notional() if account.has_positions else 0.0
        self._record(candles[0][1] + MINUTE_MS, engine.equity, account.cash, exposure)

    def decide(
        self,
        predictions: Sequence[Prediction],
        now_ms: int,
        absent: str = NO_PREDICTION,
        facts: Sequence[MarketFacts] = (),
    ) -> list[Decision]:
        """Decide on the candles observed; ``absent`` is why a symbol has no prediction, ``facts`` what else is known."""
        decisions = self.engine.decide(predictions, now_ms, absent, facts)
        self._add_outcome(decisions)
        return decisions

    def note_calm(self, stretch: Stretch) -> None:
        """Take the engine over calm minutes; make the decisions where a sink wants them, else count them."""
        lanes, calms, since, until = stretch
        runs = [lane.run(since, until) for lane in lanes]
        equities, exposures = self.engine.pass_over(runs)
        self._equity.add_all(runs[0].first_ms + MINUTE_MS, equities, self.engine.account.cash, exposures)
        if self._sink is not None:
            rows = [lane.calm_decisions(calm, since, until) for lane, calm in zip(lanes, calms, strict=True)]
            for decisions in zip(*rows, strict=True):
                self._add_outcome(decisions)
            return
        self._reports = ()
        for lane, calm in zip(lanes, calms, strict=True):
            silent = lane.count_silent(since, until)
            self._count_held(NO_PREDICTION, silent)
            self._count_held(calm.signal.reason, until - since - silent)
        self._passed += until - since
        if self._passed >= FLUSH_MINUTES:
            self.flush()

    def _count_held(self, reason: str, count: int) -> None:
        if count:
            self._hold_reasons[reason] += count

    def _add_outcome(self, decisions: Sequence[Decision]) -> None:
        self._pending.append((self._reports, decisions))
        self._reports = ()
        if len(self._pending) >= FLUSH_MINUTES:
            self.flush()

    def result(self, engine_name: str, second_opinion: Mapping[str, Any] | None = None) -> BacktestResult:
        """End the run."""
        self.flush()
        seconds = (self._now_ns() - self._began_ns - self._aside_ns) / 1e9
        return BacktestResult(
            engine=engine_name,
            trades=self._trades,
            fills=self._fills,
            fundings=self._fundings,
            equity=self._equity.curve(),
            account=self.engine.account,
            state_changes=self._state_changes,
            candle_count=self._hold_reasons.total(),
            hold_reasons=self._hold_reasons,
            engine_seconds=seconds,
            second_opinion=second_opinion or {},
        )

    def flush(self) -> None:
        """Hand the pending minutes on; what the sink takes for them is not engine time."""
        pending, self._pending = self._pending, []
        self._minutes += len(pending) + self._passed
        self._passed = 0
        for _, decisions in pending:
            for decision in decisions:
                self._hold_reasons[decision.hold_reason] += 1
        self._state_changes += self.engine.take_state_changes()
        began_ns = self._now_ns()
        if self._sink is not None:
            self._sink(pending)
        if self._progress is not None:
            self._progress(self._minutes)
        self._aside_ns += self._now_ns() - began_ns


class Session(CoreRun):
    """A run of the core whose orders meet the stored candles.

    Args:
        data: Candles, predictions, rules.
        matcher: The exchange; a new one by the rules of the input when None.
        sink: As for ``CoreRun``.
        monotonic_ns: As for ``CoreRun``.
        progress: As for ``CoreRun``.
    """

    def __init__(
        self,
        data: BacktestInput,
        *,
        matcher: Exchange | None = None,
        sink: Sink | None = None,
        monotonic_ns: Callable[[], int] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(
            data.config, data.make_strategy, sink=sink, monotonic_ns=monotonic_ns, progress=progress
        )
        self.data = data
        self.matcher: Exchange = matcher or new_matcher(data)
        self._turns = EngineTurns(data.turns, data.symbols) if data.turns else None

    def observe(self, candles: Sequence[Candle], reports: Sequence[ExecutionReport] = ()) -> None:
        """Book the reports, then show the engine the candles; what it must be told before comes first."""
        if self._turns is not None:
            self._turns.before(self.engine, candles[0].opened_at_ms)
        super().observe(candles, reports)

    def match(self, candles: Sequence[Candle]) -> list[ExecutionReport]:
        """What the candles of one minute do to open orders."""
        reports: list[ExecutionReport] = []
        match = self.matcher.match
        for candle in candles:
            reports += match(candle)
        return reports

    def pass_over(self, stretch: Stretch) -> tuple[int, list[ExecutionReport] | None]:
        """Take exchange and engine over calm minutes until an order executes.

        Args:
            stretch: The minutes; the exchange has had the candles of the first, and its reports are settled.

        Returns:
            The first minute that has not passed, and the exchange's reports of it if it was asked already.
        """
        if isinstance(self.matcher, CalmMatcher):
            reached, reports = _idle_until(self.matcher, stretch), None
        else:
            reached, reports = self._match_calm(stretch)
        self.note_calm(Stretch(stretch.lanes, stretch.calms, stretch.since, reached))
        return reached, reports

    def _match_calm(self, stretch: Stretch) -> tuple[int, list[ExecutionReport] | None]:
        """Ask an exchange that must be asked in every minute."""
        match = self.matcher.match
        for minute in range(stretch.since + 1, stretch.until):
            reports: list[ExecutionReport] = []
            for lane in stretch.lanes:
                reports += match(lane.candle(minute))
            if reports:
                return minute, reports
        return stretch.until, None

    def decide(
        self,
        predictions: Sequence[Prediction],
        now_ms: int,
        absent: str = NO_PREDICTION,
        facts: Sequence[MarketFacts] = (),
    ) -> list[Decision]:
        """Decide on the candles observed; approved orders meet the next candles."""
        if self._turns is not None:
            absent = self._turns.absent
        decisions = super().decide(predictions, now_ms, absent, facts)
        for decision in decisions:
            for order in decision.approved:
                self.matcher.submit(order)
            for wish in decision.cancel:
                self.matcher.cancel(wish)
        return decisions


def _idle_until(matcher: CalmMatcher, stretch: Stretch) -> int:
    """The first minute behind that of a stretch in which the exchange may do something; the matcher is taken there."""
    since, until = stretch.since + 1, stretch.until
    for lane in stretch.lanes:
        idle = matcher.idle(lane.symbol)
        if idle is None:
            return since
        until = lane.idle_until(idle, since, until)
    for lane in stretch.lanes:
        matcher.pass_over(lane.symbol, lane.minutes[until - 1])
    return until


def new_matcher(data: BacktestInput) -> BarMatcher:
    """The exchange by the rules of an input; without funding rates, the constant of its costs is paid."""
    config = data.config
    funding = data.funding if data.funding is not None else FundingRates(config.costs.funding_rate)
    if config.costs.is_plain:
        return CalmMatcher(config.costs, config.instruments, funding)
    return matcher_of(config.costs, config.instruments, funding, config.starting_cash)


def _no_time() -> int:
    return 0
