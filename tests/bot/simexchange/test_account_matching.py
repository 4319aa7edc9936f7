"""How the end of a minute fills orders: the paths, the rules, and equality with the core's matcher."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account import Account
from bot.core.costs import Costs, FundingRates
from bot.core.market import MINUTE_MS, Candle, Instrument, kind_of
from bot.core.matching import BarMatcher
from bot.core.orders import Fill, Funding, Leg, OrderIntent, Protection, Side, client_order_id
from bot.core.risk import protective_orders
from bot.errors import EngineProtocolError
from bot.simexchange.account_matching import (
    Path,
    crosses,
    goes_through,
    in_order_of_matching,
    is_triggered,
    path_after,
    trigger_price,
)
from bot.simexchange.bars import Bar, partial_bar
from bot.simexchange.config import Market
from bot.simexchange.orders import OrderKind, OrderStatus, SimOrder
from tests.core_builders import approved, order
from tests.sim_accounts import (
    LISTINGS,
    START_MS,
    SYMBOL,
    SimWorld,
    held,
    limit,
    request,
    sim_world,
    stop,
    target,
    wallet,
)

BAR = Bar(START_MS, 100.0, 103.0, 98.0, 101.0, 1.0)
"""A rising bar: its price is taken to go 100, 98, 103, 101."""


@st.composite
def bars(draw: st.DrawFn, at_ms: int = START_MS) -> Bar:
    """A sound bar about 100 on the tick."""
    open_, close = (draw(st.integers(9900, 10_100)) / 100 for _ in range(2))
    high = max(open_, close) + draw(st.integers(0, 100)) / 100
    low = min(open_, close) - draw(st.integers(0, 100)) / 100
    return Bar(at_ms, open_, round(high, 2), round(low, 2), close, 1.0)


def test_an_order_made_at_the_open_or_before_sees_the_whole_bar():
    """Its path begins at the open and reaches both extremes."""
    for made in (START_MS - 5, START_MS):
        assert path_after(BAR, made) == Path(100.0, 103.0, 98.0)


def test_an_order_made_after_the_bar_sees_nothing_of_it():
    """The bar's last millisecond is the last at which an order may still see it."""
    assert path_after(BAR, START_MS + MINUTE_MS) is None
    assert path_after(BAR, START_MS + MINUTE_MS - 1) is not None


def test_an_order_made_in_between_sees_what_came_after_it():
    """A low that came before it does not count, the high that came after does."""
    path = path_after(BAR, START_MS + 30_000)
    assert path == Path(100.5, 103.0, 100.5)


@given(bar=bars(), made=st.integers(1, MINUTE_MS - 1), later=st.integers(1, MINUTE_MS - 1))
def test_a_path_holds_every_price_that_is_shown_after_it_began(bar, made, later):
    """Whatever the unfinished bar shows later lies within the path of an order made before."""
    made, later = sorted((made, later))
    path = path_after(bar, START_MS + made)
    assert path is not None
    assert path.first == partial_bar(bar, made).close
    assert path.low <= partial_bar(bar, later).close <= path.high
    assert path.low <= bar.close <= path.high
    assert bar.low <= path.low <= path.high <= bar.high


@pytest.mark.parametrize(
    ("asked", "at_level", "gap"),
    [
        (stop("SELL", 99.0), Path(100.0, 101.0, 99.0), Path(98.0, 101.0, 97.0)),
        (stop("BUY", 101.0), Path(100.0, 101.0, 99.0), Path(102.0, 103.0, 99.0)),
        (target("SELL", 101.0), Path(100.0, 101.0, 99.0), Path(102.0, 103.0, 99.0)),
        (target("BUY", 99.0), Path(100.0, 101.0, 99.0), Path(98.0, 101.0, 97.0)),
    ],
)
def test_a_level_is_reached_by_touching_and_a_gap_fills_at_the_first_price(asked, at_level, gap):
    """Each kind triggers at its level exactly, beyond it at the first price, and before it not at all."""
    assert trigger_price(asked, at_level) == asked.stop_price
    assert trigger_price(asked, gap) == gap.first
    assert trigger_price(asked, Path(100.0, 100.5, 99.5)) is None
    assert is_triggered(asked, asked.stop_price)
    assert is_triggered(asked, gap.first)
    assert not is_triggered(asked, 100.0)


def test_a_limit_is_gone_through_and_not_only_touched():
    """A buyer's price must be undercut, a seller's exceeded."""
    assert not goes_through(limit("BUY", 99.0), Path(100.0, 101.0, 99.0))
    assert goes_through(limit("BUY", 99.01), Path(100.0, 101.0, 99.0))
    assert not goes_through(limit("SELL", 101.0), Path(100.0, 101.0, 99.0))
    assert goes_through(limit("SELL", 100.99), Path(100.0, 101.0, 99.0))


