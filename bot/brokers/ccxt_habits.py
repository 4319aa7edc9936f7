"""How exchanges differ where ccxt does not level it: names, endpoints and codes, a table for each venue.

The codes are those of the exchanges' own documentation of errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.brokers import ccxt_okx as okx
from bot.brokers.ccxt_binance import (
    conditional_row,
    futures_position,
    futures_wallet,
    read_user_messages,
    spot_wallet,
    stream_ending,
)
from bot.brokers.venue_rows import ConditionalRow, UserRows
from bot.core.market import DAY_MS, InstrumentKind
from bot.errors import ConfigError
from bot.exchange_client import Exchange


@dataclass(frozen=True, slots=True)
class ListenKey:
    """A user stream whose address is a key that must be renewed.

    Attributes:
        bucket: Where ccxt keeps it in its ``options``.
        renew: ccxt's implicit method that prolongs it.
    """

    bucket: str
    renew: str


@dataclass(frozen=True, slots=True)
class FeeSwitch:
    """A setting of the account by which fees are paid in a coin that is neither quote nor base.

    Attributes:
        method: ccxt's implicit method that tells it.
        field: True in its answer where the setting is on.
        coin: What fees are paid in then.
    """

    method: str
    field: str
    coin: str


@dataclass(frozen=True, slots=True)
class VenueHabits:
    """What a gateway must know of an exchange beyond ccxt's unified methods.

    Attributes:
        kind: What is traded there.
        order_types: Types that a market must take, by the exchange's names.
        options: Set in ccxt's ``options``.
        conditional: Parameters by which conditional orders are asked for; empty where they are orders as others.
        client_id: ccxt's parameter for a client id, where placed, canceled and looked up.
        stop_price: ccxt's parameter for the trigger of a stop...
        target_price: ...and of a take-profit.
        reduce_only: Whether orders can be marked so.
        pair_method: ccxt's implicit method that places a stop and a target of which one cancels the other; None where
            the exchange has none that we use.
        duplicate_codes: The client id is known already: some order of it may be there.
        unknown_codes: There is no such order.
        triggers_codes: The trigger price of a conditional order is reached already; it was not taken.
        crosses_codes: A post-only order would have traded at once; it was not taken.
        clock_codes: The timestamp is off; the request was not carried out.
        uncertain_codes: The exchange itself does not know what became of the request.
        refuses: Whether a code that ccxt has no class for is a definite refusal.
        page: Rows of one request for trades or payments, and...
        trades_window_ms: ...the longest stretch that one may span.
        funding: Whether there are funding payments.
        fee_switch: Refused at the start where it is on.
        listen_key: None where the stream is signed for.
        stream_handler: The method of ccxt that is called with each message about an order.
        read_messages: What such a message says, order by order.
        stream_ending: Why a message means that no more will come; "" for any other message.
        conditional_row: A conditional order as the exchange tells it; None of any other order.
        wallet: What is owned of a currency, from ccxt's balance structure.
        positions_method: ccxt's implicit method that lists what is held; None on spot.
        position: A row of that as market, signed contracts and average entry price.
        since: The exchange's parameter for the beginning of a history. It goes past ccxt's own, which would leave out
            rows without a time instead of telling of them.
        list_paths: Paths that are answered with rows.
        open_lists: Parameters of each list of open orders.
        most_open: A list of so many rows may not be all; 0 where lists have no end.
        conditional_id: The exchange's parameter for a conditional order's client id, where ccxt has none.
        margin_mode: ccxt's parameter for the margin mode, where each order tells it.
        positions_asked: Parameters of ``positions_method``.
        cancel_tells: Whether the answer to a cancel says how the order ended; else it is looked up.
        sets_clock_often: Whether our time is compared with each reading of the state, as no refusal tells of a small error.
        prepare: Wraps methods of a new ccxt instance; is given the exchange's time.
        checked_reply: Raises what is wrong with a reply whose HTTP status does not tell; replies have rows as ``data``.
        check_account: Refuses an account that is set so that it cannot be traded on.
        trades_since: Reads trades of a symbol from a time until now, where ccxt's own way would miss some.
        fundings_since: The same of payments of funding.
        accesses: Lines of the user stream that are logged in one by one; none where one is enough.
        channels: Parameters of ccxt's ``watch_orders``, one for each subscription.
        is_subscribed: Whether a message confirms a subscription; None where the line itself is enough.
    """

    kind: InstrumentKind
    order_types: frozenset[str]
    options: Mapping[str, Any]
    conditional: Mapping[str, Any]
    pair_method: str | None
    trades_window_ms: int
    funding: bool
    fee_switch: FeeSwitch | None
    listen_key: ListenKey | None
    wallet: Callable[[Mapping[str, Any], str], float]
    reduce_only: bool
    positions_method: str | None = None
    position: Callable[[Mapping[str, Any]], tuple[str, float, float]] = futures_position
    since: str = "startTime"
    list_paths: frozenset[str] = frozenset(
        {"openOrders", "openAlgoOrders", "userTrades", "myTrades", "income", "positionRisk"}
    )
    client_id: str = "clientOrderId"
    stop_price: str = "stopLossPrice"
    target_price: str = "takeProfitPrice"
    duplicate_codes: frozenset[str] = frozenset({"-4111", "-4115", "-4116"})
    unknown_codes: frozenset[str] = frozenset({"-2011", "-2013"})
    triggers_codes: frozenset[str] = frozenset({"-2021", "order_immediately_fillable"})
    crosses_codes: frozenset[str] = frozenset({"-5022", "order_immediately_fillable", "order_not_fillable"})
    clock_codes: frozenset[str] = frozenset({"-1021", "-5028"})
    uncertain_codes: frozenset[str] = frozenset({"-1000", "-1001", "-1006", "-1007", "-1008", "-1016"})
    refuses: Callable[[str], bool] = field(default=lambda code: int(code) <= -1100)
    page: int = 1000
    stream_handler: str = "handle_order_update"
    read_messages: Callable[[Exchange, Mapping[str, Any]], list[UserRows]] = read_user_messages
    stream_ending: Callable[[Any], str] = stream_ending
    conditional_row: Callable[[Mapping[str, Any]], ConditionalRow | None] = conditional_row
    open_lists: tuple[Mapping[str, Any], ...] = ({},)
    most_open: int = 0
    conditional_id: str | None = None
    margin_mode: str | None = None
    positions_asked: Mapping[str, Any] = field(default_factory=dict)
    cancel_tells: bool = True
    sets_clock_often: bool = False
    prepare: Callable[[Exchange, Callable[[], int]], None] | None = None
    checked_reply: Callable[[Exchange, str, str, Any], None] | None = None
    check_account: Callable[[Exchange], Awaitable[None]] | None = None
    trades_since: Callable[[Exchange, str, int, int], Awaitable[list[Any]]] | None = None
    fundings_since: Callable[[Exchange, int, int], Awaitable[list[Any]]] | None = None
    accesses: tuple[str, ...] = ()
    channels: tuple[Mapping[str, Any], ...] = ({},)
    is_subscribed: Callable[[Any], bool] | None = None


_COMMON_OPTIONS: Final[Mapping[str, Any]] = {
    "maxRetriesOnFailure": 0,  # nothing that trades is ever sent twice behind our back
    "recvWindow": 5_000,  # how old a request may be when the exchange takes it: then it is surely not executed any more
    "fetchCurrencies": False,  # a signed request of the wallet's API that nothing here needs
    "fetchMargins": False,
    "warnOnFetchOpenOrdersWithoutSymbol": False,  # all open orders of the account are wanted
}

_SWAPS: Final[Mapping[str, Any]] = {"instType": "SWAP"}

HABITS: Final[Mapping[str, VenueHabits]] = {
    "binanceusdm": VenueHabits(
        kind=InstrumentKind.PERPETUAL,
        order_types=frozenset({"MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET"}),
        options={**_COMMON_OPTIONS, "fetchMarkets": {"types": ["linear"]}},
        conditional={"trigger": True},
        open_lists=({}, {"trigger": True}),
        pair_method=None,
        trades_window_ms=7 * DAY_MS,
        funding=True,
        fee_switch=FeeSwitch("fapiPrivateGetFeeBurn", "feeBurn", "BNB"),
        listen_key=ListenKey("linear", "fapiPrivatePutListenKey"),
        wallet=futures_wallet,
        reduce_only=True,
        positions_method="fapiPrivateV3GetPositionRisk",
    ),
    "binance": VenueHabits(
        kind=InstrumentKind.SPOT,
        order_types=frozenset({"MARKET", "LIMIT_MAKER"}),
        options={**_COMMON_OPTIONS, "defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        conditional={},
        pair_method="privatePostOrderListOco",
        trades_window_ms=DAY_MS,
        funding=False,
        fee_switch=FeeSwitch("sapiGetBnbBurn", "spotBNBBurn", "BNB"),
        listen_key=None,
        wallet=spot_wallet,
        reduce_only=False,
    ),
    "okx": VenueHabits(
        kind=InstrumentKind.PERPETUAL,
        order_types=frozenset(),  # markets do not tell
        options={
            **_COMMON_OPTIONS,
            "defaultType": "swap",
            "fetchMarkets": {"types": ["swap"]},
            "createOrder": "privatePostTradeOrder",
            "watchOrders": {"type": "swap"},
        },
        conditional={"trigger": True},
        open_lists=(
            _SWAPS,
            {"trigger": True, "ordType": "conditional,oco", **_SWAPS},
            {"trigger": True, "ordType": "trigger", **_SWAPS},
            {"trailing": True, **_SWAPS},
        ),
        most_open=okx.PAGE,
        conditional_id="algoClOrdId",
        margin_mode="marginMode",
        pair_method=None,
        trades_window_ms=DAY_MS,
        page=okx.PAGE,
        funding=True,
        fee_switch=None,
        listen_key=None,
        wallet=okx.swap_wallet,
        reduce_only=True,
        positions_method="privateGetAccountPositions",
        positions_asked=_SWAPS,
        position=okx.swap_position,
        list_paths=frozenset(),
        duplicate_codes=frozenset({"51016", "51065"}),
        unknown_codes=frozenset({"51603"}),
        triggers_codes=frozenset({"51277", "51278", "51279", "51280"}),
        crosses_codes=frozenset(),  # such an order is taken, and canceled at once
        clock_codes=frozenset({"50102", "60006"}),
        uncertain_codes=frozenset({"50001", "50004", "50005", "50011", "50013", "50026", "50061", "51149"}),
        refuses=lambda code: 50_000 <= int(code) < 60_000,
        stream_handler="handle_orders",
        read_messages=okx.read_user_messages,
        stream_ending=okx.stream_ending,
        conditional_row=okx.conditional_row,
        cancel_tells=False,
        sets_clock_often=True,
        prepare=okx.prepare,
        checked_reply=okx.checked_reply,
        check_account=okx.check_account,
        trades_since=okx.trades_since,
        fundings_since=okx.fundings_since,
        accesses=("private", "business"),
        channels=({}, {"trigger": True}),
        is_subscribed=okx.is_subscribed,
    ),
}


def habits_of(exchange_id: str) -> VenueHabits:
    """The habits of an exchange by ccxt's name; raises ConfigError for one that is not traded on."""
    try:
        return HABITS[exchange_id]
    except KeyError:
        *first, last = sorted(HABITS)
        known = f"{', '.join(first)} and {last}"
        message = f"exchange.id: {exchange_id!r} cannot be traded on live; {known} can"
        raise ConfigError(message) from None
