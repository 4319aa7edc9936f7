"""Tests of the engine with entries that rest: it waits, counts them, and takes them back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.decision import CancelWish, decision_to_json
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule, EntryStyle, fallback_intent
from bot.core.limits import MarketFacts
from bot.core.orders import Accepted, Canceled, Fill, OrderIntent, OrderRecord, OrderType
from bot.core.risk import RiskLimits
from bot.core.signal import MarketView, Signal
from bot.core.situation import situation_of
from bot.core.state import StateEvent
from bot.errors import EngineProtocolError
from tests.core_builders import (
    PERPETUAL,
    Follower,
    Minute,
    World,
    at,
    candle,
    engine_config,
    predicted,
    world,
)

UP = 0.004


def config(*, fallback: bool = False, minutes: int = 5, limits: RiskLimits | None = None) -> EngineConfig:
    """One perpetual, entered by limit orders."""
    rule = EntryRule(EntryStyle.MAKER, minutes, fallback)
    return engine_config(limits=limits, entry=rule)


def minute(number: int, *, open_: float = 100.0, low: float | None = None) -> Minute:
    """One minute of a market that stands still unless told otherwise, and is said to rise."""
    bar = candle(number, open_, low=low)
    return Minute((bar,), (predicted(number + 1, UP),), at(number + 1))


def entered(settings: EngineConfig) -> tuple[World, OrderIntent]:
    """A world whose limit entry was decided on the candle of minute 2 and rests."""
    made = world(settings)
    decisions = [decision for number in range(3) for decision in made.step(minute(number))]
    (sent,) = decisions[-1].approved
    assert sent.intent.type is OrderType.LIMIT
    made.step(minute(3))
    assert made.reports[-1] == Accepted(sent.intent.client_order_id, PERPETUAL, at(3))
    return made, sent.intent


def test_a_maker_entry_is_below_the_close_and_says_when_it_ends():
    """The decision's row holds price and expiry of a limit order; a market order's is as it ever was."""
    made, intent = entered(config(minutes=4))
    assert (intent.limit_price, intent.expires_at_ms) == (99.99, at(7))
    rows = [decision_to_json(decision)["approved"] for decision in made.decisions]
    assert rows[2] == [[intent.client_order_id, "buy", intent.quantity, "limit", "e", 99.99, at(7), False]]
    plain = world(engine_config())
    for number in range(3):
        plain.step(minute(number))
    row = decision_to_json(plain.decisions[2])
    assert len(row["approved"][0]) == 5
    assert "cancel" not in row


def test_the_desk_waits_while_it_rests_and_its_notional_counts():
    """No second order for the symbol; what rests is taken off the room of everything else."""
    made, intent = entered(config())
    assert [d.hold_reason for d in made.decisions[3:]] == ["order_pending"]
    engine = made.engine
    account, desks = engine.account, engine._desks
    situation = situation_of(PERPETUAL, 100.0, at(4), engine.equity, account, desks)
    assert situation.pending_notional == intent.quantity * 100.0
    made.step(minute(4, low=99.9))
    assert isinstance(made.reports[-3], Fill)
    assert made.engine.account.position(PERPETUAL).quantity == intent.quantity


@pytest.mark.parametrize("how", ["flatten", "pause", "halt", "size", "watchdog"])
def test_it_is_taken_back_when_no_risk_may_be_taken_on(how: str) -> None:
    """Flatten, a pause, a halt, a size of zero: the next decision cancels it, once, and the next bar can't fill it."""
    made, intent = entered(config(fallback=True))
    engine = made.engine
    reason = "flatten"
    if how == "flatten":
        engine.request_flatten()
    elif how == "size":
        reason = "model_doubted"
        engine.set_size_factor(0.0, reason)
    else:
        engine.command(StateEvent(how), at(4))
        reason = engine.risk.state.value
    (decision,) = made.step(minute(4))
    wish = CancelWish(intent.client_order_id, PERPETUAL, at(5), reason)
    assert decision.cancel == (wish,)
    assert decision.hold_reason == "order_pending"
    assert decision_to_json(decision)["cancel"] == [[intent.client_order_id, reason]]
    assert engine.cancel_resting(at(5)) == []
    made.step(minute(5, low=90.0))
    assert made.reports[-1] == Canceled(intent.client_order_id, PERPETUAL, at(5), reason)
    assert not engine.open_orders(PERPETUAL)
    assert not made.trades
    assert all(not d.approved for d in made.decisions[3:])


