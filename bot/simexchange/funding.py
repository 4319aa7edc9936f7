"""Funding payments of the perpetuals: each position pays at its symbol's funding times, once.

The mark price is the open of the bar that begins at the funding time; where none does, the payment waits for the
symbol's next bar, as the paper broker's does. It is dated to the funding time.
"""

from __future__ import annotations

from bot.simexchange.account import SimAccount
from bot.simexchange.market import VisibleMarket


class FundingClerk:
    """Books the funding times that have passed."""

    def __init__(self, market: VisibleMarket, account: SimAccount, since_ms: int) -> None:
        """``since_ms``: where the market starts, or goes on; what was due before was paid."""
        self._market = market
        self._account = account
        self._since_ms = since_ms
        self._seen_ms: dict[str, int] = {}
        self._minute_ms = -1

    def pay(self, minute_ms: int) -> None:
        """A minute begins: pay what is due by then; a second call for the same minute does nothing."""
        if minute_ms <= self._minute_ms:
            return
        self._minute_ms = minute_ms
        for position in self._account.positions():
            if position.quantity == 0:
                self._seen_ms[position.symbol] = minute_ms
            else:
                self._pay(position.symbol, minute_ms)

    def _pay(self, symbol: str, minute_ms: int) -> None:
        seen_ms = self._seen_ms.get(symbol)
        if seen_ms is None:
            seen_ms = max(self._since_ms, self._last_paid(symbol))
        due = self._market.funding_times(symbol, seen_ms + 1, minute_ms)
        bar = self._market.closing(symbol, minute_ms) if due else None
        if bar is not None:
            for at_ms in due:
                rate = float(f"{self._market.funding_rate(symbol, at_ms):.8f}")  # as clients are told it
                self._account.pay_funding(symbol, rate, bar.open, at_ms)
        # a market that goes on from before the last payment has seen more than the minute that begins
        self._seen_ms[symbol] = seen_ms if due and bar is None else max(seen_ms, minute_ms)

    def _last_paid(self, symbol: str) -> int:
        """A crash may come after a payment was stored and before the clock was."""
        lines = self._account.income(symbol=symbol, kind="FUNDING_FEE", limit=1)
        return lines[-1].at_ms if lines else -1
