"""OKX's bills: what moved the wallets, executions and payments of funding."""

from __future__ import annotations

from typing import Any

from bot.simexchange.account import SimAccount
from bot.simexchange.bars import number
from bot.simexchange.okx_listing import Swaps, contracts, inst_id
from bot.simexchange.okx_messages import Row, bill_of_trade, liquidity, margin_mode
from bot.simexchange.okx_routes import Given, OkxRoute, OkxRoutes, Rows, text, whole
from bot.simexchange.okx_rows import ALL
from bot.simexchange.okx_trading import newest
from bot.simexchange.orders import Income, Refusal, SimTrade
from bot.simexchange.signing import Security

FIRST_FUNDING_BILL = 1_000_000_000_000
_TRADE, _FUNDING = "2", "8"
"""Types of bills."""


class OkxBills:
    """Tells a client what its wallet paid and got."""

    def __init__(self, account: SimAccount, swaps: Swaps) -> None:
        self._account = account
        self._swaps = swaps

    def routes(self) -> OkxRoutes:
        """What it serves."""
        bills = OkxRoute(self._bills, Security.READ, per_stretch=10)
        return {("GET", "/api/v5/account/bills"): bills, ("GET", "/api/v5/account/bills-archive"): bills}

    def _bills(self, given: Given) -> Rows:
        """What moved the wallets, newest first: executions, and payments of funding."""
        wanted = text(given, "type")
        rows: list[Row] = []
        if wanted in {"", _FUNDING}:
            rows += map(self._funding_bill, self._account.income(kind="FUNDING_FEE", limit=ALL))
        if wanted in {"", _TRADE}:
            rows += map(self._trade_bill, self._account.trades(None, limit=ALL))
        since, until = whole(given, "begin"), whole(given, "end")
        kept = [
            row
            for row in sorted(rows, key=lambda row: int(row["ts"]))
            if _asked_for(row, given)
            and (since is None or int(row["ts"]) >= since)
            and (until is None or int(row["ts"]) <= until)
        ]
        # a page is bounded by bills, and those of the two kinds are not numbered in one series: by their places then
        return newest(kept, range(len(kept)), {"limit": given.get("limit"), **_bounds(kept, given)})

    def _bill(self, symbol: str, at_ms: int, change: float, bill_id: str, **more: str) -> Row:
        listing = self._swaps[symbol]
        held = next(one for one in self._account.positions() if one.symbol == symbol)
        empty = dict.fromkeys(
            ("clOrdId", "earnAmt", "earnApr", "execType", "from", "interest", "notes", "tag", "to"), ""
        )
        fixed = {"bal": "", "posBal": "0", "posBalChg": "0", "instType": "SWAP", "ordId": "", "fee": "0"}
        told = {"balChg": number(change), "billId": bill_id, "ccy": listing.quote, "ts": str(at_ms)}
        return {**empty, **fixed, **told, "instId": inst_id(listing), "mgnMode": margin_mode(held), **more}

    def _funding_bill(self, line: Income) -> Row:
        number_ = str(FIRST_FUNDING_BILL + line.income_id)
        kind = {"type": _FUNDING, "subType": "174" if line.amount > 0 else "173"}
        more = {**kind, "pnl": number(line.amount), "px": "", "sz": "", "fillTime": "", "tradeId": ""}
        return self._bill(line.symbol, line.at_ms, line.amount, number_, **more)

    def _trade_bill(self, trade: SimTrade) -> Row:
        size = contracts(self._swaps[trade.symbol], trade.quantity)
        more = {
            "execType": liquidity(trade),
            "fee": number(-trade.fee),
            "fillTime": str(trade.at_ms),
            "ordId": str(trade.order_id),
            "pnl": number(trade.realized),
            "px": number(trade.price),
            "subType": "1" if trade.side == "BUY" else "2",
            "sz": size,
            "tradeId": str(trade.trade_id),
            "type": _TRADE,
        }
        change = trade.realized - trade.fee
        return self._bill(trade.symbol, trade.at_ms, change, bill_of_trade(trade), **more)


def _asked_for(row: Row, given: Given) -> bool:
    pairs = (
        ("instType", "instType"),
        ("ccy", "ccy"),
        ("mgnMode", "mgnMode"),
        ("instId", "instId"),
        ("subType", "subType"),
    )
    linear = text(given, "ctType") in {"", "linear"}
    return linear and all(text(given, name) in {"", row[field]} for name, field in pairs)


def _bounds(rows: list[Row], given: Given) -> dict[str, Any]:
    """``after`` and ``before`` as places; raises Refusal for a bill that is not there."""
    places = {row["billId"]: place for place, row in enumerate(rows)}
    bounds: dict[str, Any] = {}
    for name in ("after", "before"):
        bill = text(given, name)
        if bill and bill not in places:
            raise Refusal(51000, f"Parameter {name} error", 200)
        if bill:
            bounds[name] = places[bill]
    return bounds
