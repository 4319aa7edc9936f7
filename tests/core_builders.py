"""Builders for tests of the core: instruments, candles, orders, and whole random runs of the engine."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.decision import Decision, decision_to_json
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule
from bot.core.market import MINUTE_MS, Candle, Instrument, Symbol, kind_of
from bot.core.matchers import matcher_of
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import (
    APPROVAL_SEAL,
    ApprovedOrder,
    ExecutionReport,
    Fill,
    Leg,
    OrderIntent,
    OrderType,
    Protection,
    Side,
    client_order_id,
)
from bot.core.position import Trade
from bot.core.prediction import Prediction
from bot.core.risk import RiskLimits
from bot.core.signal import Direction, MarketView, Signal, Strategy
from bot.core.sizing import SizingRule

PERPETUAL = "BTC/USDT:USDT"
SPOT = "ETH/USDT"
SYMBOLS = (PERPETUAL, SPOT, "SOL/USDT:USDT")
MIDNIGHT = 1_704_067_200_000
"""2024-01-01 00:00 UTC: a day's start and a funding time."""
PROTECTION = Protection(0.005, 0.010)
FREE = Costs(taker_fee_bps=0.0, half_spread_bps=0.0, slippage_bps=0.0, funding_rate=0.0)


def at(minute: int) -> int:
    """The time of a minute counted from midnight."""
    return MIDNIGHT + minute * MINUTE_MS


def instrument(symbol: Symbol = PERPETUAL, **rules: float) -> Instrument:
    """Rules of a market: ticks of 0.01, lots of 0.001, unless told otherwise."""
    chosen = {"tick_size": 0.01, "lot_step": 0.001, "min_quantity": 0.001, "min_notional": 5.0, **rules}
    return Instrument(symbol, kind_of(symbol), **chosen)


def candle(
    minute: int,
    open_: float = 100.0,
    high: float | None = None,
    low: float | None = None,
    close: float | None = None,
    *,
    symbol: Symbol = PERPETUAL,
) -> Candle:
    """A sound candle; what is not said follows from the open and the close."""
    last = open_ if close is None else close
    top = max(open_, last) if high is None else high
    bottom = min(open_, last) if low is None else low
    return Candle(symbol, at(minute), open_, top, bottom, last, 1.0)


def order(
    *,
    side: Side = Side.BUY,
    quantity: float = 1.0,
    leg: Leg = Leg.ENTRY,
    minute: int = 0,
    symbol: Symbol = PERPETUAL,
    protection: Protection | None = PROTECTION,
) -> OrderIntent:
    """A market order decided on the candle that closed at this minute; only an entry is not reduce-only."""
    entering = leg is Leg.ENTRY
    return OrderIntent(
        client_order_id=client_order_id("run", symbol, at(minute), leg),
        symbol=symbol,
        side=side,
        quantity=quantity,
        type=OrderType.MARKET,
        leg=leg,
        decided_at_ms=at(minute),
        reason="forecast_up",
        reduce_only=not entering,
        protection=protection if entering else None,
    )


def approved(intent: OrderIntent) -> ApprovedOrder:
    """An order as if risk had passed it."""
    return ApprovedOrder(intent, seal=APPROVAL_SEAL)


def fill_of(
    intent: OrderIntent, price: float = 100.0, quantity: float | None = None, fee: float = 0.0, trade: int = 1
) -> Fill:
    """An execution of an order; all of it unless told otherwise."""
    return Fill(
        f"{intent.client_order_id}-{trade}",
        intent.client_order_id,
        intent.symbol,
        intent.side,
        intent.quantity if quantity is None else quantity,
        price,
        fee,
        "USDT",
        intent.decided_at_ms,
    )


def predicted(minute_closed: int, expected: float, symbol: Symbol = PERPETUAL) -> Prediction:
    """A forecast on the candle that closed at this minute."""
    return Prediction(symbol, at(minute_closed), "model", 15, expected)


class Follower:
    """A strategy that wants what the forecast says, sized by its strength; it counts what it saw."""

    protection = PROTECTION

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.seen = 0
        self.forgotten = 0

    def observe(self, candle: Candle) -> None:
        """Count."""
        self.seen += 1

    def forget(self) -> None:
        """Start counting over."""
        self.seen = 0
        self.forgotten += 1

    def decide(self, view: MarketView) -> Signal:
        """Long above 0.1 %, short below -0.1 %, flat between -0.03 % and 0.03 %, else as it is."""
        expected = view.prediction.expected_return
        strength = min(abs(expected) * 300, 1.0)
        if expected > 0.001:
            return Signal(Direction.LONG, strength, "up")
        if expected < -0.001:
            return Signal(Direction.SHORT, strength, "down")
        held = view.position.quantity
        if abs(expected) < 0.0003 or held == 0 or self.seen % 7 == 0:
            return Signal(Direction.FLAT, 0.0, "quiet")
        return Signal(Direction.LONG if held > 0 else Direction.SHORT, 1.0, "kept")

    def snapshot(self) -> dict[str, Any]:
        """What was counted."""
        return {"seen": self.seen, "forgotten": self.forgotten}

    def restore(self, state: dict[str, Any]) -> None:
        """Count on."""
        self.seen, self.forgotten = state["seen"], state["forgotten"]


@dataclass(frozen=True)
class Minute:
    """What the world brings in one minute."""

    candles: tuple[Candle, ...]
    predictions: tuple[Prediction, ...]
    now_ms: int