def test_what_meets_the_other_side_at_once():
    """The book is half a spread away, but a post-only order is measured by the price itself."""
    assert not crosses(limit("BUY", 100.0), 100.0, 1.0)
    assert crosses(limit("BUY", 100.01), 100.0, 1.0)
    assert crosses(limit("BUY", 100.0, force="GTX"), 100.0, 1.0)
    assert not crosses(limit("BUY", 99.99, force="GTX"), 100.0, 1.0)
    assert crosses(limit("SELL", 99.99), 100.0, 1.0)
    assert not crosses(limit("SELL", 100.0), 100.0, 1.0)
    assert crosses(limit("SELL", 100.0, force="GTX"), 100.0, 1.0)


def test_a_conditional_order_without_its_level_is_a_bug():
    """No filter lets one pass, so it is never guessed."""
    with pytest.raises(EngineProtocolError, match="no trigger price"):
        trigger_price(request(kind=OrderKind.STOP_MARKET), Path(1.0, 1.0, 1.0))


def test_stops_come_first_then_targets_then_limits():
    """Those of a kind stay as they were made."""
    asked = (limit("BUY", 99.0), target("SELL", 101.0), stop("SELL", 99.0), stop("SELL", 98.0))
    made = [SimOrder(number, one, OrderStatus.NEW, 0, 0) for number, one in enumerate(asked)]
    assert [one.order_id for one in in_order_of_matching(made)] == [2, 3, 1, 0]


def test_a_bar_that_reaches_both_takes_the_stop():
    """The stop closes the position, and the target finds nothing to reduce."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.place(target("SELL", 101.0, reduce_only=True))
    world.place(stop("SELL", 99.0, reduce_only=True))
    world.open_bar(100.0, 102.0, 98.0, 101.0)
    world.close_bars()
    kept = {one.request.client_order_id: one for one in world.account.orders(None, conditional=True)}
    assert kept["stop"].status is OrderStatus.FINISHED
    assert (kept["target"].status, kept["target"].reason) == (OrderStatus.EXPIRED, "Reduce Only reject")
    trade = world.account.trades(None)[-1]
    assert trade.price == 99.0 * (1 - 1.5 / 10_000)
    assert trade.at_ms == START_MS + MINUTE_MS - 1
    assert held(world.account) == 0.0


def test_a_limit_fills_at_its_price_for_the_maker_s_fee():
    """No spread and no slippage, and the fee of one who waited."""
    world = sim_world()
    world.place(limit("BUY", 99.0, 2.0))
    world.open_bar(100.0, 100.0, 99.0, 99.5)
    world.close_bars()
    assert world.account.trades(None) == []
    world.open_bar(99.5, 99.5, 98.99, 99.5)
    world.close_bars()
    (trade,) = world.account.trades(None)
    assert (trade.price, trade.is_maker, trade.fee) == (99.0, True, 99.0 * 2.0 * 2.0 / 10_000)
    assert world.account.find(SYMBOL, client_order_id="limit").status is OrderStatus.FILLED


def test_an_order_made_within_a_minute_is_not_reached_by_what_came_before():
    """The low of the bar lay before the stop was made; the next bar's low counts."""
    world = sim_world()
    world.place(request("BUY", 1.0))
    world.open_bar(100.0, 103.0, 98.0, 101.0)
    world.now_ms += 45_000
    world.place(stop("SELL", 99.0, reduce_only=True))
    world.close_bars()
    assert held(world.account) == 1.0
    world.open_bar(100.0, 100.0, 98.0, 99.0)
    world.close_bars()
    assert held(world.account) == 0.0


# --- against the core's matcher --------------------------------------------------------------------------------

COSTS = Costs()


@dataclass
class Client:
    """Does on the exchange what the core's matcher does by itself: protects, and cancels what is left."""

    world: SimWorld
    instrument: Instrument
    fills: list[tuple[str, float, float, float, int]] = field(default_factory=list)

    @property
    def is_holding(self) -> bool:
        """Whether anything is held."""
        account = self.world.account
        if account.market is not Market.SPOT:
            return held(account) != 0.0
        return any(one.free + one.locked for one in account.balances() if one.asset == "AAA")

    def enter(self, intent: OrderIntent) -> None:
        """A market order, then a stop and a target by its fill."""
        side = intent.side.name
        self.world.place(request(side, intent.quantity, intent.client_order_id))
        trade = self.world.account.trades(None)[-1]
        fill = Fill(
            "1", intent.client_order_id, SYMBOL, intent.side, trade.quantity, trade.price, 0.0, "USDT", 0
        )
        ours = [made.intent for made in protective_orders(intent, fill, self.instrument)]
        levels = [one.stop_price or 0.0 for one in ours]
        against = ours[0].side.name
        if self.world.account.market is Market.SPOT:
            pair = (stop(against, levels[0], trade.quantity), target(against, levels[1], trade.quantity))
            self.world.account.place_pair(*pair, intent.client_order_id, self.world.now_ms)
        else:
            self.world.place(stop(against, levels[0], trade.quantity, reduce_only=True))
            self.world.place(target(against, levels[1], trade.quantity, reduce_only=True))

    def leave(self, intent: OrderIntent) -> None:
        """Cancel what protects, and close at market."""
        self.clear()
        reducing = self.world.account.market is not Market.SPOT
        self.world.place(
            request(intent.side.name, intent.quantity, intent.client_order_id, reduce_only=reducing)
        )

    def clear(self) -> None:
        """Cancel whatever is open."""
        account = self.world.account
        for conditional in {False, account.market is not Market.SPOT}:
            if account.open_orders(conditional=conditional):
                account.cancel_all(SYMBOL, conditional=conditional, now_ms=self.world.now_ms)


