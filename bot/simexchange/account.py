"""The account that a simulated exchange keeps: orders, executions, positions, balances. Pure: it knows no clock.

Rules:

- A market order executes at once, at the current price moved against it by half the spread plus slippage, with the
  taker fee. So does a limit order that meets the other side of the book, never beyond its limit.
- Everything else rests, and is matched once at the end of each minute over the part of the bar that came after it was
  made: stops, then targets, then limit orders. A limit order is filled only when the price goes through it, at its
  price, with the maker fee.
- A conditional order of the perpetuals has a number of another series, and becomes a market order when it triggers. On
  spot it is an order like any other, and locks coins.
- Fees are charged in the quote currency, on spot too. Prices of executions and fees keep every digit.
- Hedged positions (``positionSide`` LONG and SHORT) are not simulated: orders of a hedged account are refused.

What it is not: there is no order book, no other trader, no liquidation and no leverage tier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from bot.errors import EngineProtocolError
from bot.simexchange import account_matching as matching
from bot.simexchange.account_admission import Admission, Disturb
from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_coins import CoinLedger
from bot.simexchange.account_execution import Execution
from bot.simexchange.account_ledger import Ledger, PriceNow
from bot.simexchange.account_money import Margin, MarginLedger
from bot.simexchange.account_reads import AccountReads
from bot.simexchange.account_settings import check_position_mode, set_isolated, set_leverage
from bot.simexchange.bars import MINUTE_MS, Bar
from bot.simexchange.config import Market
from bot.simexchange.orders import (
    AccountEvent,
    AccountTerms,
    OrderRequest,
    OrderStatus,
    Refusal,
    SimOrder,
    TimeInForce,
)

PriceAt: TypeAlias = Callable[[str, int], float | None]
"""The current price of a symbol at a time; None before the first."""


class SimAccount(AccountReads):
    """One account on one market.

    Attributes:
        market: Spot or perpetuals.
        disturb: Set by a fault plan: what it does to an order that passed every check.
    """

    def __init__(self, market: Market, terms: AccountTerms, price: PriceAt) -> None:
        book = OrderBook(market)
        kind = CoinLedger if market is Market.SPOT else MarginLedger
        ledger: Ledger = kind(terms, book)
        super().__init__(market, terms, book, ledger)
        self.disturb: Disturb | None = None
        self._price = price
        self._execution = Execution(market, terms, book, ledger)
        self._admission = Admission(market, terms, self._execution)
        self._matched_ms: dict[str, int] = {}
        self._saved_state = self._state()

    # --- orders -----------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> SimOrder:
        """Take an order in; raises Refusal when it is not taken, and then nothing changed."""
        fill = self._admission.admit(request, self._prices(now_ms), dual_side=self._dual_side)
        shares = self._admission.shares(request, self.disturb)
        order = self._execution.take_in(request, now_ms, shares=shares)
        if fill is not None:
            self._execution.execute(order, fill, now_ms)
        elif not request.is_conditional and request.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
            self._execution.end(order, OrderStatus.EXPIRED, "", now_ms)
        return replace(order)

    def place_canceled(self, request: OrderRequest, now_ms: int, reason: str) -> SimOrder:
        """Take in an order and cancel it at once: what some exchanges do where others refuse it."""
        order = self._execution.take_in(request, now_ms)
        self._execution.end(order, OrderStatus.CANCELED, reason, now_ms)
        return replace(order)

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest, list_client_order_id: str, now_ms: int
    ) -> tuple[int, SimOrder, SimOrder]:
        """Take in a stop and a target (LIMIT with GTX, or TAKE_PROFIT_MARKET) of which one ends the other (spot, OKX).

        Returns:
            The list's id, the stop, the target.

        Raises:
            Refusal: Neither is taken.
        """
        self._admission.admit_pair(stop, target, list_client_order_id, self._prices(now_ms))
        shares = [self._admission.shares(request, self.disturb) for request in (stop, target)]
        pair = self._book.add_pair(list_client_order_id, stop.symbol, now_ms)
        first, second = (
            self._execution.take_in(request, now_ms, list_id=pair.list_id, shares=part)
            for request, part in zip((stop, target), shares, strict=True)
        )
        return pair.list_id, replace(first), replace(second)

    def cancel(
        self,
        symbol: str | None,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        conditional: bool = False,
        now_ms: int,
    ) -> SimOrder:
        """Cancel an open order, on spot with the other one of its pair; raises Refusal -2011 when it is not open."""
        order = self._get(symbol, order_id, client_order_id, conditional=conditional)
        if order is None or not order.is_open:
            raise Refusal(-2011, "Unknown order sent.")
        self._execution.cancel(order, now_ms)
        return replace(order)

    def cancel_all(self, symbol: str, *, conditional: bool = False, now_ms: int) -> list[SimOrder]:
        """Cancel the open orders of a symbol, on the perpetuals those of one series.

        Raises:
            Refusal: -1121, and on spot -2011 when none is open.
        """
        self.listing(symbol)
        canceled = self._book.open_orders(symbol, conditional=self._series(conditional))
        if not canceled and self.market is Market.SPOT:
            raise Refusal(-2011, "Unknown order sent.")
        for order in canceled:
            if order.is_open:  # the first of a pair took the second along
                self._execution.cancel(order, now_ms)
        return [replace(order) for order in canceled]

    # --- money ------------------------------------------------------------------------------------------------

    def margin(self, asset: str, now_ms: int) -> Margin:
        """How a wallet of the perpetuals stands: unrealized gain, margins, what is available."""
        return self._margin_ledger().margin(asset, self._prices(now_ms))

    def set_leverage(self, symbol: str, leverage: int, now_ms: int | None = None) -> None:
        """Set a symbol's leverage, 1 to 125; raises Refusal -4028 or -2028.

        Without a time, what is held counts at its entry price.
        """
        price = self._prices(now_ms) if now_ms is not None else _unknown
        set_leverage(self._margin_ledger(), self.listing(symbol), leverage, price)

    def set_isolated(self, symbol: str, isolated: bool) -> None:
        """Set a symbol's margin mode; raises Refusal -4046, -4047 or -4048."""
        self.listing(symbol)
        set_isolated(self._margin_ledger(), symbol, isolated=isolated, book=self._book)

    @property
    def dual_side(self) -> bool:
        """Whether the account is hedged; setting it raises Refusal -4059, -4067 or -4068."""
        return self._dual_side

    @dual_side.setter
    def dual_side(self, hedged: bool) -> None:
        check_position_mode(self._margin_ledger(), before=self._dual_side, after=hedged, book=self._book)
        self._dual_side = hedged

    # --- the market -------------------------------------------------------------------------------------------

    def match(self, symbol: str, bar: Bar) -> None:
        """A minute ended: execute what its bar reached, dated to its last millisecond.

        A bar that did something already does nothing again: a crash may come after that was stored and before the
        clock was.
        """
        if bar.opened_at_ms <= self._matched_ms.get(symbol, -1):
            return
        told = len(self._execution.events)
        at_ms = bar.opened_at_ms + MINUTE_MS - 1
        for order in matching.in_order_of_matching(self._book.open_orders(symbol)):
            path = matching.path_after(bar, order.created_at_ms)
            if path is None or not order.is_open:  # made later, or ended by one before it
                continue
            if order.request.is_conditional:
                level = matching.trigger_price(order.request, path)
                if level is not None:
                    self._execution.trigger(order, level, at_ms, self._prices(at_ms))
            elif matching.goes_through(order.request, path):
                self._execution.fill_resting(order, at_ms)
        if len(self._execution.events) > told:
            self._matched_ms[symbol] = bar.opened_at_ms

    def pay_funding(self, symbol: str, rate: float, mark_price: float, at_ms: int) -> None:
        """A funding time: a long position pays its notional at the mark price times the rate, a short one gets it."""
        self._execution.pay_funding(symbol, rate, mark_price, at_ms)

    def take_events(self) -> list[AccountEvent]:
        """What happened since the last call, in order."""
        taken, self._execution.events = self._execution.events, []
        return taken

    # --- keeping ----------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The account as JSON values, without the events that nobody took."""
        return {**self._book.delta(whole=True), "state": self._state()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Become the account of a snapshot; for one just made with the same listings and costs."""
        self.apply(snapshot)

    def unsaved(self) -> dict[str, Any]:
        """What changed since ``saved`` was called last, as JSON values; empty when nothing did."""
        delta, state = self._book.delta(), self._state()
        return {**delta, "state": state} if delta or state != self._saved_state else {}

    def saved(self) -> None:
        """Take everything there is as journaled."""
        self._book.saved()
        self._saved_state = self._state()

    def apply(self, change: dict[str, Any]) -> None:
        """Take up what ``unsaved`` gave, in the order in which it was given."""
        self._book.apply(change)
        state = change["state"]
        self._ledger.load(state["ledger"])
        self._dual_side = state["dual_side"]
        self._execution.load_shares(state["shares"])
        self._matched_ms = dict(state["matched_ms"])
        self._saved_state = self._state()

    def _state(self) -> dict[str, Any]:
        return {
            "ledger": self._ledger.state(),
            "dual_side": self._dual_side,
            "shares": self._execution.shares_state(),
            "matched_ms": dict(self._matched_ms),
        }

    def _prices(self, now_ms: int) -> PriceNow:
        return partial(_price_at, self._price, now_ms)

    def _margin_ledger(self) -> MarginLedger:
        if not isinstance(self._ledger, MarginLedger):
            raise EngineProtocolError("leverage, margin and position mode are of the perpetuals, not of spot")
        return self._ledger


def _unknown(_symbol: str) -> None:
    """No price is known."""


def _price_at(price: PriceAt, now_ms: int, symbol: str) -> float | None:
    return price(symbol, now_ms)