@dataclass
class World:
    """One engine over one matcher, driven as every driver does, and all that came out."""

    engine: TradingEngine
    matcher: BarMatcher
    reports: list[ExecutionReport] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    equities: list[float] = field(default_factory=list)

    def step(self, minute: Minute) -> list[Decision]:
        """Settle, observe, decide, submit."""
        reports = [report for bar in minute.candles for report in self.matcher.match(bar)]
        self.trades += self.engine.settle(reports)
        self.reports += reports
        self.engine.observe(minute.candles)
        self.equities.append(self.engine.account.equity())
        decisions = self.engine.decide(minute.predictions, minute.now_ms)
        for decision in decisions:
            for sent in decision.approved:
                self.matcher.submit(sent)
            for wish in decision.cancel:
                self.matcher.cancel(wish)
        self.decisions += decisions
        return decisions

    def run(self, minutes: Sequence[Minute]) -> World:
        """All of them, in order."""
        for minute in minutes:
            self.step(minute)
        return self

    def outcome(self) -> dict[str, Any]:
        """What two runs must share."""
        return {
            "decisions": [decision_to_json(decision) for decision in self.decisions],
            "trades": [list(trade) for trade in self.trades],
            "equity": self.equities,
            "reports": self.reports,
            "account": self.engine.account.snapshot(),
        }


def engine_config(
    symbols: Sequence[Symbol] = (PERPETUAL,),
    *,
    limits: RiskLimits | None = None,
    costs: Costs | None = None,
    sizing: SizingRule | None = None,
    window_minutes: int = 3,
    entry: EntryRule | None = None,
) -> EngineConfig:
    """A small engine: three candles fill its window."""
    return EngineConfig(
        run_id="run",
        instruments={symbol: instrument(symbol) for symbol in symbols},
        costs=costs or Costs(),
        limits=limits or RiskLimits(),
        sizing=sizing or SizingRule(),
        window_minutes=window_minutes,
        entry=entry or EntryRule(),
    )


def world(
    config: EngineConfig | None = None,
    make_strategy: Callable[[Symbol], Strategy] = Follower,
    *,
    funding: FundingRates | None = None,
) -> World:
    """An engine and a matcher that has not seen anything."""
    config = config or engine_config()
    rates = funding or FundingRates(config.costs.funding_rate)
    matcher = matcher_of(config.costs, config.instruments, rates, config.starting_cash)
    return World(TradingEngine(config, make_strategy), matcher)


def restarted(
    before: World, history: Sequence[Minute], make_strategy: Callable[[Symbol], Strategy] = Follower
) -> World:
    """A new process that knows only the snapshots as JSON text, and the last candles of each symbol."""
    config = before.engine.config
    beside = json.loads(json.dumps(before.matcher.snapshot()))
    snapshot = json.loads(json.dumps(before.engine.snapshot()))
    size = config.window_minutes
    recent = {
        symbol: [bar for minute in history for bar in minute.candles if bar.symbol == symbol][-size:]
        for symbol in config.instruments
    }
    after = world(config, make_strategy, funding=before.matcher.funding)
    after.engine.restore(snapshot, recent)
    orders = [record for symbol in after.engine.symbols for record in after.engine.open_orders(symbol)]
    seen_ms = {symbol: bars[-1].opened_at_ms for symbol, bars in recent.items() if bars}
    after.matcher.recover(orders, after.engine.account.positions(), seen_ms, beside)
    return after


def random_tape(
    seed: int, count: int, *, symbols: Sequence[Symbol] = SYMBOLS, start: int = 450, wildness: float = 0.004
) -> list[Minute]:
    """Minutes of a wild market: gaps, outages of one or all symbols, missing, stale and late predictions.

    Starts at 07:30 by default, so that a funding time passes after half an hour.
    """
    rng = random.Random(seed)
    prices = {symbol: 20.0 * 10 ** rng.uniform(0, 2) for symbol in symbols}
    minutes: list[Minute] = []
    outage_until = -1
    for minute in range(start, start + count):
        if rng.random() < 0.02:
            outage_until = minute + rng.randrange(1, 12)
        bars = []
        predictions = []
        for symbol in sorted(symbols):
            bar = _random_bar(rng, minute, symbol, prices, wildness)
            if minute < outage_until or rng.random() < 0.03:
                continue
            bars.append(bar)
            if rng.random() < 0.93:
                lag = 1 if rng.random() < 0.03 else 0
                predictions.append(predicted(minute + 1 - lag, round(rng.gauss(0, 0.0015), 6), symbol))
        if bars:
            delay = 120_000 if rng.random() < 0.02 else rng.randrange(3000)
            minutes.append(Minute(tuple(bars), tuple(predictions), at(minute + 1) + delay))
    return minutes


def _random_bar(
    rng: random.Random, minute: int, symbol: Symbol, prices: dict[Symbol, float], wildness: float
) -> Candle:
    opened = _tick(prices[symbol] * (1 + rng.gauss(0, wildness / 4)))
    closed = _tick(opened * (1 + rng.gauss(0, wildness)))
    high = _tick(max(opened, closed) * (1 + abs(rng.gauss(0, wildness / 2))))
    low = _tick(min(opened, closed) * (1 - abs(rng.gauss(0, wildness / 2))))
    prices[symbol] = closed
    high, low = max(high, opened, closed), min(low, opened, closed)
    return Candle(symbol, at(minute), opened, high, low, closed, rng.uniform(0, 100))


def _tick(price: float) -> float:
    return round(min(max(price, 1.0), 1e6), 2)
