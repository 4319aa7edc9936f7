"""OKX's own rows, as it has sent them and as its guide has them."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.brokers.ccxt_gateway import CcxtGateway
from bot.brokers.ccxt_okx import (
    LATE_MS,
    PAGE,
    AlgoNames,
    check_account,
    checked_reply,
    conditional_row,
    fundings_since,
    is_subscribed,
    read_user_messages,
    stream_ending,
    swap_position,
    swap_wallet,
    trades_since,
)
from bot.brokers.ccxt_orders import order_arguments
from bot.brokers.ccxt_outcomes import Meaning, outcome_of
from bot.brokers.ccxt_rows import conditional_seen, funding_seen, order_seen, trade_seen
from bot.core.market import DAY_MS
from bot.core.orders import OrderIntent, OrderType
from bot.core.venue import VenueStatus
from bot.errors import ConfigError, DataError
from tests.offline_exchange import NOW_MS, PERPETUAL, SWAPS, intent, offline_okx, recorded, stop_of, target_of

OKX = offline_okx()


def told(name: str) -> Any:
    """A recorded message."""
    return recorded(name, of="okx")


def order_info(**fields: Any) -> dict[str, Any]:
    """What ``trade/order`` tells of a market order over 1.23 contracts."""
    usual = {
        "accFillSz": "1.23",
        "algoClOrdId": "",
        "algoId": "",
        "avgPx": "100.2",
        "cTime": str(NOW_MS),
        "cancelSource": "",
        "clOrdId": "r0abcdef1e",
        "fee": "-0.006",
        "feeCcy": "USDT",
        "instId": "BTC-USDT-SWAP",
        "instType": "SWAP",
        "ordId": "77",
        "ordType": "market",
        "side": "buy",
        "state": "filled",
        "sz": "1.23",
        "uTime": str(NOW_MS + 5),
    }
    return {**usual, **fields}


def pushed(**fields: Any) -> dict[str, Any]:
    """A push of the channel ``orders`` about one execution."""
    executed = {"fillSz": "0.5", "fillPx": "100.1", "fillTime": str(NOW_MS + 4), "tradeId": "9"}
    paid = {"fillFee": "-0.0025", "fillFeeCcy": "USDT", "state": "partially_filled", "accFillSz": "0.7"}
    row = {**order_info(), **executed, **paid, **fields}
    return {"arg": {"channel": "orders", "instType": "SWAP"}, "data": [row]}


# --- orders out ---------------------------------------------------------------------------------------------------


def request_of(wish: OrderIntent, mode: str = "isolated") -> dict[str, Any]:
    """What ccxt makes of an intent's arguments for the exchange."""
    made: dict[str, Any] = OKX.create_order_request(*order_arguments(OKX, SWAPS, wish, mode).values())
    return made


def test_orders_are_in_contracts_and_say_their_margin_mode() -> None:
    """Base units become contracts, and each order tells margin mode, client id and whether it only reduces."""
    common = {"instId": "BTC-USDT-SWAP", "sz": "0.7", "tdMode": "isolated"}
    entry = {**common, "side": "buy", "clOrdId": "r0abcdef1e"}
    assert request_of(intent(quantity=0.007)) == {**entry, "ordType": "market"}
    assert request_of(intent(quantity=0.007), "cross")["tdMode"] == "cross"
    limit = intent(quantity=0.007, type=OrderType.LIMIT, limit_price=99.5)
    assert request_of(limit) == {**entry, "ordType": "post_only", "px": "99.5"}
    leave = {**common, "side": "sell", "ordType": "conditional", "reduceOnly": True}
    for wish, name in ((stop_of(quantity=0.007), "sl"), (target_of(quantity=0.007), "tp")):
        ids = {"clOrdId": wish.client_order_id, "algoClOrdId": wish.client_order_id}
        level = {
            f"{name}TriggerPx": str(wish.stop_price),
            f"{name}OrdPx": "-1",
            f"{name}TriggerPxType": "last",
        }
        assert request_of(wish) == {**leave, **ids, **level}


