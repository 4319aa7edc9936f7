"""OKX's own rows and ways where ccxt's structures do not say enough: swaps in USDT, counted in contracts.

Sources: OKX's API guide v5 (trade, algo trading, account, error codes), and what ccxt does with it.

- Orders are only acknowledged (``ordId``, ``sCode``): what became of one is told by the stream and by a look-up. A cancel
  is acknowledged as well; an order may fill before it is carried out.
- Errors come with HTTP status 200, those of an order in its own row (``sCode``), at times under a ``code`` of 0.
- A conditional order is the algo service's: ``live`` until its price is reached, then ``effective``: a market order was
  made with a number of its own. That order has no client id, but tells the conditional one's (``algoClOrdId``). Where it
  could not be made the state is ``order_failed``. ccxt reads ``effective`` as filled, and takes for the number of an order
  that of the conditional order that it came of: neither is so.
- Fees are negative where they are paid.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bot.brokers.venue_rows import ConditionalRow, UserRows
from bot.core.market import DAY_MS
from bot.core.venue import VenueStatus
from bot.errors import ConfigError, DataError
from bot.exchange_client import Exchange

LATE_MS = 5_000
"""An order that the exchange gets later than this after it was signed is not to be carried out (``expTime``).

Without it OKX takes a request for thirty seconds, longer than an order of unknown fate is looked for."""

PAGE = 100
"""Rows of one request."""

FILLS_MS = 3 * DAY_MS
"""How far back ``trade/fills`` reaches..."""
BILLS_MS = 7 * DAY_MS
"""...and ``account/bills``; older rows are in their archives."""
_MARGIN_MS = 3_600_000

_CANCELED_BY_USER, _POST_ONLY_TOOK = "1", "31"

_CONDITIONAL_STATUS: Final = {
    "live": VenueStatus.OPEN,
    "pause": VenueStatus.OPEN,
    "effective": VenueStatus.OPEN,
    "partially_effective": VenueStatus.OPEN,
    "canceled": VenueStatus.CANCELED,
    "order_failed": VenueStatus.REJECTED,
    "partially_failed": VenueStatus.REJECTED,
}
_CHANNELS: Final = frozenset({"orders", "orders-algo"})
_ONE_ORDER: Final = frozenset({"trade/order", "trade/order-algo"})


class AlgoNames:
    """Which client id a conditional order has, by its number; the oldest are forgotten."""

    def __init__(self, most: int = 5_000) -> None:
        self._most = most
        self._names: dict[str, str] = {}

    def learn(self, algo_id: str, client_order_id: str) -> None:
        """Take note of a conditional order."""
        if algo_id and client_order_id:
            self._names[algo_id] = client_order_id
            while len(self._names) > self._most:
                del self._names[next(iter(self._names))]

    def of(self, algo_id: str) -> str:
        """Its client id; "" where it is not known."""
        return self._names.get(algo_id, "")


def prepare(exchange: Exchange, now_ms: Callable[[], int]) -> None:
    """Have this instance read orders as they are, and sign by the exchange's time.

    Args:
        exchange: The ccxt instance; some of its methods are wrapped on the instance.
        now_ms: Exchange time.
    """
    parse_order, parse_trade, sign = exchange.parse_order, exchange.parse_trade, exchange.sign
    names = AlgoNames()

    def order(info: Any, market: Any = None) -> dict[str, Any]:
        return corrected_order(parse_order(info, market), names)

    def trade(info: Any, market: Any = None) -> dict[str, Any]:
        row: dict[str, Any] = parse_trade(info, market)
        told = info.get("fillTime")  # the time that the stream tells of it; `ts` is when the row was made
        return {**row, "timestamp": int(told)} if told else row

    def signed(*what: Any, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = sign(*what, **more)
        if made["method"] == "POST" and str(made["url"]).endswith("/trade/order"):
            made["headers"] = {**made["headers"], "expTime": str(now_ms() + LATE_MS)}
        return made

    exchange.parse_order, exchange.parse_trade, exchange.sign = order, trade, signed
    exchange.seconds = lambda: now_ms() // 1000  # a stream's login is signed by it
    # Signed, of no use here, and asked for before the clock is set.
    exchange.has = {**exchange.has, "fetchCurrencies": False}


def checked_reply(exchange: Exchange, path: str, method: str, reply: Any) -> None:
    """Raise what a reply says went wrong, row by row; DataError where it is not of OKX's form."""
    rows = reply.get("data") if isinstance(reply, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{method} {path} was not answered with rows")
    text = f"{exchange.id} {exchange.json(reply)}"
    for row in rows:
        code = row.get("sCode")
        if code not in {None, "", "0"}:
            exchange.throw_exactly_matched_exception(exchange.exceptions["exact"], code, text)
            raise importlib.import_module("ccxt").ExchangeError(text)
    if method == "GET" and path in _ONE_ORDER and not rows:
        raise importlib.import_module("ccxt").OrderNotFound(text)


async def check_account(exchange: Exchange) -> None:
    """Refuse an account that cannot trade swaps, or holds long and short apart; raises ConfigError."""
    row = (await exchange.privateGetAccountConfig())["data"][0]
    if row["acctLv"] == "1":
        raise ConfigError("the account is in spot mode: switch it to futures mode at the exchange")
    if row["posMode"] != "net_mode":
        raise ConfigError(
            "the account holds long and short apart (long/short mode): switch it to net mode at the exchange"
        )


# --- orders -----------------------------------------------------------------------------------------------------


def is_algo(info: Mapping[str, Any]) -> bool:
    """Whether a row is of a conditional order; one of an order that came of it has its number as well."""
    return bool(info.get("algoId")) and "accFillSz" not in info


def corrected_order(row: Mapping[str, Any], names: AlgoNames) -> dict[str, Any]:
    """The structure of ccxt with the order's own number, the client id that it goes by, and how it ended.

    An order that came of a conditional one goes by that one's client id, and one that has none by its number.
    """
    info = row["info"]
    if is_algo(info):
        number, client_id = str(info["algoId"]), str(info.get("algoClOrdId") or "")
        names.learn(number, client_id)
        return {**row, "id": number, "clientOrderId": client_id or number, "status": row["status"] or "open"}
    number = info.get("ordId")
    parent = info.get("algoClOrdId") or names.of(str(info.get("algoId") or ""))
    corrected = {**row, "id": number, "clientOrderId": parent or info.get("clOrdId") or number}
    if "accFillSz" not in info:  # only an acknowledgement
        return {**corrected, "status": "open", "filled": 0.0}
    return {**corrected, "status": _status(row["status"], info)}


def _status(read: str | None, info: Mapping[str, Any]) -> str | None:
    """The status of ccxt, but ``expired`` of an order that the exchange itself canceled as its type has it."""
    source = str(info.get("cancelSource") or "")
    if read != "canceled" or source in {"", _CANCELED_BY_USER}:
        return read
    rests = info.get("ordType") in {"limit", "post_only"}
    return read if rests and source != _POST_ONLY_TOOK else "expired"


def conditional_row(info: Mapping[str, Any]) -> ConditionalRow | None:
    """Read a conditional order as REST or the stream tells it; None of any other order; raises DataError."""
    if not is_algo(info):
        return None
    state = info.get("state") or "live"  # an acknowledgement tells none
    if state not in _CONDITIONAL_STATUS:
        raise DataError(f"a conditional order has the unknown state {state!r}")
    orders = [str(number) for number in info.get("ordIdList") or [] if number]
    if len(orders) > 1:
        raise DataError("a conditional order was split into several orders, which is not followed here")
    status = _CONDITIONAL_STATUS[state]
    failed = info.get("failCode") or info.get("failReason")
    at_ms = info.get("uTime")
    return ConditionalRow(
        client_order_id=str(info.get("algoClOrdId") or info["algoId"]),
        algo_id=str(info["algoId"]),
        market_id=str(info.get("instId") or ""),
        status=status,
        order_id=orders[0] if orders else str(info.get("ordId") or ""),
        quantity=float(info.get("sz") or 0.0),
        at_ms=int(at_ms) if at_ms else None,
        reason=f"code {failed}" if failed and status is VenueStatus.REJECTED else "",
    )


# --- the user stream ----------------------------------------------------------------------------------------------


def read_user_messages(exchange: Exchange, message: Mapping[str, Any]) -> list[UserRows]:
    """Read a push of the channels ``orders`` and ``orders-algo``, order by order; raises what parsers raise."""
    if message["arg"]["channel"] == "orders-algo":
        return [_algo_rows(exchange, info) for info in message["data"]]
    found = []
    for info in message["data"]:
        order = exchange.parse_order(info)
        executed = info.get("tradeId") and float(info["fillSz"]) > 0
        trades = [_execution(exchange, order, info)] if executed else []
        found.append(UserRows(trades, [order], client_order_id=str(order["clientOrderId"])))
    return found


def _algo_rows(exchange: Exchange, info: Mapping[str, Any]) -> UserRows:
    exchange.parse_order(info)  # learns its client id
    row = conditional_row(info)
    if row is None:
        raise DataError("a conditional order has no number")
    return UserRows(conditional=row)


def _execution(exchange: Exchange, order: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """The execution that a push is about, as a trade structure; the whole order's fee where it is the only one."""
    fee, currency = info.get("fillFee"), info.get("fillFeeCcy")
    if fee in {None, ""}:
        if Decimal(info["accFillSz"]) != Decimal(info["fillSz"]):
            raise DataError("the fee of an execution is not told")
        fee, currency = info["fee"], info["feeCcy"]
    return {
        "info": info,
        "id": str(info["tradeId"]),
        "timestamp": int(info["fillTime"]),
        "symbol": order["symbol"],
        "order": order["id"],
        "side": info["side"],
        "price": float(info["fillPx"]),
        "amount": float(info["fillSz"]),
        "fee": {"cost": 0.0 - float(fee or 0.0), "currency": exchange.safe_currency_code(currency or None)},
    }


def is_subscribed(message: Any) -> bool:
    """Whether a message confirms a subscription to orders."""
    if not isinstance(message, Mapping) or message.get("event") != "subscribe":
        return False
    return (message.get("arg") or {}).get("channel") in _CHANNELS


def stream_ending(message: Any) -> str:
    """Why a message means that no more will come; "" for any other message."""
    event = message.get("event") if isinstance(message, Mapping) else None
    if event == "notice":
        return "the exchange is shutting the line down"
    return "the account has too many lines" if event == "channel-conn-count-error" else ""


# --- money, positions, histories ----------------------------------------------------------------------------------


def swap_wallet(balance: Mapping[str, Any], currency: str) -> float:
    """What is owned without unrealised profit: cash, and what isolated positions were given of it."""
    for coin in balance["info"]["data"][0]["details"]:
        if coin["ccy"] == currency:
            return float(
                _decimal(coin["cashBal"]) + _decimal(coin.get("isoEq")) - _decimal(coin.get("isoUpl"))
            )
    return 0.0


def swap_position(row: Mapping[str, Any]) -> tuple[str, float, float]:
    """A position as market, signed contracts and average entry price; raises DataError for a hedged account's."""
    held = float(row["pos"])
    if held and row["posSide"] != "net":
        raise DataError("the account holds long and short apart (long/short mode): switch it to net mode")
    return str(row["instId"]), held, float(row["avgPx"] or 0.0)


async def trades_since(exchange: Exchange, symbol: str, since_ms: int, now_ms: int) -> list[Any]:
    """Trade structures of a symbol at or after a time."""
    market = exchange.market(symbol)
    recent = since_ms > now_ms - FILLS_MS + _MARGIN_MS
    ask = exchange.privateGetTradeFills if recent else exchange.privateGetTradeFillsHistory
    rows = await _all(ask, {"instType": "SWAP", "instId": market["id"], "begin": max(since_ms - 1, 0)})
    trades = [exchange.parse_trade(row, market) for row in rows]
    return [trade for trade in trades if (trade["timestamp"] or since_ms) >= since_ms]


async def fundings_since(exchange: Exchange, since_ms: int, now_ms: int) -> list[Any]:
    """Payments of funding at or after a time, as ccxt's structures have them.

    Of an isolated position they are taken from its own balance (``posBalChg``), else from the account's (``balChg``).
    """
    recent = since_ms > now_ms - BILLS_MS + _MARGIN_MS
    ask = exchange.privateGetAccountBills if recent else exchange.privateGetAccountBillsArchive
    rows = await _all(ask, {"instType": "SWAP", "type": "8", "begin": max(since_ms - 1, 0)})
    return [
        {
            "info": row,
            "id": str(row.get("billId") or ""),
            "symbol": exchange.safe_market(row["instId"], None, None, "swap")["symbol"],
            "code": exchange.safe_currency_code(row["ccy"]),
            "timestamp": int(row["ts"]),
            "amount": float(_decimal(row["balChg"]) or _decimal(row["posBalChg"])),
        }
        for row in rows
    ]


async def _all(ask: Callable[[dict[str, Any]], Awaitable[Any]], request: Mapping[str, Any]) -> list[Any]:
    """Every row that fits, newest first as they come; pages are bounded by numbers of bills."""
    found: list[Any] = []
    page = {**request, "limit": PAGE}
    while True:
        rows = (await ask(dict(page)))["data"]
        found += rows
        if len(rows) < PAGE:
            return found
        last = rows[-1].get("billId")
        if not last or last == page.get("after"):
            raise DataError("a page of a history does not tell where the next one begins")
        page["after"] = last


def _decimal(text: str | None) -> Decimal:
    """A number as it is written; nothing is 0; raises DataError for what is none."""
    try:
        return Decimal(text or "0")
    except InvalidOperation as error:
        raise DataError(f"{text!r} is no number") from error
