"""Tests of the engine, call by call: what it answers, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.core.decision import Decision, decision_to_json
from bot.core.market import Symbol
from bot.core.matching import Costs, FundingRates
from bot.core.orders import (
    Accepted,
    Canceled,
    Fill,
    Funding,
    Leg,
    OrderState,
    OrderType,
    Protection,
    Rejected,
    Side,
    Unknown,
    client_order_id,
    protective_id,
)
from bot.core.prediction import Prediction
from bot.core.risk import RiskLimits
from bot.core.signal import MarketView, Signal
from bot.core.sizing import SizingRule
from bot.core.state import StateEvent, TradingState
from bot.errors import EngineProtocolError
from tests.core_builders import (
    FREE,
    PERPETUAL,
    SPOT,
    SYMBOLS,
    Follower,
    Minute,
    World,
    at,
    candle,
    engine_config,
    fill_of,
    order,
    predicted,
    restarted,
    world,
)

UP, DOWN, QUIET, KEEP = 0.005, -0.005, 0.0, 0.0005


def minute_of(
    number: int, expected: float | None = None, symbols: tuple[Symbol, ...] = (PERPETUAL,), **bar: float
) -> Minute:
    """A minute in which these symbols close, with one forecast for all of them, or none."""
    candles = tuple(candle(number, symbol=symbol, **bar) for symbol in sorted(symbols))
    forecasts = () if expected is None else tuple(predicted(number + 1, expected, s) for s in sorted(symbols))
    return Minute(candles, forecasts, at(number + 1))


def begun(symbols: tuple[Symbol, ...] = (PERPETUAL,), **config: Any) -> World:
    """A world that costs nothing and whose windows lack one candle; the next minute is number 2."""
    made = world(engine_config(symbols, **{"costs": FREE, **config}), funding=config.pop("funding", None))
    return made.run([minute_of(number, symbols=symbols) for number in range(2)])


def hold(decisions: list[Decision]) -> str | None:
    """The hold reason of the only decision."""
    (decision,) = decisions
    return decision.hold_reason


# --- the walk of one candle ---------------------------------------------------------------------------------


def test_a_window_must_be_full_before_anything_is_decided() -> None:
    """Two candles of three: warming up; the third decides, and trading begins."""
    made = world(engine_config(costs=FREE))
    for number in range(2):
        assert hold(made.step(minute_of(number, UP))) == "warming_up"
        assert made.engine.risk.state is TradingState.WARMING_UP
    assert hold(made.step(minute_of(2, UP))) is None
    changes = made.engine.take_state_changes()
    assert [(change.after, change.at_ms) for change in changes] == [(TradingState.TRADING, at(3))]
    assert made.engine.take_state_changes() == []


def test_an_entry_becomes_a_position_with_protection_and_then_a_trade() -> None:
    """Decided at the close, filled at the next open, protected, and ended by the target."""
    made = begun()
    (decision,) = made.step(minute_of(2, UP))
    (sent,) = decision.approved
    assert sent.intent.client_order_id == client_order_id("run", PERPETUAL, at(3), Leg.ENTRY)
    assert (sent.intent.side, sent.intent.quantity, sent.intent.reduce_only) == (Side.BUY, 20.0, False)
    assert hold(made.step(minute_of(3, UP, open_=101.0))) == "up"
    assert made.engine.account.position(PERPETUAL).quantity == 20.0
    assert [record.state for record in made.engine.open_orders(PERPETUAL)] == [OrderState.ACCEPTED] * 2
    made.step(minute_of(4, QUIET, open_=101.0, high=103.0))
    assert made.engine.open_orders(PERPETUAL) == []
    (trade,) = made.trades
    assert (trade.entry_price, trade.exit_price, trade.exit_reason) == (101.0, 102.01, "take_profit")
    assert trade.pnl == pytest.approx(20.2)
    assert made.engine.account.cash == pytest.approx(10_020.2)


def test_the_wish_for_the_other_side_first_leaves_and_then_enters() -> None:
    """Long to short takes two decisions: an exit, and once flat an entry."""
    made = begun()
    made.step(minute_of(2, UP))
    legs = []
    for number in range(3, 6):
        (decision,) = made.step(minute_of(number, DOWN))
        legs += [(sent.intent.leg, sent.intent.side) for sent in decision.approved]
    assert legs == [(Leg.EXIT, Side.SELL), (Leg.ENTRY, Side.SELL)]
    made.step(minute_of(6, DOWN))
    assert made.engine.account.position(PERPETUAL).quantity == -20.0
    assert [trade.exit_reason for trade in made.trades] == ["down"]


def test_every_reason_to_hold_has_its_word() -> None:
    """No forecast, a stale one, one that is no number, a late candle, an order on its way, and the strategy's."""
    made = begun()
    stale = Minute((candle(2),), (predicted(2, UP),), at(3))
    assert hold(made.step(stale)) == "stale_prediction"
    assert hold(made.step(minute_of(3))) == "no_prediction"
    for number, value in enumerate((math.nan, math.inf, -math.inf), 4):
        assert hold(made.step(minute_of(number, value))) == "prediction_not_finite"
    late = replace(minute_of(7, UP), now_ms=at(8) + 90_001)
    assert hold(made.step(late)) == "late_candle"
    assert hold(made.step(minute_of(8, QUIET))) == "quiet"
    on_time = replace(minute_of(9, UP), now_ms=at(10) + 90_000)
    assert hold(made.step(on_time)) is None
    made.engine.observe([candle(10)])
    assert hold(made.engine.decide([predicted(11, UP)], at(11))) == "order_pending"
    made.engine.settle(
        [Unknown(made.decisions[-1].approved[0].intent.client_order_id, PERPETUAL, at(10), "?")]
    )
    made.engine.observe([candle(11)])
    assert hold(made.engine.decide([predicted(12, UP)], at(12))) == "order_unknown"
    assert made.engine.open_orders(PERPETUAL)[0].state is OrderState.UNKNOWN


