"""Tests of what is around an entry: the price's behaviour, and what moves with it."""

from __future__ import annotations

import math
import random

import pytest

from bot.core.account import Account
from bot.core.desk import Desk
from bot.core.guards import Guards
from bot.core.limits import MarketFacts, RiskLimits
from bot.core.market import Candle
from bot.core.orders import Funding, Leg, OrderRecord, Side
from bot.core.surroundings import last_jump, moving_together, stale_minutes, surroundings_of
from bot.core.window import Window
from tests.core_builders import PERPETUAL, Follower, at, candle, fill_of, instrument, order

OTHER, THIRD = "ETH/USDT:USDT", "SOL/USDT:USDT"


def window(*candles: Candle, size: int = 60) -> Window:
    """A window that has seen these."""
    made = Window(size)
    made.refill(candles)
    return made


def quiet(minute: int, close: float = 100.0, volume: float = 0.0) -> Candle:
    """A minute in which nothing moved."""
    return candle(minute, close)._replace(volume=volume)


def test_a_jump_is_between_the_last_two_closes():
    """Up or down, as a fraction of the close before; one candle alone has none."""
    assert last_jump(window()) == last_jump(window(candle(0))) == 0.0
    assert last_jump(window(candle(0, 1.0), candle(1, 100.0), candle(2, 90.0))) == pytest.approx(0.1)
    assert last_jump(window(candle(1, 100.0), candle(2, 90.0, close=125.0))) == pytest.approx(0.25)


def test_stale_minutes_end_at_a_move_or_a_trade():
    """Counted back from the last candle while the close is the same and nothing was traded."""
    assert stale_minutes(window()) == stale_minutes(window(quiet(0))) == 0
    still = [quiet(minute) for minute in range(5)]
    assert stale_minutes(window(*still)) == 4
    assert stale_minutes(window(*still, quiet(5, 100.01))) == 0
    assert stale_minutes(window(*still, quiet(5, volume=1.0), quiet(6))) == 1
    assert stale_minutes(window(quiet(0, 99.0), *(quiet(minute) for minute in range(1, 4)))) == 2


def desks() -> dict[str, Desk]:
    """Three perpetuals: the second moves with the first, the third against it."""
    rng, made, price = random.Random(5), {}, 100.0
    rows: dict[str, list[Candle]] = {PERPETUAL: [], OTHER: [], THIRD: []}
    for minute in range(60):
        price *= math.exp(rng.gauss(0, 0.002))
        for symbol, close in ((PERPETUAL, price), (OTHER, price**0.5), (THIRD, 1e4 / price)):
            rows[symbol].append(candle(minute, close, symbol=symbol))
    for symbol, candles in rows.items():
        made[symbol] = Desk(instrument(symbol), Follower(symbol), window(*candles), can_short=True)
    return made


def account_of(**held: float) -> Account:
    """Positions by name of symbol, at a mark of 100."""
    made = Account(10_000.0, {symbol: instrument(symbol) for symbol in (PERPETUAL, OTHER, THIRD)})
    for name, quantity in held.items():
        symbol = {"btc": PERPETUAL, "eth": OTHER, "sol": THIRD}[name]
        side = Side.BUY if quantity > 0 else Side.SELL
        made.apply_fill(fill_of(order(symbol=symbol, side=side, quantity=abs(quantity))), "")
        made.mark(symbol, 100.0)
    return made


def test_what_moves_together_counts_on_one_side():
    """A long beside a long, and a short of what moves against, are long; the other way round short."""
    made = desks()
    assert moving_together(PERPETUAL, made, account_of(eth=2.0), 0.7) == (200.0, 0.0)
    assert moving_together(PERPETUAL, made, account_of(sol=-3.0), 0.7) == (300.0, 0.0)
    assert moving_together(PERPETUAL, made, account_of(eth=-2.0, sol=3.0), 0.7) == (0.0, 500.0)
    assert moving_together(PERPETUAL, made, account_of(btc=1.0, eth=1.0, sol=1.0), 0.7) == (200.0, 100.0)
    assert moving_together(PERPETUAL, made, account_of(), 0.7) == (0.0, 0.0)


def test_what_is_on_its_way_counts_too():
    """An entry that has not filled counts with what is left of it, an exit does not."""
    made, account = desks(), account_of()
    account.mark(OTHER, 100.0)
    entry = order(symbol=OTHER, side=Side.SELL, quantity=4.0)
    leaving = order(symbol=OTHER, leg=Leg.EXIT, quantity=4.0)
    made[OTHER].orders = {
        entry.client_order_id: OrderRecord(entry, filled_quantity=1.0),
        leaving.client_order_id: OrderRecord(leaving),
    }
    assert moving_together(PERPETUAL, made, account, 0.7) == (0.0, 300.0)


def test_what_moves_on_its_own_does_not_count_and_what_is_not_known_does():
    """Below the threshold symbols are strangers; with too few candles in common they are not."""
    made = desks()
    rng = random.Random(9)
    made[OTHER].window.refill([candle(m, 100 + rng.random(), symbol=OTHER) for m in range(60)])
    assert moving_together(PERPETUAL, made, account_of(eth=2.0), 0.7) == (0.0, 0.0)
    made[OTHER].window.refill([candle(59, 100.0, symbol=OTHER)])
    assert moving_together(PERPETUAL, made, account_of(eth=2.0), 0.7) == (200.0, 0.0)


def test_facts_come_before_what_was_paid_last():
    """A driver's funding rate counts; without one, the last payment; without both it is not known."""
    made, guards = desks(), Guards(RiskLimits())

    def around(facts: MarketFacts | None) -> tuple[float | None, float | None]:
        found = surroundings_of(
            PERPETUAL, desks=made, account=account_of(), guards=guards, round_trip=0.001, facts=facts
        )
        assert found.round_trip == 0.001
        assert found.stale_known == 59
        return found.funding_rate, found.spread_bps

    assert around(None) == (None, None)
    guards.on_funding(Funding(PERPETUAL, 0.0003, 100.0, at(0)))
    assert around(None) == (0.0003, None)
    assert around(MarketFacts(PERPETUAL, 2.5)) == (0.0003, 2.5)
    assert around(MarketFacts(PERPETUAL, None, -0.0001)) == (-0.0001, None)


def test_a_driver_that_tells_facts_has_asked_for_quotes():
    """A spread that is missing among facts was asked for in vain; without facts nobody asked."""
    made, guards = desks(), Guards(RiskLimits())
    asked = [
        surroundings_of(
            PERPETUAL, desks=made, account=account_of(), guards=guards, round_trip=0.0, facts=facts
        ).quotes_asked
        for facts in (None, MarketFacts(PERPETUAL), MarketFacts(PERPETUAL, 2.5))
    ]
    assert asked == [False, True, True]