def test_an_order_is_signed_with_an_end() -> None:
    """An order that comes late is not to be carried out; nothing else has such an end."""
    order = OKX.sign("trade/order", ["private", "okx"], "POST", {"instId": "BTC-USDT-SWAP", "clOrdId": "x"})
    assert order["headers"]["expTime"] == str(NOW_MS + LATE_MS)
    other = OKX.sign("trade/cancel-order", ["private", "okx"], "POST", {"clOrdId": "x"})
    assert "expTime" not in other["headers"]


# --- errors inside answers ------------------------------------------------------------------------------------------


def refused(code: str, top: str = "0") -> BaseException:
    """What is raised for an order that was refused inside of an answer."""
    reply = {"code": top, "data": [{"ordId": "", "sCode": code, "sMsg": "no"}], "msg": ""}
    with pytest.raises(ccxt.BaseError) as caught:
        checked_reply(OKX, "trade/order", "POST", reply)
    error: BaseException = caught.value
    return error


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("51008", Meaning.REFUSED),
        ("51020", Meaning.REFUSED),
        ("51169", Meaning.REFUSED),
        ("54999", Meaning.REFUSED),
        ("51016", Meaning.DUPLICATE),
        ("51065", Meaning.DUPLICATE),
        ("51603", Meaning.UNKNOWN_ORDER),
        ("51410", Meaning.UNCERTAIN),
        ("51149", Meaning.UNCERTAIN),
        ("50004", Meaning.UNCERTAIN),
        ("50011", Meaning.UNCERTAIN),
        ("50013", Meaning.UNCERTAIN),
        ("50026", Meaning.UNCERTAIN),
        ("50061", Meaning.UNCERTAIN),
        ("50102", Meaning.CLOCK),
    ],
)
@pytest.mark.parametrize("top", ["0", "2"])
def test_an_error_inside_an_answer_is_an_error(code: str, top: str, meaning: Meaning) -> None:
    """Under a code that says all is well too, an order's own code counts, and means what it means for the order."""
    outcome = outcome_of(refused(code, top), SWAPS)
    assert (outcome.meaning, outcome.code) == (meaning, code)


def test_the_code_of_the_order_counts_where_all_failed() -> None:
    """Code 1 alone says nothing for sure; with the order's own beside it, that one counts."""
    text = 'okx {"code":"1","data":[{"clOrdId":"x","sCode":"51020","sMsg":"too little"}],"msg":"All operations failed"}'
    assert outcome_of(ccxt.InvalidOrder(text), SWAPS).code == "51020"
    bare = outcome_of(ccxt.ExchangeError('okx {"code":"1","data":[],"msg":"Operation failed."}'), SWAPS)
    assert bare.meaning is Meaning.UNCERTAIN


def test_recorded_answers_are_taken_or_refused() -> None:
    """A rejected conditional order under code 0 is refused; an accepted one and a cancel pass."""
    with pytest.raises(ccxt.BadRequest, match="51000"):
        checked_reply(OKX, "trade/order-algo", "POST", told("http_place_algo_order_rejected.json"))
    for name in ("http_place_algo_order_response.json", "http_cancel_algo_order_response.json"):
        checked_reply(OKX, "trade/order-algo", "POST", told(name))


def test_what_is_no_answer_is_refused() -> None:
    """Rows of nothing, no rows and no structure are no answer; and no row of one order means that there is none."""
    replies: tuple[Any, ...] = ({"code": "0", "data": [None]}, {"code": "0"}, [], {"data": {}})
    for reply in replies:
        with pytest.raises(DataError):
            checked_reply(OKX, "account/positions", "GET", reply)
    empty: dict[str, Any] = {"code": "0", "data": [], "msg": ""}
    checked_reply(OKX, "account/positions", "GET", empty)
    with pytest.raises(ccxt.OrderNotFound):
        checked_reply(OKX, "trade/order-algo", "GET", empty)


# --- orders in --------------------------------------------------------------------------------------------------------


def test_an_order_is_read_in_base_units() -> None:
    """Contracts become base units, exact."""
    seen = order_seen(OKX, OKX.parse_order(order_info()), "r0abcdef1e", NOW_MS)
    assert (seen.exchange_id, seen.status, seen.at_ms) == ("77", VenueStatus.FILLED, NOW_MS + 5)
    assert (seen.filled_quantity, seen.quantity) == (0.0123, 0.0123)