def test_an_exit_on_its_way_is_not_sent_twice() -> None:
    """Without a candle of its symbol it waits; the other symbol's minutes do not repeat it."""
    symbols = (PERPETUAL, SPOT)
    made = begun(symbols)
    made.step(minute_of(2, UP, symbols))
    made.step(minute_of(3, QUIET, symbols))
    for number in range(4, 7):
        made.step(minute_of(number, QUIET, (SPOT,)))
    assert hold(made.step(minute_of(9, UP))) == "warming_up"
    exits = [s.intent for d in made.decisions for s in d.approved if s.intent.leg is Leg.EXIT]
    assert sorted(intent.symbol for intent in exits) == sorted(symbols)
    assert [trade.symbol for trade in made.trades] == [SPOT, PERPETUAL]


def test_a_gap_empties_the_window_and_the_strategy_forgets() -> None:
    """After a missing minute it warms up again, and the position is kept by its protection meanwhile."""
    made = begun()
    made.step(minute_of(2, UP))
    made.step(minute_of(3, UP))
    assert hold(made.step(minute_of(5, DOWN))) == "warming_up"
    assert len(made.engine.window(PERPETUAL)) == 1
    assert made.engine.snapshot()["strategies"][PERPETUAL] == {"seen": 1, "forgotten": 1}
    made.step(minute_of(6, DOWN, open_=99.0))
    assert [trade.exit_reason for trade in made.trades] == ["stop_loss"]


def test_decisions_come_in_the_order_of_names_and_share_the_limits() -> None:
    """The first symbols take what the total leaves; the last is cut to the rest."""
    limits = RiskLimits(max_symbol_notional_fraction=0.5, max_total_notional_fraction=0.9)
    made = begun(SYMBOLS, limits=limits, sizing=SizingRule(0.4))
    decisions = made.step(minute_of(2, UP, SYMBOLS))
    assert [decision.symbol for decision in decisions] == sorted(SYMBOLS)
    assert [decision.approved[0].intent.quantity for decision in decisions] == [40.0, 40.0, 10.0]


def test_a_target_volatility_cuts_entries_and_holds_where_none_is_forecast() -> None:
    """Half the size at twice the target; without a forecast of it no entry, and what is held is still left."""
    made = begun(sizing=SizingRule(0.2, target_volatility=0.002))
    unknown = minute_of(2, UP)
    assert hold(made.step(unknown)) == "volatility_unknown"
    candles = minute_of(3).candles
    (decision,) = made.step(Minute(candles, (predicted(4, UP)._replace(volatility=0.004),), at(4)))
    assert decision.approved[0].intent.quantity == 10.0
    made.step(minute_of(4))
    (left,) = made.step(minute_of(5, DOWN))
    assert [sent.intent.leg for sent in left.approved] == [Leg.EXIT]