def test_a_command_can_take_it_back_at_once():
    """Between two minutes the engine says what shall not rest, and remembers that over a restart."""
    made, intent = entered(config())
    assert made.engine.cancel_resting(at(4)) == []
    made.engine.command(StateEvent.HALT, at(4) + 30_000)
    wishes = made.engine.cancel_resting(at(4) + 30_000)
    assert wishes == [CancelWish(intent.client_order_id, PERPETUAL, at(4) + 30_000, "halted")]
    (stored,) = made.engine.snapshot()["orders"]
    assert stored["cancel_reason"] == "halted"
    (decision,) = made.step(minute(4))
    assert decision.cancel == ()
    made.engine.observe(minute(5).candles)
    with pytest.raises(EngineProtocolError, match="between observe and decide"):
        made.engine.cancel_resting(at(6))


def test_flattening_ends_only_when_the_resting_entry_is_gone():
    """While it might still fill, nothing is opened; after that flattening is over."""
    made, _ = entered(config())
    made.engine.request_flatten()
    made.step(minute(4))
    made.step(minute(5))
    assert [d.hold_reason for d in made.decisions[4:]] == ["order_pending", "flattening"]
    (decision,) = made.step(minute(6))
    assert decision.approved


def test_the_fallback_is_booked_as_part_of_the_same_round_trip():
    """A market order takes over at expiry, is protected, and its exit makes one trade."""
    made, intent = entered(config(fallback=True, minutes=2))
    made.step(minute(4))
    made.step(minute(5, open_=100.2))
    (fill,) = [report for report in made.reports if isinstance(report, Fill)]
    assert fill.client_order_id == intent.client_order_id[:-1] + "m"
    assert fill.filled_at_ms == at(5)
    legs = [record.intent.leg.name for record in made.engine.open_orders(PERPETUAL)]
    assert legs == ["STOP", "TAKE_PROFIT"]
    made.step(minute(6, low=90.0))
    (trade,) = made.trades
    assert (trade.entry_at_ms, trade.exit_reason) == (at(5), "stop_loss")


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 1.0},
        {"client_order_id": "another"},
        {"protection": None},
        {"type": OrderType.LIMIT},
    ],
)
def test_nothing_else_takes_the_place_of_an_entry(change: dict[str, object]) -> None:
    """An order that no review has seen is booked only if it is exactly what a resting entry falls back to."""
    made, intent = entered(config(fallback=True))
    market = fallback_intent(intent, at(4))
    bad = replace(market, **change)  # type: ignore[arg-type]
    with pytest.raises(EngineProtocolError, match="takes the place of no entry that rests"):
        made.engine.settle([Accepted(bad.client_order_id, PERPETUAL, at(4), bad)])
    assert len(made.engine.open_orders(PERPETUAL)) == 1
    made.engine.settle([Accepted(market.client_order_id, PERPETUAL, at(4), market)])
    assert len(made.engine.open_orders(PERPETUAL)) == 2


def test_an_entry_that_has_traded_does_not_fall_back():
    """A part of it is a position already: a whole market order beside it would be too much."""
    made, intent = entered(config(fallback=True))
    part = Fill("t", intent.client_order_id, PERPETUAL, intent.side, 0.001, 99.99, 0.0, "USDT", at(4))
    made.engine.settle([part])
    market = fallback_intent(intent, at(4))
    with pytest.raises(EngineProtocolError, match="takes the place of no entry"):
        made.engine.settle([Accepted(market.client_order_id, PERPETUAL, at(4), market)])