@pytest.mark.parametrize(
    ("kind", "source", "status"),
    [
        ("market", "1", VenueStatus.CANCELED),
        ("market", "", VenueStatus.CANCELED),
        ("market", "0", VenueStatus.EXPIRED),
        ("post_only", "31", VenueStatus.EXPIRED),
        ("post_only", "0", VenueStatus.CANCELED),
        ("post_only", "1", VenueStatus.CANCELED),
    ],
)
def test_who_canceled_an_order_counts(kind: str, source: str, status: VenueStatus) -> None:
    """What the exchange ends by an order's type has expired; what somebody canceled is canceled."""
    info = order_info(ordType=kind, cancelSource=source, state="canceled", cancelSourceReason="why")
    seen = order_seen(OKX, OKX.parse_order(info), "x", NOW_MS)
    assert (seen.status, seen.reason) == (status, "why" if status is VenueStatus.EXPIRED else "")


def test_an_acknowledgement_is_an_open_order() -> None:
    """Of an order that was only taken nothing has filled yet; a conditional one goes by its own client id."""
    market = OKX.market(PERPETUAL)
    row = OKX.parse_order({"ordId": "77", "clOrdId": "mine", "sCode": "0", "ts": "1"}, market)
    seen = order_seen(OKX, row, "mine", NOW_MS)
    assert (row["clientOrderId"], seen.status, seen.filled_quantity) == ("mine", VenueStatus.OPEN, 0.0)
    info = told("http_place_algo_order_response.json")["data"][0]
    assert OKX.parse_order(info, market)["clientOrderId"] == "test_algo_1"
    conditional = conditional_row(info)
    assert conditional is not None
    assert (conditional.client_order_id, conditional.status) == ("test_algo_1", VenueStatus.OPEN)


def test_an_order_that_came_of_a_stop_goes_by_the_stop() -> None:
    """It has its own number and the stop's client id, told or learned; one without any goes by its number."""
    came = OKX.parse_order(order_info(clOrdId="", algoId="500", algoClOrdId="mystop"))
    assert (came["id"], came["clientOrderId"]) == ("77", "mystop")
    OKX.parse_order(
        {"algoId": "501", "algoClOrdId": "other", "instId": "BTC-USDT-SWAP", "state": "effective"}
    )
    learned = OKX.parse_order(order_info(clOrdId="", algoId="501"))
    assert (learned["id"], learned["clientOrderId"]) == ("77", "other")
    assert OKX.parse_order(order_info(clOrdId=""))["clientOrderId"] == "77"


@given(st.lists(st.integers(0, 20), max_size=60))
def test_only_so_many_names_are_kept(numbers: list[int]) -> None:
    """What is remembered is right, and never more than may be."""
    names = AlgoNames(most=5)
    for number in numbers:
        names.learn(str(number), f"name{number}")
    known = {number for number in range(21) if names.of(str(number))}
    assert len(known) == min(5, len(set(numbers)))
    assert all(names.of(str(number)) == f"name{number}" for number in known)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("live", VenueStatus.OPEN),
        ("effective", VenueStatus.OPEN),
        ("canceled", VenueStatus.CANCELED),
        ("order_failed", VenueStatus.REJECTED),
    ],
)
def test_a_conditional_order_is_read(state: str, status: VenueStatus) -> None:
    """Triggered is not filled; what could not be made is rejected with the exchange's code."""
    row = conditional_row(
        {"algoId": "5", "algoClOrdId": "mine", "instId": "BTC-USDT-SWAP", "state": state, "sz": "1.1",
         "ordIdList": ["77"], "failCode": "51008", "uTime": "7"}
    )  # fmt: skip
    assert row is not None
    assert (row.status, row.order_id, row.at_ms) == (status, "77", 7)
    assert row.reason == ("code 51008" if status is VenueStatus.REJECTED else "")
    seen = conditional_seen(OKX, row, PERPETUAL, NOW_MS)
    assert seen is not None
    assert seen.quantity == 0.011


def test_what_is_no_conditional_order_is_none() -> None:
    """An order that came of one is not one; a new word, and one that was split up, are refused."""
    assert conditional_row(order_info(algoId="5", algoClOrdId="mine")) is None
    assert conditional_row(order_info()) is None
    with pytest.raises(DataError, match="unknown state 'asleep'"):
        conditional_row({"algoId": "5", "state": "asleep"})
    with pytest.raises(DataError, match="split"):
        conditional_row({"algoId": "5", "state": "effective", "ordIdList": ["1", "2"]})