class Guarded(Follower):
    """Protects each entry by the forecast."""

    def decide(self, view: MarketView) -> Signal:
        """As the follower, with a stop as far as the forecast."""
        wanted = super().decide(view)
        distance = abs(view.prediction.expected_return)
        return wanted._replace(protection=Protection(distance, 3 * distance)) if distance else wanted


def test_the_protection_of_a_signal_is_that_of_its_entry() -> None:
    """A signal with its own protection carries it into the intent, the journal's text and the orders that follow."""
    made = world(engine_config(costs=FREE), Guarded).run([minute_of(number) for number in range(2)])
    (decision,) = made.step(minute_of(2, UP))
    assert decision.approved[0].intent.protection == Protection(UP, 3 * UP)
    assert decision_to_json(decision)["signal"] == ["long", 1.0, "up", [UP, 3 * UP]]
    made.step(minute_of(3))
    stops = sorted(record.intent.stop_price or 0.0 for record in made.engine.open_orders(PERPETUAL))
    assert stops == pytest.approx([100.0 * (1 - UP), 100.0 * (1 + 3 * UP)], rel=1e-3)


def test_an_entry_that_filled_in_part_counts_once_against_the_limits() -> None:
    """What is held and the rest that is on its way make the whole: another symbol gets what is left, to the lot."""
    symbols = (PERPETUAL, SPOT)
    made = begun(symbols, limits=RiskLimits(max_total_notional_fraction=0.3))
    made.step(Minute(minute_of(2, None, symbols).candles, (predicted(3, UP),), at(3)))
    (entry,) = (record.intent for record in made.engine.open_orders(PERPETUAL))
    assert entry.quantity == 20.0
    made.engine.settle([fill_of(entry, quantity=5.0)])
    made.engine.observe(minute_of(3, None, symbols).candles)
    held, other = made.engine.decide([predicted(4, UP, symbol) for symbol in symbols], at(4))
    assert held.hold_reason == "order_pending"
    assert [sent.intent.quantity for sent in other.approved] == [10.0]
    made.engine.settle([Canceled(entry.client_order_id, PERPETUAL, at(4), "why")])
    assert made.engine.open_orders(PERPETUAL) == []
    assert made.engine.account.position(PERPETUAL).quantity == 5.0


def test_spot_can_not_go_short() -> None:
    """The wish is refused by name."""
    made = begun((SPOT,))
    (decision,) = made.step(minute_of(2, DOWN, (SPOT,)))
    assert decision.hold_reason == "refused_spot_cannot_go_short"
    assert [refused.reason for refused in decision.refused] == ["spot_cannot_go_short"]
    assert made.engine.open_orders(SPOT) == []


def test_funding_is_booked_between_price_and_fee() -> None:
    """A long held over midnight pays the rate on its notional at the open."""
    made = world(engine_config(costs=FREE), funding=FundingRates(0.001))
    made.run([minute_of(number) for number in range(1436, 1438)])
    made.step(minute_of(1438, UP))
    made.step(minute_of(1439, UP))
    before = made.engine.account.equity()
    made.step(minute_of(1440, UP))
    assert made.engine.account.equity() - before == pytest.approx(-20.0 * 100 * 0.001)
    made.step(minute_of(1441, QUIET))
    made.step(minute_of(1442, QUIET))
    assert made.trades[0].funding == pytest.approx(2.0)
    assert made.trades[0].pnl == pytest.approx(-2.0)


# --- states and commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [StateEvent.PAUSE, StateEvent.HALT])
def test_paused_or_halted_the_way_out_stays_open(event: StateEvent) -> None:
    """Entries are refused with the state's name, exits pass, and a resume lets entries in again."""
    made = begun()
    made.step(minute_of(2, UP))
    made.step(minute_of(3, KEEP))
    made.engine.command(event, at(4))
    state = made.engine.risk.state
    (decision,) = made.step(minute_of(4, QUIET))
    assert [sent.intent.leg for sent in decision.approved] == [Leg.EXIT]
    assert hold(made.step(minute_of(5, UP))) == f"refused_{state.value}"
    made.engine.command(StateEvent.RESUME, at(6))
    assert hold(made.step(minute_of(6, UP))) is None
    assert [change.after for change in made.engine.take_state_changes()] == [
        TradingState.TRADING,
        state,
        TradingState.TRADING,
    ]