def test_the_strategy_is_told_what_this_way_of_entering_costs():
    """With limit entries a round trip is cheaper, and a strategy that must pay it sees that."""
    seen: list[float] = []

    class Watcher(Follower):
        """Notes the costs that it is told."""

        def decide(self, view: MarketView) -> Signal:
            """As ever."""
            seen.append(view.round_trip_cost)
            return super().decide(view)

    settings = config()
    made = world(settings, Watcher)
    for number in range(3):
        made.step(minute(number))
    assert seen == [settings.entry.round_trip(settings.costs)]
    assert seen[0] < settings.costs.round_trip


def test_what_a_driver_knows_of_the_market_reaches_the_guards():
    """A wide spread, told with the predictions, refuses the entry; on the next minute it is forgotten."""
    limits = RiskLimits(max_spread_bps=3.0)
    made = world(engine_config(limits=limits))
    for number in range(2):
        made.step(minute(number))
    bars = minute(2)
    made.engine.observe(bars.candles)
    (decision,) = made.engine.decide(bars.predictions, bars.now_ms, facts=[MarketFacts(PERPETUAL, 5.0)])
    assert decision.hold_reason == "refused_spread_too_wide"
    (after,) = made.step(minute(3))
    assert after.approved


def test_a_losing_streak_and_funding_are_learned_from_what_is_booked():
    """Trades that settle count; a batch that is refused as a whole counts nothing."""
    limits = RiskLimits(max_loss_streak=1, loss_streak_minutes=10)
    made = world(engine_config(limits=limits))
    for number in range(4):
        made.step(minute(number))
    made.step(minute(4, low=90.0))
    assert len(made.trades) == 1
    assert made.decisions[-1].hold_reason == "refused_cooling_down"
    for number in range(5, 14):
        made.step(minute(number))
        assert made.decisions[-1].hold_reason == "refused_cooling_down"
    made.step(minute(14))
    assert made.decisions[-1].approved
    before = made.engine.risk.guards.snapshot()
    stranger = Fill(
        "x", "stranger", PERPETUAL, made.decisions[-1].approved[0].intent.side, 1, 1, 0, "USDT", 1
    )
    with pytest.raises(EngineProtocolError):
        made.engine.settle([stranger])
    assert made.engine.risk.guards.snapshot() == before


def test_a_record_keeps_its_cancel_reason_through_reports():
    """What was wished for stays with the order until it is over."""
    made, intent = entered(config())
    made.engine.command(StateEvent.PAUSE, at(4))
    made.engine.cancel_resting(at(4))
    part = Fill("t", intent.client_order_id, PERPETUAL, intent.side, 0.001, 99.99, 0.0, "USDT", at(4))
    made.engine.settle([part])
    (record,) = [r for r in made.engine.open_orders(PERPETUAL) if isinstance(r, OrderRecord)]
    assert record.cancel_reason == "reducing"


@pytest.mark.parametrize("fallback", [False, True])
def test_its_time_is_over_by_decision(fallback: bool) -> None:
    """The decision on the candle that ends its time says so, once; the next open cancels it, and not before."""
    made, intent = entered(config(fallback=fallback, minutes=2))
    (decision,) = made.step(minute(4))
    assert decision.cancel == (CancelWish(intent.client_order_id, PERPETUAL, at(5), "limit_expired"),)
    assert made.engine.cancel_resting(at(5)) == []
    made.step(minute(5))
    expired = Canceled(intent.client_order_id, PERPETUAL, at(5), "limit_expired")
    assert expired in made.reports
    assert bool(made.engine.account.positions()) is fallback


def test_whoever_flattens_gets_no_market_order_instead() -> None:
    """A flatten between the end of its time and the next open overtakes the expiry: nothing is bought."""
    made, intent = entered(config(fallback=True, minutes=2))
    made.step(minute(4))
    made.engine.request_flatten()
    (wish,) = made.engine.cancel_resting(at(5) + 1)
    assert (wish.client_order_id, wish.reason) == (intent.client_order_id, "flatten")
    made.matcher.cancel(wish)
    made.step(minute(5))
    assert made.reports[-1] == Canceled(intent.client_order_id, PERPETUAL, at(5), "flatten")
    assert not made.engine.account.positions()
