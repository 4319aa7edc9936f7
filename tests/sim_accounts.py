"""Simulated accounts in a market that tests move by hand."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.orders import Funding
from bot.simexchange.account import SimAccount
from bot.simexchange.bars import MINUTE_MS, Bar, partial_bar
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import (
    AccountTerms,
    Disturbance,
    OrderKind,
    OrderRequest,
    Refusal,
    SimOrder,
    TimeInForce,
)

START_MS = 1_684_454_400_000
"""2023-05-19T00:00Z."""

LISTINGS = {
    name: Listing(name, name.removesuffix("USDT"), "USDT", 0.01, 0.001, 5.0)
    for name in ("AAAUSDT", "BBBUSDT")
}
SYMBOL = "AAAUSDT"


def request(side: str = "BUY", quantity: float = 1.0, client_id: str = "one", **other: Any) -> OrderRequest:
    """A market order unless told otherwise."""
    asked: dict[str, Any] = {"symbol": SYMBOL, "kind": OrderKind.MARKET, **other}
    return OrderRequest(side=side, quantity=quantity, client_order_id=client_id, **asked)


def limit(
    side: str, price: float, quantity: float = 1.0, client_id: str = "limit", force: str = "GTC", **other: Any
) -> OrderRequest:
    """A limit order."""
    kind, life = OrderKind.LIMIT, TimeInForce(force)
    return request(side, quantity, client_id, kind=kind, price=price, time_in_force=life, **other)


def stop(
    side: str, level: float, quantity: float = 1.0, client_id: str = "stop", **other: Any
) -> OrderRequest:
    """A stop that becomes a market order."""
    return request(side, quantity, client_id, kind=OrderKind.STOP_MARKET, stop_price=level, **other)


def target(
    side: str, level: float, quantity: float = 1.0, client_id: str = "target", **other: Any
) -> OrderRequest:
    """A take-profit that becomes a market order."""
    return request(side, quantity, client_id, kind=OrderKind.TAKE_PROFIT_MARKET, stop_price=level, **other)


@dataclass
class SimWorld:
    """An account, and the bars of its market: the price is that of the bar which is open now."""

    account: SimAccount
    now_ms: int = START_MS
    bars: dict[str, Bar] = field(default_factory=dict)
    paid: list[Funding] = field(default_factory=list)

    def price(self, symbol: str, now_ms: int) -> float | None:
        """The price at a time within the bar that is open, or at its open."""
        bar = self.bars.get(symbol)
        if bar is None:
            return None
        elapsed = now_ms - bar.opened_at_ms
        return partial_bar(bar, elapsed).close if 0 < elapsed < MINUTE_MS else bar.open

    def open_bar(self, *prices: float, symbol: str = SYMBOL, at_ms: int | None = None) -> Bar:
        """Let a bar begin, by its open, high, low and close; one price: it stands still."""
        open_, high, low, close = prices if len(prices) == 4 else (prices[0],) * 4
        bar = Bar(self.now_ms if at_ms is None else at_ms, open_, high, low, close, 1.0)
        self.bars[symbol] = bar
        return bar

    def close_bars(self) -> None:
        """End the minute: match every bar."""
        for symbol, bar in sorted(self.bars.items()):
            self.account.match(symbol, bar)
        self.now_ms = self.now_ms - self.now_ms % MINUTE_MS + MINUTE_MS

    def pay_funding(self, symbol: str, rate: float, mark_price: float) -> None:
        """Let a funding time be now, and note it as the core knows it."""
        self.paid.append(Funding(symbol, rate, mark_price, self.now_ms))
        self.account.pay_funding(symbol, rate, mark_price, self.now_ms)

    def place(self, asked: OrderRequest) -> SimOrder:
        """Place an order now."""
        return self.account.place(asked, self.now_ms)


def sim_world(market: Market = Market.USDM, price: float | None = 100.0, **terms: Any) -> SimWorld:
    """An account with 10,000 USDT in a market that stands at a price; fees and spread as usual."""
    world = SimWorld(None)  # type: ignore[arg-type]  # the account needs the world's price
    chosen = {"listings": LISTINGS, "balances": {"USDT": 10_000.0}, **terms}
    world.account = SimAccount(market, AccountTerms(**chosen), world.price)
    if price is not None:
        for symbol in LISTINGS:
            world.open_bar(price, symbol=symbol)
    return world


def refused(act: Callable[[], object]) -> tuple[int, str]:
    """Code and text with which something is refused; fails where it is not."""
    try:
        act()
    except Refusal as refusal:
        return refusal.code, str(refusal)
    message = "nothing was refused"
    raise AssertionError(message)


def wallet(account: SimAccount, asset: str = "USDT") -> float:
    """What there is of an asset, locked or not."""
    return next((one.free + one.locked for one in account.balances() if one.asset == asset), 0.0)


def held(account: SimAccount, symbol: str = SYMBOL) -> float:
    """The quantity of a position."""
    return next(one.quantity for one in account.positions() if one.symbol == symbol)


# --- whatever a client may do ---------------------------------------------------------------------------------


def random_steps(world: SimWorld, seed: int, count: int) -> Iterator[int]:
    """Live at random for some steps: orders of every kind, good and bad, cancels, minutes, funding times, partial fills.

    Yields the number of each step when it is done; the same seed does the same.
    """
    rng = random.Random(seed)
    prices = dict.fromkeys(LISTINGS, 100.0)

    def disturb(_asked: OrderRequest) -> Disturbance | None:
        shares = rng.choice(((0.5, 0.5), (0.3,), (0.25, 0.25, 0.25), (1 / 3, 2 / 3)))
        return Disturbance(fill_shares=shares) if rng.random() < 0.2 else None

    for step in range(count):
        world.account.disturb = disturb
        with contextlib.suppress(Refusal):  # who asks for anything is refused often
            _random_step(world, rng, prices, step)
        yield step


def _random_step(world: SimWorld, rng: random.Random, prices: dict[str, float], step: int) -> None:
    account, symbol = world.account, rng.choice(sorted(LISTINGS))
    chance = rng.random()
    if chance < 0.3:
        _random_minute(world, rng, prices)
    elif chance < 0.34 and account.market is not Market.SPOT:
        rate = rng.choice((-0.0003, 0.0001, 0.001))
        world.pay_funding(symbol, rate, prices[symbol])
    elif chance < 0.44:
        waiting = [*account.open_orders(), *account.open_orders(conditional=True)]
        if waiting:
            chosen = rng.choice(waiting).request
            account.cancel(
                chosen.symbol,
                client_order_id=chosen.client_order_id,
                conditional=chosen.is_conditional,
                now_ms=world.now_ms,
            )
    elif chance < 0.46:
        account.cancel_all(symbol, conditional=rng.random() < 0.5, now_ms=world.now_ms)
    elif chance < 0.54 and account.market is Market.SPOT:
        quantity, price = rng.randrange(1, 9000) / 1000, prices[symbol]
        low, high = round(price * 0.997, 2), round(price * 1.003, 2)
        near = stop("SELL", low, quantity, f"s{step}", symbol=symbol)
        make = rng.choice((limit, target))
        force = {"force": "GTX"} if make is limit else {}
        far = make("SELL", high, quantity, f"t{step}", symbol=symbol, **force)
        account.place_pair(near, far, f"l{step}", world.now_ms)
    else:
        account.place(_random_request(rng, account.market, symbol, prices[symbol], step), world.now_ms)
    if rng.random() < 0.3:
        world.now_ms += rng.randrange(0, (MINUTE_MS - world.now_ms % MINUTE_MS) // 2 + 1)


def _random_minute(world: SimWorld, rng: random.Random, prices: dict[str, float]) -> None:
    world.close_bars()
    for symbol in LISTINGS:
        open_ = round(prices[symbol] * (1 + rng.gauss(0, 0.001)), 2)
        close = round(open_ * (1 + rng.gauss(0, 0.003)), 2)
        high = round(max(open_, close) * (1 + abs(rng.gauss(0, 0.001))), 2)
        low = round(min(open_, close) * (1 - abs(rng.gauss(0, 0.001))), 2)
        world.open_bar(open_, max(high, open_, close), min(low, open_, close), close, symbol=symbol)
        prices[symbol] = close


def _random_request(rng: random.Random, market: Market, symbol: str, price: float, step: int) -> OrderRequest:
    side = rng.choice(("BUY", "SELL"))
    quantity = rng.randrange(1, 30_000) / 1000
    client_id = f"r{rng.randrange(step + 1)}" if rng.random() < 0.1 else f"r{step}"
    only = {"reduce_only": market is not Market.SPOT and rng.random() < 0.5}
    level = round(price * (1 + rng.choice((-0.02, -0.004, -0.002, 0.002, 0.004, 0.02))), 2)
    kind = rng.random()
    if kind < 0.4:
        return request(side, quantity, client_id, symbol=symbol, **only)
    if kind < 0.7:
        force = rng.choice(("GTC", "GTC", "IOC", "FOK", "GTX"))
        return limit(side, level, quantity, client_id, force, symbol=symbol, **only)
    make = rng.choice((stop, target))
    if market is not Market.SPOT and rng.random() < 0.3:
        return make(side, level, 0.0, client_id, symbol=symbol, close_position=True)
    return make(side, level, quantity, client_id, symbol=symbol, **only)


def outcome(world: SimWorld) -> tuple[dict[str, Any], Sequence[object]]:
    """What two equal runs must share: the truth, and what was told."""
    return world.account.truth(), world.account.take_events()