def test_a_crash_halts_and_the_stop_still_works() -> None:
    """The drawdown limit stops new risk; the protective order of what is held trades on."""
    limits = RiskLimits(max_drawdown_fraction=0.001, max_symbol_notional_fraction=1.0)
    made = begun(limits=limits, sizing=SizingRule(1.0))
    made.step(minute_of(2, UP))
    made.step(minute_of(3, KEEP, close=99.8))
    assert made.engine.risk.state is TradingState.HALTED
    made.step(minute_of(4, UP, open_=99.0))
    assert [trade.exit_reason for trade in made.trades] == ["stop_loss"]
    assert hold(made.step(minute_of(5, UP))) == "refused_halted"


def test_flatten_closes_everything_and_opens_nothing_meanwhile() -> None:
    """Held symbols exit, flat ones hold, and trading goes on once nothing is held."""
    made = begun(SYMBOLS)
    made.step(
        Minute(minute_of(2, None, SYMBOLS).candles, (predicted(3, UP, SPOT), predicted(3, DOWN)), at(3))
    )
    made.step(minute_of(3, KEEP, (PERPETUAL, SPOT)))
    made.engine.request_flatten()
    decisions = made.step(minute_of(4, UP, SYMBOLS))
    legs = {d.symbol: [sent.intent.leg for sent in d.approved] for d in decisions}
    assert legs == {PERPETUAL: [Leg.FLATTEN], SPOT: [Leg.FLATTEN], "SOL/USDT:USDT": []}
    assert decisions[-1].hold_reason == "flattening"
    assert [d.hold_reason for d in made.step(minute_of(5, UP, SYMBOLS))] == ["flattening"] * 3
    assert [trade.exit_reason for trade in made.trades] == ["flatten", "flatten"]
    assert [len(d.approved) for d in made.step(minute_of(6, UP, (PERPETUAL, SPOT)))] == [1, 1]


def test_flatten_also_closes_the_entry_that_is_on_its_way() -> None:
    """Asked for between decision and fill, even when another symbol's minute comes in between."""
    made = begun((PERPETUAL, SPOT))
    made.step(Minute(minute_of(2, None, (PERPETUAL, SPOT)).candles, (predicted(3, UP),), at(3)))
    made.engine.request_flatten()
    made.engine.observe([candle(3, symbol=SPOT)])
    made.engine.decide([], at(4))
    (entry,) = (record.intent for record in made.engine.open_orders(PERPETUAL))
    made.engine.settle([fill_of(entry)])
    made.engine.observe([candle(4)])
    (decision,) = made.engine.decide([predicted(5, UP)], at(5))
    assert [sent.intent.leg for sent in decision.approved] == [Leg.FLATTEN]


def test_flatten_works_without_forecast_window_or_time() -> None:
    """It needs no more than a candle: with a stale forecast, after a gap, late."""
    made = begun()
    made.step(minute_of(2, UP))
    made.step(minute_of(3, KEEP))
    made.engine.request_flatten()
    (decision,) = made.step(replace(minute_of(6, None), now_ms=at(500)))
    assert [sent.intent.leg for sent in decision.approved] == [Leg.FLATTEN]


# --- calls out of order, reports that can't be ---------------------------------------------------------------


def holding() -> World:
    """A world that holds 20 long of the perpetual; minute 4 is next."""
    made = begun((PERPETUAL, SPOT))
    made.step(Minute(minute_of(2, None, (PERPETUAL, SPOT)).candles, (predicted(3, UP),), at(3)))
    made.step(minute_of(3, KEEP, (PERPETUAL, SPOT)))
    return made


ENTRY = client_order_id("run", PERPETUAL, at(3), Leg.ENTRY)
STOP = protective_id(ENTRY, Leg.STOP)
STOP_FILL = Fill("x", STOP, PERPETUAL, Side.SELL, 20.0, 99.0, 0.0, "USDT", at(4))
OTHER_STOP = replace(
    order(side=Side.SELL, leg=Leg.STOP, minute=9), type=OrderType.STOP, stop_price=90.0, quantity=20.0
)