# --- the stream -------------------------------------------------------------------------------------------------------


def test_a_recorded_execution_is_read() -> None:
    """An execution on the stream has base units and a fee that is positive when it was paid."""
    (rows,) = read_user_messages(OKX, told("ws_orders.json"))
    seen = trade_seen(OKX, rows.trades[0], rows.client_order_id)
    assert (seen.exchange_order_id, seen.fill.trade_id) == (
        "2497956918703120384",
        "BTC-USDT-SWAP-1518905529",
    )
    assert (seen.fill.quantity, seen.fill.price, seen.fill.fee) == (0.0003, 103698.9, 0.021776769)
    assert (seen.fill.filled_at_ms, seen.fill.client_order_id) == (1746947317402, "001BTCUSDT20250106001")


def test_recorded_liquidations_are_executions() -> None:
    """What the exchange trades for us is told as any other execution."""
    for name in ("ws_orders_liquidation.json", "ws_orders_adl.json"):
        rows = [rows for rows in read_user_messages(OKX, told(name)) if rows.trades]
        assert rows
        assert all(trade_seen(OKX, one.trades[0], "").fill.quantity > 0 for one in rows)


def test_a_push_without_an_execution_has_no_trade() -> None:
    """A new or a canceled order is told without a trade; of several executions each tells its own fee."""
    (none,) = read_user_messages(OKX, pushed(fillSz="0", tradeId="", state="live", accFillSz="0"))
    assert not none.trades
    (part,) = read_user_messages(OKX, pushed())
    assert trade_seen(OKX, part.trades[0], "x").fill.fee == 0.0025
    assert trade_seen(OKX, part.trades[0], "x").fill.quantity == 0.005
    with pytest.raises(DataError, match="fee of an execution"):
        read_user_messages(OKX, pushed(fillFee=""))


def test_recorded_conditional_orders_are_read_row_by_row() -> None:
    """Each row of a push is told; a word that the guide does not know ends the line, so that all is read anew."""
    message = told("ws_orders_algo.json")
    known = [row for row in message["data"] if row["state"] in {"live", "canceled"}]
    rows = [one.conditional for one in read_user_messages(OKX, {**message, "data": known})]
    assert [row.client_order_id for row in rows if row] == [row["algoClOrdId"] for row in known]
    with pytest.raises(DataError, match="unknown state"):
        read_user_messages(OKX, message)


def test_confirmations_and_ends_are_known() -> None:
    """A subscription that is confirmed, and a line that is shut down, are told from everything else."""
    assert is_subscribed({"event": "subscribe", "arg": {"channel": "orders-algo", "instType": "SWAP"}})
    others: tuple[Any, ...] = (
        {"event": "subscribe", "arg": {"channel": "tickers"}},
        {"event": "login"},
        "pong",
        [],
    )
    assert not any(is_subscribed(other) for other in others)
    assert stream_ending({"event": "notice", "code": "64008", "msg": "soon closed"})
    assert not any(stream_ending(other) for other in others)


# --- money, positions, histories ----------------------------------------------------------------------------------------


def test_the_wallet_is_without_unrealised_profit() -> None:
    """Of the recorded account: cash and isolated margin, without what the position would gain."""
    balance = {"info": told("http_get_account_balance.json")}
    assert swap_wallet(balance, "USDT") == pytest.approx(94.42612990333333 + 5.468566666666667 + 0.0273)
    assert swap_wallet(balance, "BTC") == 0.0
    with pytest.raises(DataError, match="no number"):
        swap_wallet({"info": {"data": [{"details": [{"ccy": "USDT", "cashBal": "much"}]}]}}, "USDT")


def test_positions_are_signed_contracts() -> None:
    """A net position has a sign; long and short held apart are refused, flat ones are not."""
    row = {"instId": "BTC-USDT-SWAP", "pos": "-12.5", "posSide": "net", "avgPx": "100.5"}
    assert swap_position(row) == ("BTC-USDT-SWAP", -12.5, 100.5)
    assert swap_position({**row, "pos": "0", "posSide": "long", "avgPx": ""}) == ("BTC-USDT-SWAP", 0.0, 0.0)
    with pytest.raises(DataError, match="net mode"):
        swap_position(told("http_get_positions.json")["data"][0])