def as_row(fill: Fill) -> tuple[str, float, float, float, int]:
    """What two fills must share, every digit."""
    return fill.side.name, fill.quantity, fill.price, fill.fee, fill.filled_at_ms


@st.composite
def wild_days(draw: st.DrawFn) -> list[tuple[Bar, str, int, int, int]]:
    """Bars in a row, each with a wish at its open: enter, leave or nothing, and the levels of an entry."""
    days, price = [], 100.0
    for minute in range(draw(st.integers(2, 25))):
        open_ = round(price * (1 + draw(st.integers(-30, 30)) / 10_000), 2)
        close = round(open_ * (1 + draw(st.integers(-60, 60)) / 10_000), 2)
        high = round(max(open_, close) * (1 + draw(st.integers(0, 40)) / 10_000), 2)
        low = round(min(open_, close) * (1 - draw(st.integers(0, 40)) / 10_000), 2)
        bar = Bar(START_MS + (minute + 470) * MINUTE_MS, open_, high, low, close, 1.0)
        wish = draw(st.sampled_from(("long", "short", "leave", "", "")))
        days.append(
            (bar, wish, draw(st.integers(1, 9000)), draw(st.integers(20, 80)), draw(st.integers(20, 80)))
        )
        price = close
    return days


@settings(max_examples=60)
@given(days=wild_days(), market=st.sampled_from(Market), rate=st.sampled_from((0.0001, -0.0004)))
def test_the_exchange_fills_as_the_core_s_matcher_does(days, market, rate):
    """The same bars and wishes give the same executions, fees, times, funding and cash, to the last bit, long and short."""
    symbol = LISTINGS[SYMBOL].unified(market)
    rules = Instrument(symbol, kind_of(symbol), 0.01, 0.001, 0.001, 5.0)
    matcher = BarMatcher(COSTS, {symbol: rules}, FundingRates(rate))
    world = sim_world(market, None, balances={"USDT": 1e6})
    client, core = Client(world, rules), Account(1e6, {symbol: rules})
    expected: list[object] = []
    for bar, wish, thousandths, near, far in days:
        world.now_ms = bar.opened_at_ms
        world.open_bar(*bar[1:5], at_ms=bar.opened_at_ms)
        if market is not Market.SPOT and bar.opened_at_ms % (480 * MINUTE_MS) == 0:
            world.account.pay_funding(SYMBOL, rate, bar.open, bar.opened_at_ms)
        is_entry = (
            wish in {"long", "short"}
            and not client.is_holding
            and (wish == "long" or market is not Market.SPOT)
        )
        if is_entry or (wish == "leave" and client.is_holding):
            intent = wished(wish, thousandths / 1000, (near, far), bar, symbol, matcher)
            matcher.submit(approved(intent))
            (client.enter if is_entry else client.leave)(intent)
        reports = matcher.match(Candle(symbol, *bar))
        for report in reports:
            if isinstance(report, Fill):
                core.apply_fill(report, "")
            elif isinstance(report, Funding):
                core.apply_funding(report)
        expected += [
            as_row(one) if isinstance(one, Fill) else one
            for one in reports
            if isinstance(one, Fill | Funding)
        ]
        world.account.match(SYMBOL, bar)
        world.now_ms += MINUTE_MS
        if not client.is_holding:
            client.clear()
    told = [
        (one.side, one.quantity, one.price, one.fee, one.at_ms)
        for one in world.account.trades(None, limit=10_000)
    ]
    assert told == [one for one in expected if not isinstance(one, Funding)]
    assert wallet(world.account) == core.cash
    paid = world.account.income(kind="FUNDING_FEE", limit=10_000)
    assert [line.at_ms for line in paid] == [one.paid_at_ms for one in expected if isinstance(one, Funding)]


def wished(
    wish: str, quantity: float, levels: tuple[int, int], bar: Bar, symbol: str, matcher: BarMatcher
) -> OrderIntent:
    """The intent of a wish at a bar's open; an exit closes what the matcher holds."""
    entering = wish != "leave"
    holding = matcher._held.get(symbol, 0.0)
    buys = wish == "long" if entering else holding < 0
    base = order(
        side=Side.BUY if buys else Side.SELL,
        quantity=max(quantity, 0.06) if entering else abs(holding),
        leg=Leg.ENTRY if entering else Leg.EXIT,
        symbol=symbol,
        protection=Protection(levels[0] / 10_000, levels[1] / 10_000),
    )
    at_ms = bar.opened_at_ms
    return replace(base, decided_at_ms=at_ms, client_order_id=client_order_id("run", symbol, at_ms, base.leg))