@pytest.mark.parametrize(
    "reports",
    [
        [replace(STOP_FILL, client_order_id="unheard-of")],
        [replace(STOP_FILL, client_order_id=ENTRY)],
        [replace(STOP_FILL, symbol="DOGE/USDT:USDT")],
        [replace(STOP_FILL, symbol=SPOT)],
        [replace(STOP_FILL, side=Side.BUY)],
        [replace(STOP_FILL, quantity=20.001)],
        [STOP_FILL, STOP_FILL],
        [
            Funding(PERPETUAL, 0.001, 100.0, at(4)),
            replace(STOP_FILL, quantity=5.0),
            replace(STOP_FILL, quantity=16.0),
        ],
        [replace(STOP_FILL, quantity=5.0), Rejected(STOP, PERPETUAL, at(4), "late")],
        [Canceled(STOP, PERPETUAL, at(4), "a"), Canceled(STOP, PERPETUAL, at(4), "b")],
        [Accepted("unheard-of", PERPETUAL, at(4))],
        [Accepted("another", PERPETUAL, at(4), OTHER_STOP)],
        [Accepted(OTHER_STOP.client_order_id, SPOT, at(4), OTHER_STOP)],
        [Accepted(OTHER_STOP.client_order_id, PERPETUAL, at(4), replace(OTHER_STOP, side=Side.BUY))],
        [Accepted(OTHER_STOP.client_order_id, PERPETUAL, at(4), replace(OTHER_STOP, reduce_only=False))],
        [STOP_FILL, Accepted(OTHER_STOP.client_order_id, PERPETUAL, at(4), OTHER_STOP)],
        [Funding("DOGE/USDT:USDT", 0.001, 100.0, at(4))],
    ],
)
def test_an_impossible_report_raises_and_none_of_its_batch_is_booked(reports: list[Any]) -> None:
    """Unknown orders, wrong sides, too much, twice, out of the lifecycle: the engine is as before."""
    made = holding()
    before = made.engine.snapshot()
    with pytest.raises(EngineProtocolError):
        made.engine.settle(reports)
    assert made.engine.snapshot() == before
    assert [trade.exit_reason for trade in made.engine.settle([STOP_FILL])] == ["stop_loss"]


def test_a_protective_order_that_is_accepted_again_keeps_what_it_filled() -> None:
    """The second report of the same acceptance is a step of the lifecycle, not a new order."""
    made = holding()
    stop = next(r.intent for r in made.engine.open_orders(PERPETUAL) if r.intent.leg is Leg.STOP)
    made.engine.settle([replace(STOP_FILL, quantity=5.0), Accepted(STOP, PERPETUAL, at(4), stop)])
    (record,) = (r for r in made.engine.open_orders(PERPETUAL) if r.intent.leg is Leg.STOP)
    assert (record.state, record.filled_quantity) == (OrderState.PARTIALLY_FILLED, 5.0)
    assert made.engine.account.position(PERPETUAL).quantity == 15.0


BAR = candle(4)
OUT_OF_ORDER: list[tuple[bool, Callable[[World], object]]] = [
    (False, lambda made: made.engine.decide([], at(5))),
    (False, lambda made: made.engine.observe([])),
    (False, lambda made: made.engine.observe([candle(3)])),
    (False, lambda made: made.engine.observe([BAR, candle(5, symbol=SPOT)])),
    (False, lambda made: made.engine.observe([candle(4, symbol=SPOT), BAR])),
    (False, lambda made: made.engine.observe([BAR, BAR])),
    (False, lambda made: made.engine.observe([BAR, candle(4, symbol="DOGE/USDT")])),
    (False, lambda made: made.engine.warm([candle(3)])),
    (False, lambda made: made.engine.warm([])),
    (False, lambda made: made.engine.warm([BAR, candle(4, symbol="DOGE/USDT")])),
    (True, lambda made: made.engine.observe([candle(5)])),
    (True, lambda made: made.engine.settle([])),
    (True, lambda made: made.engine.settle([STOP_FILL])),
    (True, lambda made: made.engine.warm([candle(5)])),
    (True, lambda made: made.engine.snapshot()),
    (True, lambda made: made.engine.restore(holding().engine.snapshot(), {})),
]


