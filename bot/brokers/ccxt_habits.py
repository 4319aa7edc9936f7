"""How exchanges differ where ccxt does not level it: names, endpoints and codes, a table for each venue.

The codes are those of the exchanges' own documentation of errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bot.brokers.ccxt_binance import (
    ConditionalRow,
    UserRows,
    conditional_row,
    futures_position,
    futures_wallet,
    read_user_message,
    spot_wallet,
    stream_ending,
)
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
        read_message: What such a message says.
        stream_ending: Why a message means that no more will come; "" for any other message.
        conditional_row: A conditional order as the exchange tells it; None of any other order.
        wallet: What is owned of a currency, from ccxt's balance structure.
        positions_method: ccxt's implicit method that lists what is held; None on spot.
        position: A row of that as market, signed contracts and average entry price.
        since: The exchange's parameter for the beginning of a history. It goes past ccxt's own, which would leave out
            rows without a time instead of telling of them.
        list_paths: Paths that are answered with rows.
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
    read_message: Callable[[Exchange, Mapping[str, Any]], UserRows] = read_user_message
    stream_ending: Callable[[Any], str] = stream_ending
    conditional_row: Callable[[Mapping[str, Any]], ConditionalRow | None] = conditional_row


_COMMON_OPTIONS: Final[Mapping[str, Any]] = {
    "maxRetriesOnFailure": 0,  # nothing that trades is ever sent twice behind our back
    "recvWindow": 5_000,  # how old a request may be when the exchange takes it: then it is surely not executed any more
    "fetchCurrencies": False,  # a signed request of the wallet's API that nothing here needs
    "fetchMargins": False,
    "warnOnFetchOpenOrdersWithoutSymbol": False,  # all open orders of the account are wanted
}

HABITS: Final[Mapping[str, VenueHabits]] = {
    "binanceusdm": VenueHabits(
        kind=InstrumentKind.PERPETUAL,
        order_types=frozenset({"MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET"}),
        options={**_COMMON_OPTIONS, "fetchMarkets": {"types": ["linear"]}},
        conditional={"trigger": True},
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
}


def habits_of(exchange_id: str) -> VenueHabits:
    """The habits of an exchange by ccxt's name; raises ConfigError for one that is not traded on."""
    try:
        return HABITS[exchange_id]
    except KeyError:
        known = " and ".join(sorted(HABITS))
        message = f"exchange.id: {exchange_id!r} cannot be traded on live; {known} can"
        raise ConfigError(message) from None