class Histories:
    """Answers as OKX does: newest first, from a time on, what is older than a bill's number."""

    def __init__(self, times: list[int]) -> None:
        self.rows = [
            {"instId": "BTC-USDT-SWAP", "billId": str(1000 + n), "tradeId": str(n), "ordId": "7", "side": "buy",
             "fillPx": "100", "fillSz": "1.1", "fee": "-0.01", "feeCcy": "USDT", "ts": str(at), "fillTime": str(at),
             "ccy": "USDT", "balChg": "0" if n % 2 else "-0.5", "posBalChg": "0.25" if n % 2 else "0"}
            for n, at in enumerate(sorted(times))
        ]  # fmt: skip
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("privateGet"):
            return getattr(OKX, name)

        async def page(given: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(name)
            after = int(given.get("after", 10**9))
            rows = [
                one for one in self.rows if int(one["ts"]) >= given["begin"] and int(one["billId"]) < after
            ]
            return {"code": "0", "data": rows[::-1][: given["limit"]]}

        return page


@example(times=[n // 3 for n in range(2 * PAGE + 50)], since=10)
@example(times=[5] * (2 * PAGE), since=5)
@given(times=st.lists(st.integers(0, 300), max_size=3 * PAGE), since=st.integers(0, 300))
def test_histories_are_read_whole(times: list[int], since: int) -> None:
    """However the rows lie over pages, each at or after the time is read once."""
    book: Any = Histories(times)
    trades = asyncio.run(trades_since(book, PERPETUAL, since, 400))
    assert sorted(int(row["id"]) for row in trades) == [
        n for n, at in enumerate(sorted(times)) if at >= since
    ]


def test_old_rows_are_in_the_archives() -> None:
    """Recent rows are asked for where they are at once, older ones where they are kept."""
    book: Any = Histories([])
    now = 100 * DAY_MS
    for ago in (1, 4):
        asyncio.run(trades_since(book, PERPETUAL, now - ago * DAY_MS, now))
    for ago in (6, 8):
        asyncio.run(fundings_since(book, now - ago * DAY_MS, now))
    kinds = ["TradeFills", "TradeFillsHistory", "AccountBills", "AccountBillsArchive"]
    assert book.asked == [f"privateGet{kind}" for kind in kinds]


def test_funding_comes_from_the_account_or_the_position() -> None:
    """A payment of an isolated position changes its own balance; either is positive when it was paid."""
    rows = asyncio.run(fundings_since(Histories([5, 6]), 0, 10))
    assert [funding_seen(OKX, row).paid for row in sorted(rows, key=lambda row: row["timestamp"])] == [
        0.5,
        -0.25,
    ]


def test_a_page_that_does_not_go_on_is_refused() -> None:
    """A full page whose rows have no numbers would be read for ever."""
    book: Any = Histories([1] * PAGE)
    book.rows = [{**row, "billId": "5"} for row in book.rows]

    async def same(_: dict[str, Any]) -> dict[str, Any]:
        return {"code": "0", "data": book.rows}

    book.privateGetTradeFills = same
    with pytest.raises(DataError, match="next one begins"):
        asyncio.run(trades_since(book, PERPETUAL, 0, 10))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"acctLv": "1", "posMode": "net_mode"}, "spot mode"),
        ({"acctLv": "2", "posMode": "long_short_mode"}, "net mode"),
    ],
)
def test_an_account_that_is_set_wrong_is_refused(row: dict[str, str], says: str) -> None:
    """Without swaps, or with long and short apart, nothing is traded."""

    class Configured:
        async def privateGetAccountConfig(self) -> Any:  # noqa: N802 - ccxt's name
            return {"data": [row]}

    with pytest.raises(ConfigError, match=says):
        asyncio.run(check_account(Configured()))


def test_a_gateway_of_okx_trades_swaps_only() -> None:
    """Spot of OKX is a wrong setting."""

    async def make() -> None:
        with pytest.raises(ConfigError, match="perpetual"):
            CcxtGateway(OKX, ["BTC/USDT"], clock=None, random=lambda: 0.5)  # type: ignore[arg-type]

    asyncio.run(make())