@pytest.mark.parametrize(("observed", "call"), OUT_OF_ORDER)
def test_a_call_out_of_order_raises_and_changes_nothing(
    observed: bool, call: Callable[[World], object]
) -> None:
    """Between batches or within one: the right call afterwards finds everything as it was."""
    made, same = holding(), holding()
    for each in (made, same):
        if observed:
            each.engine.observe([BAR])
    with pytest.raises(EngineProtocolError):
        call(made)
    for each in (made, same):
        if not observed:
            each.engine.observe([BAR])
    assert made.engine.decide([predicted(5, QUIET)], at(5)) == same.engine.decide(
        [predicted(5, QUIET)], at(5)
    )
    assert made.engine.snapshot() == same.engine.snapshot()
    assert made.engine.window(PERPETUAL).candles == same.engine.window(PERPETUAL).candles
    assert made.engine.window(SPOT).candles == same.engine.window(SPOT).candles


# --- warming and restarts -------------------------------------------------------------------------------------


def test_warming_shows_history_without_deciding() -> None:
    """Windows and strategies are as if the candles had been observed; the first decision comes at once."""
    made = world(engine_config(costs=FREE))
    for number in range(2):
        made.engine.warm([candle(number)])
    assert made.engine.last_opened_at_ms == at(1)
    assert made.engine.symbols == (PERPETUAL,)
    assert hold(made.step(minute_of(2, UP))) is None
    with pytest.raises(EngineProtocolError):
        made.engine.observe([candle(2)])


def test_a_restore_replaces_everything() -> None:
    """Also into an engine that has traded: nothing of before is left."""
    source, target = holding(), holding()
    source.step(minute_of(4, QUIET, (PERPETUAL, SPOT)))
    target.step(minute_of(4, UP, (PERPETUAL, SPOT)))
    snapshot = json.loads(json.dumps(source.engine.snapshot()))
    target.engine.restore(snapshot, {PERPETUAL: [candle(n) for n in (2, 3, 4)]})
    assert target.engine.snapshot() == source.engine.snapshot()
    assert target.engine.equity == source.engine.account.equity()
    assert target.engine.window(PERPETUAL).is_full
    assert len(target.engine.window(SPOT)) == 0


def test_a_restart_keeps_a_halt() -> None:
    """A person's halt is not undone by starting again."""
    made = holding()
    made.engine.command(StateEvent.HALT, at(4))
    again = restarted(made, [minute_of(n, None, (PERPETUAL, SPOT)) for n in range(4)])
    assert again.engine.risk.state is TradingState.HALTED
    assert [d.hold_reason for d in again.step(minute_of(4, UP, (PERPETUAL, SPOT)))] == [
        "up",
        "refused_halted",
    ]


@pytest.mark.parametrize("pending", [False, True])
def test_a_snapshot_of_a_symbol_no_longer_traded_is_refused_when_something_hangs_on_it(pending: bool) -> None:
    """A position or an order can't be forgotten: the restore raises and changes nothing."""
    source = begun((PERPETUAL, SPOT)) if pending else holding()
    if pending:
        source.step(Minute(minute_of(2, None, (PERPETUAL, SPOT)).candles, (predicted(3, UP),), at(3)))
    target = begun((SPOT,))
    before = target.engine.snapshot()
    with pytest.raises(EngineProtocolError):
        target.engine.restore(source.engine.snapshot(), {})
    assert target.engine.snapshot() == before


def test_a_symbol_new_to_the_account_starts_empty() -> None:
    """One that the snapshot does not know warms up while the others go on."""
    source = holding()
    target = world(engine_config(SYMBOLS, costs=FREE))
    target.engine.restore(source.engine.snapshot(), {PERPETUAL: [candle(n) for n in (1, 2, 3)]})
    decisions = target.step(minute_of(4, QUIET, SYMBOLS))
    assert [d.hold_reason for d in decisions] == [None, "warming_up", "warming_up"]


# --- the size of entries --------------------------------------------------------------------------------------


def test_a_size_factor_scales_entries_and_survives_a_restart() -> None:
    """Half the quantity from the next decision on, in the process after as well; 1 gives it back."""
    made = begun()
    made.engine.set_size_factor(0.5, "log_loss_doubted")
    again = restarted(made, [minute_of(n) for n in range(2)])
    for each in (made, again):
        (decision,) = each.step(minute_of(2, UP))
        assert [sent.intent.quantity for sent in decision.approved] == [10.0]
    fresh = begun()
    fresh.engine.set_size_factor(0.5, "log_loss_doubted")
    fresh.engine.set_size_factor(1.0, "")
    (decision,) = fresh.step(minute_of(2, UP))
    assert [sent.intent.quantity for sent in decision.approved] == [20.0]


def test_at_factor_0_nothing_is_opened_and_everything_can_be_left() -> None:
    """The decision says why; exits, stops and targets work as ever."""
    made = begun()
    made.step(minute_of(2, UP))
    made.engine.set_size_factor(0.0, "features_drifted")
    made.step(minute_of(3, UP))
    (decision,) = made.step(minute_of(4, DOWN))
    assert [sent.intent.leg for sent in decision.approved] == [Leg.EXIT]
    (decision,) = made.step(minute_of(5, DOWN))
    assert decision.signal is not None
    assert (decision.hold_reason, decision.approved, decision.refused) == ("features_drifted", (), ())
    assert made.engine.account.position(PERPETUAL).quantity == 0.0
    stopped = begun()
    stopped.step(minute_of(2, UP))
    stopped.engine.set_size_factor(0.0, "features_drifted")
    stopped.step(minute_of(3, UP, low=90.0))
    assert [trade.exit_reason for trade in stopped.trades] == ["stop_loss"]


@pytest.mark.parametrize("factor", [-0.1, 1.1, math.nan, math.inf])
def test_what_is_no_size_factor_is_refused(factor: float) -> None:
    """Nor one below 1 without a reason, nor one between observe and decide; the factor stays what it was."""
    made = begun()
    with pytest.raises(EngineProtocolError):
        made.engine.set_size_factor(factor, "why")
    with pytest.raises(EngineProtocolError):
        made.engine.set_size_factor(0.5, "")
    made.engine.observe([candle(2)])
    with pytest.raises(EngineProtocolError):
        made.engine.set_size_factor(0.5, "why")
    made.engine.decide([], at(3))
    assert made.engine.risk.size_factor == 1.0


def test_a_snapshot_of_before_there_was_a_size_factor_trades_at_full_size() -> None:
    """An older journal knows none."""
    made = begun()
    snapshot = json.loads(json.dumps(made.engine.snapshot()))
    del snapshot["risk"]["size"]
    made.engine.set_size_factor(0.5, "why")
    made.engine.restore(snapshot, {})
    assert (made.engine.risk.size_factor, made.engine.risk.size_reason) == (1.0, "")


class Stubborn(Follower):
    """Asks for impossible sizes."""

    def __init__(self, symbol: Symbol, strength: float) -> None:
        super().__init__(symbol)
        self.strength = strength

    def decide(self, view: Any) -> Any:
        """Whatever the follower wants, with a strength of its own."""
        return super().decide(view)._replace(strength=self.strength)


@pytest.mark.parametrize("strength", [math.nan, -1.0, 0.0])
def test_a_strategy_that_asks_for_no_size_gets_no_order(strength: float) -> None:
    """A strength that is not a number, or not positive, is refused, not sent and not a crash."""
    made = world(engine_config(costs=FREE), lambda symbol: Stubborn(symbol, strength))
    made.run([minute_of(number) for number in range(2)])
    assert hold(made.step(minute_of(2, UP))) == "refused_below_min_quantity"


def test_the_strategy_sees_cost_and_kind_of_market() -> None:
    """The round trip of the costs, and whether it may go short."""
    views = []

    class Watcher(Follower):
        def decide(self, view: Any) -> Any:
            views.append(view)
            return super().decide(view)

    costs = Costs()
    made = world(engine_config((PERPETUAL, SPOT), costs=costs), Watcher)
    made.run([minute_of(number, QUIET, (PERPETUAL, SPOT)) for number in range(3)])
    assert [(v.symbol, v.can_short, v.round_trip_cost) for v in views] == [
        (PERPETUAL, True, costs.round_trip),
        (SPOT, False, costs.round_trip),
    ]
    assert [v.candle for v in views] == [candle(2), candle(2, symbol=SPOT)]
    assert all(isinstance(v.prediction, Prediction) and v.position.is_flat for v in views)


def test_why_there_is_no_prediction_is_told() -> None:
    """A minute without one holds for the reason that the driver gives."""
    made = begun()
    made.step(minute_of(2, QUIET))
    made.engine.settle([])
    made.engine.observe([candle(3)])
    assert hold(made.engine.decide([], at(4), absent="no_model")) == "no_model"
    made.engine.observe([candle(4)])
    assert hold(made.engine.decide([], at(5))) == "no_prediction"
