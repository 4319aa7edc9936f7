"""Commands over real sockets to a venue that misbehaves as it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.brokers.ccxt_orders import WOULD_TRIGGER
from bot.brokers.gateway_timing import GatewayTiming
from bot.clock import FixedClock
from bot.core.entry import WOULD_CROSS
from bot.core.orders import OrderIntent, OrderType
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    CommandFailed,
    LookUpOrder,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    TradeSeen,
    VenueCommand,
    VenueEvent,
    VenueState,
    VenueStatus,
)
from bot.errors import ConfigError, TransientError
from bot.exchange_client import make_exchange
from bot.simexchange.config import Market
from tests.offline_exchange import (
    PERPETUAL,
    SPOT,
    algo_reply,
    intent,
    order_reply,
    stop_of,
    target_of,
    trade_reply,
)
from tests.scripted_venue import (
    KEY,
    NOW_MS,
    SECRET,
    Bench,
    ScriptedVenue,
    bench,
    page,
    refusal,
    reset,
    silence,
)

ORDER, ALGO, TRADES = "/fapi/v1/order", "/fapi/v1/algoOrder", "/fapi/v1/userTrades"

UNSURE: dict[str, Any] = {
    "reset": reset,
    "silence": silence,
    "503": lambda: refusal(-1007, "Send status unknown; execution status unknown.", 503),
    "503 page": lambda: page(503),
    "502 empty": lambda: web.Response(status=502),
    "429": lambda: web.json_response({"code": -1003, "msg": "Too many requests."}, status=429),
    "418": lambda: web.json_response({"code": -1003, "msg": "Banned until 1."}, status=418),
    "200 page": lambda: page(200),
    "200 nothing": lambda: web.Response(status=200, content_type="application/json"),
    "200 broken": lambda: web.Response(text='{"orderId": 7', content_type="application/json"),
    "200 null": lambda: web.Response(text="null", content_type="application/json"),
    "200 list": list,
    "200 no id": lambda: order_reply(orderId=None),
    "200 NaN": lambda: order_reply(executedQty="NaN"),
    "200 another's": lambda: order_reply(clientOrderId="somebodyelse"),
    "200 new word": lambda: order_reply(status="SLEEPING"),
    "unknown code": lambda: refusal(-1000, "An unknown error occurred."),
    "duplicate": lambda: refusal(-4116, "ClientOrderId is duplicated."),
}


def answers(name: str) -> Any:
    """One way of not answering."""
    made = UNSURE[name]
    return made if made in {reset, silence} else made()


async def one(gateway: Any, command: VenueCommand) -> VenueEvent:
    """The one event that comes of a command."""
    events = await gateway.perform(command)
    assert len(events) == 1, events
    event: VenueEvent = events[0]
    return event


async def test_an_order_is_sent_once_and_its_answer_told(tmp_path: Path) -> None:
    """A filled market order is told with the exchange's number, quantity and time."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"POST {ORDER}", order_reply())
        seen = await one(at.gateway, PlaceOrder(intent()))
        assert seen == OrderSeen(
            client_order_id="r0abcdef1e",
            symbol=PERPETUAL,
            at_ms=NOW_MS + 5,
            exchange_id="77",
            status=VenueStatus.FILLED,
            filled_quantity=0.003,
            quantity=0.003,
        )
        sent = at.venue.sent(f"POST {ORDER}")
        assert [(one["newClientOrderId"], one["timestamp"], one["recvWindow"]) for one in sent] == [
            ("r0abcdef1e", str(NOW_MS), "5000")
        ]


@pytest.mark.parametrize("name", list(UNSURE))
async def test_an_order_without_a_sure_answer_is_uncertain_and_not_sent_again(
    tmp_path: Path, name: str
) -> None:
    """Whatever comes instead of an answer, the order was sent exactly once and is told as uncertain, without keys."""
    async with bench(tmp_path, timeout_ms=300) as at:
        at.venue.answer(f"POST {ORDER}", answers(name))
        seen = await one(at.gateway, PlaceOrder(intent()))
        assert isinstance(seen, OrderUncertain), seen
        assert seen.client_order_id == "r0abcdef1e"
        assert len(at.venue.sent(f"POST {ORDER}")) == 1
        assert KEY not in seen.reason
        assert "signature" not in seen.reason


async def test_a_request_on_a_stale_connection_is_not_repeated_for_an_order(tmp_path: Path) -> None:
    """A kept-alive connection that is cut when an order goes out leaves it uncertain; a cancel goes out anew."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"POST {ORDER}", reset, order_reply())
        assert isinstance(await one(at.gateway, PlaceOrder(intent())), OrderUncertain)
        at.venue.answer(f"DELETE {ORDER}", order_reply(status="CANCELED"))
        await at.gateway.perform(CancelOrder(intent()))  # a connection that is kept alive
        at.venue.answer(f"DELETE {ORDER}", reset, order_reply(status="CANCELED", executedQty="0"))
        seen = await one(at.gateway, CancelOrder(intent()))
        assert isinstance(seen, OrderSeen)
        assert seen.status is VenueStatus.CANCELED
        assert (len(at.venue.sent(f"POST {ORDER}")), len(at.venue.sent(f"DELETE {ORDER}"))) == (1, 3)


@pytest.mark.parametrize(
    ("wish", "path", "answer", "code"),
    [
        (intent(), ORDER, (-2019, "Margin is insufficient."), "-2019"),
        (intent(), ORDER, (-4164, "Order's notional must be no smaller than 100"), "-4164"),
        (intent(), ORDER, (-1013, "Filter failure: LOT_SIZE"), "-1013"),
        (intent(reduce_only=True), ORDER, (-2022, "ReduceOnly Order is rejected."), "-2022"),
        (stop_of(), ALGO, (-2021, "Order would immediately trigger."), WOULD_TRIGGER),
        (intent(type=OrderType.LIMIT, limit_price=99.5), ORDER, (-5022, "Post Only rejected."), WOULD_CROSS),
        (intent(), ORDER, (-2015, "Invalid API-key, IP, or permissions for action."), "-2015"),
    ],
)
async def test_a_definite_refusal_is_told_with_its_code(
    tmp_path: Path, wish: OrderIntent, path: str, answer: tuple[int, str], code: str
) -> None:
    """What the exchange surely did not take is refused, with its code and words."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"POST {path}", refusal(*answer))
        seen = await one(at.gateway, PlaceOrder(wish))
        assert isinstance(seen, OrderRefused)
        assert seen.code == code
        assert answer[1] in seen.reason or code == "-1013"


async def test_what_is_not_on_the_steps_is_never_sent(tmp_path: Path) -> None:
    """A quantity that ccxt would cut is refused here, and no request goes out."""
    async with bench(tmp_path) as at:
        seen = await one(at.gateway, PlaceOrder(intent(quantity=0.0035)))
        assert isinstance(seen, OrderRefused)
        assert seen.code == "precision"
        assert not at.venue.sent(f"POST {ORDER}")


async def test_a_wrong_clock_is_set_and_the_order_sent_again_once(tmp_path: Path) -> None:
    """An order refused for its timestamp goes out once more with the exchange's own time; refused again, it is refused."""
    async with bench(tmp_path) as at:
        wrong = refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
        at.venue.answer("GET /fapi/v1/time", {"serverTime": NOW_MS + 7_000})
        at.venue.answer(f"POST {ORDER}", wrong, order_reply())
        assert isinstance(await one(at.gateway, PlaceOrder(intent())), OrderSeen)
        times = [int(sent["timestamp"]) for sent in at.venue.sent(f"POST {ORDER}")]
        assert times[0] == NOW_MS
        assert times[1] >= NOW_MS + 7_000
        at.venue.answer(f"POST {ORDER}", refusal(-1021, "Timestamp ..."), refusal(-1021, "Timestamp ..."))
        again = await one(at.gateway, PlaceOrder(intent()))
        assert isinstance(again, OrderRefused)
        assert again.code == "-1021"
        assert len(at.venue.sent(f"POST {ORDER}")) == 4


async def test_an_exchange_that_does_not_tell_its_time_leaves_the_refusal(tmp_path: Path) -> None:
    """Where the clock cannot be set, the order was surely not taken all the same."""
    async with bench(tmp_path) as at:
        at.venue.answer("GET /fapi/v1/time", page(503))
        at.venue.answer(f"POST {ORDER}", refusal(-1021, "Timestamp ..."))
        assert isinstance(await one(at.gateway, PlaceOrder(intent())), OrderRefused)
        assert len(at.venue.sent(f"POST {ORDER}")) == 1


async def test_cancels(tmp_path: Path) -> None:
    """A conditional order's cancel is answered without a status and is one; what is not open any more is refused."""
    async with bench(tmp_path) as at:
        done = {"algoId": 9001, "clientAlgoId": "r0abcdef1s", "code": "200", "msg": "success"}
        at.venue.answer(f"DELETE {ALGO}", done, refusal(-2011, "Unknown order sent."), page(503))
        seen = await one(at.gateway, CancelOrder(stop_of()))
        assert isinstance(seen, OrderSeen)
        assert (seen.status, seen.exchange_id, seen.filled_quantity) == (VenueStatus.CANCELED, "9001", 0.0)
        refused = await one(at.gateway, CancelOrder(stop_of()))
        assert isinstance(refused, CancelRefused)
        assert refused.code == "-2011"
        unsure = await one(at.gateway, CancelOrder(stop_of()))
        assert isinstance(unsure, OrderUncertain)
        assert "signature" not in unsure.reason
        at.venue.answer(f"DELETE {ORDER}", order_reply(status="CANCELED", executedQty="0.001"), page(200))
        part = await one(at.gateway, CancelOrder(intent()))
        assert isinstance(part, OrderSeen)
        assert (part.status, part.filled_quantity) == (VenueStatus.CANCELED, 0.001)
        assert isinstance(await one(at.gateway, CancelOrder(intent())), OrderUncertain)


async def test_a_triggered_stop_is_followed_to_its_market_order(tmp_path: Path) -> None:
    """What a stop became is looked up by its own number, and its trades carry the stop's client id from then on."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"POST {ALGO}", algo_reply())
        assert isinstance(await one(at.gateway, PlaceOrder(stop_of())), OrderSeen)
        at.venue.answer(f"GET {ALGO}", algo_reply(algoStatus="FINISHED", actualOrderId="78"))
        at.venue.answer(f"GET {ORDER}", order_reply(orderId=78, clientOrderId="anything", side="SELL"))
        seen = await one(at.gateway, LookUpOrder(stop_of()))
        assert isinstance(seen, OrderSeen)
        assert (seen.client_order_id, seen.exchange_id) == ("r0abcdef1s", "78")
        assert (seen.status, seen.filled_quantity) == (VenueStatus.FILLED, 0.003)
        at.venue.answer(f"GET {TRADES}", [trade_reply(5, 78, side="SELL")])
        trades = await at.gateway.perform(ReadTrades(PERPETUAL, NOW_MS))
        assert [trade.fill.client_order_id for trade in trades if isinstance(trade, TradeSeen)] == [
            "r0abcdef1s"
        ]
        at.venue.answer(f"GET {ORDER}", refusal(-2013, "Order does not exist."))
        assert isinstance(await one(at.gateway, LookUpOrder(stop_of())), CommandFailed)


async def test_an_order_that_is_nowhere_is_absent(tmp_path: Path) -> None:
    """An order is absent only if it is among neither orders nor executions; no answer from either says nothing."""
    async with bench(tmp_path, timeout_ms=300) as at:
        assert isinstance(await one(at.gateway, LookUpOrder(intent())), OrderAbsent)
        at.venue.answer(f"GET {TRADES}", page(200))
        failed = await one(at.gateway, LookUpOrder(intent()))
        assert isinstance(failed, CommandFailed)
        assert failed.command == LookUpOrder(intent())
        at.venue.answer(f"GET {ORDER}", page(503))
        assert isinstance(await one(at.gateway, LookUpOrder(intent())), CommandFailed)


async def test_an_order_that_shows_in_its_trades_alone_is_not_absent(tmp_path: Path) -> None:
    """Where the order is not shown yet and its executions are, they are told; whose they are is asked."""
    async with bench(tmp_path) as at:

        async def by_number(request: web.Request) -> Any:
            if request.query.get("orderId") == "77":
                return order_reply()
            return refusal(-2013, "Order does not exist.")

        at.venue.answer(f"GET {ORDER}", by_number)
        at.venue.answer(f"GET {TRADES}", [trade_reply(5, 77), trade_reply(6, 77, qty="0.002")])
        events = await at.gateway.perform(LookUpOrder(intent()))
        assert [type(event) for event in events] == [TradeSeen, TradeSeen, OrderSeen]
        seen = events[-1]
        assert isinstance(seen, OrderSeen)
        assert (seen.status, seen.filled_quantity, seen.exchange_id) == (VenueStatus.FILLED, 0.003, "77")
        at.venue.answer(f"GET {TRADES}", [trade_reply(7, 99)])
        assert isinstance(await one(at.gateway, LookUpOrder(intent())), CommandFailed)  # whose is 99?


async def test_the_state_is_read_whole(tmp_path: Path) -> None:
    """Orders of both kinds, executions with their owners, payments, positions and the wallet come as one."""
    async with bench(tmp_path) as at:
        at.venue.answer("GET /fapi/v1/openOrders", [order_reply(orderId=80, status="NEW", executedQty="0")])
        at.venue.answer("GET /fapi/v1/openAlgoOrders", [algo_reply()])
        at.venue.answer(f"GET {TRADES}", [trade_reply(6, 79), trade_reply(5, 80)])
        at.venue.answer(f"GET {ORDER}", order_reply(orderId=79, clientOrderId="web_4711"))
        paid = {"symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.5", "asset": "USDT"}
        at.venue.answer("GET /fapi/v1/income", [{**paid, "time": NOW_MS + 8, "tranId": 3}])
        held = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.25", "entryPrice": "99.5"}
        risk = {**held, "notional": "-25", "isolatedMargin": "0", "marginAsset": "USDT", "markPrice": "100"}
        at.venue.answer(
            "GET /fapi/v3/positionRisk", [{**risk, "unRealizedProfit": "0", "updateTime": NOW_MS}]
        )
        state = await one(at.gateway, ReadState({PERPETUAL: NOW_MS}))
        assert isinstance(state, VenueState), state
        assert [(one.client_order_id, one.exchange_id) for one in state.orders] == [
            ("r0abcdef1e", "80"),
            ("r0abcdef1s", "9001"),
        ]
        assert [(one.fill.trade_id, one.fill.client_order_id) for one in state.trades] == [
            ("BTCUSDT-5", "r0abcdef1e"),
            ("BTCUSDT-6", "web_4711"),
        ]
        assert [(one.payment_id, one.paid) for one in state.fundings] == [("3", 0.5)]
        assert (state.positions, state.entry_prices, state.wallet) == (
            {PERPETUAL: -0.25},
            {PERPETUAL: 99.5},
            1000.5,
        )


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("GET /fapi/v1/openOrders", [None]),
        ("GET /fapi/v1/openOrders", {"rows": 1}),
        ("GET /fapi/v1/openAlgoOrders", [algo_reply(algoStatus=None)]),
        ("GET /fapi/v3/account", {"assets": [{"asset": "USDT", "walletBalance": "NaN"}]}),
        ("GET /fapi/v3/account", "<html>"),
        (f"GET {TRADES}", [trade_reply(5, 77, price="NaN")]),
        (f"GET {TRADES}", [trade_reply(5, 77, commissionAsset="BNB")]),
        (f"GET {TRADES}", [None]),
        (f"GET {TRADES}", {}),
        ("GET /fapi/v1/income", [{"symbol": "BTCUSDT"}]),
        ("GET /fapi/v3/positionRisk", [None]),
    ],
)
async def test_a_state_that_cannot_be_read_is_not_given(tmp_path: Path, name: str, answer: Any) -> None:
    """One row that cannot be believed leaves no state at all, and the reason is told."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"GET {ORDER}", order_reply())
        at.venue.answer(name, answer)
        seen = await one(at.gateway, ReadState({PERPETUAL: NOW_MS}))
        assert isinstance(seen, CommandFailed), seen
        assert seen.reason


async def test_a_state_that_moves_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    """A state is given only if what is held was the same before and after; one that never rests is not given."""

    def wallet(amount: str) -> Any:
        return {"assets": [{"asset": "USDT", "walletBalance": amount, "updateTime": NOW_MS}], "positions": []}

    async with bench(tmp_path) as at:
        at.venue.answer("GET /fapi/v3/account", wallet("1"), wallet("2"), wallet("3"))
        state = await one(at.gateway, ReadState({}))
        assert isinstance(state, VenueState)
        assert state.wallet == 3.0
        at.venue.answer("GET /fapi/v3/account", *[wallet(str(number)) for number in range(10)])
        assert isinstance(await one(at.gateway, ReadState({})), CommandFailed)


async def test_a_question_is_asked_again_after_the_clock_was_set(tmp_path: Path) -> None:
    """A question refused for its timestamp is asked once more."""
    async with bench(tmp_path) as at:
        at.venue.answer(f"GET {TRADES}", refusal(-1021, "Timestamp ..."), [])
        assert await at.gateway.perform(ReadTrades(PERPETUAL, NOW_MS)) == []


async def test_a_pair_on_spot(tmp_path: Path) -> None:
    """Stop and target go out as one request; each is told by itself, and canceling one cancels the pair."""

    def report(client: str, number: int, **fields: Any) -> dict[str, Any]:
        return {
            "symbol": "BTCUSDT",
            "orderId": number,
            "orderListId": 4,
            "clientOrderId": client,
            "transactTime": NOW_MS + 3,
            "price": "0",
            "origQty": "0.003",
            "executedQty": "0",
            "status": "NEW",
            "type": "STOP_LOSS_LIMIT",
            "side": "SELL",
            **fields,
        }

    stop, target = stop_of(SPOT), target_of(SPOT)
    async with bench(tmp_path, Market.SPOT) as at:
        path = "/api/v3/orderList/oco"
        reports = [report("r0abcdef1t", 8), report("r0abcdef1s", 7)]
        at.venue.answer(
            f"POST {path}", {"orderListId": 4, "orderReports": reports}, page(502), refusal(-2010, "no"), {}
        )
        placed = await at.gateway.perform(PlacePair(stop, target))
        assert [(one.client_order_id, one.exchange_id) for one in placed if isinstance(one, OrderSeen)] == [
            ("r0abcdef1s", "7"),
            ("r0abcdef1t", "8"),
        ]
        for kind in (OrderUncertain, OrderRefused, OrderUncertain):
            events = await at.gateway.perform(PlacePair(stop, target))
            assert [type(event) for event in events] == [kind, kind]
        gone = [
            report("x", 8, status="CANCELED", origClientOrderId="r0abcdef1t"),
            report("x", 7, status="CANCELED", origClientOrderId="r0abcdef1s"),
        ]
        at.venue.answer("DELETE /api/v3/order", {"orderListId": 4, "orderReports": gone})
        seen = await one(at.gateway, CancelOrder(stop))
        assert isinstance(seen, OrderSeen)
        assert (seen.client_order_id, seen.status) == ("r0abcdef1s", VenueStatus.CANCELED)
        state = await one(at.gateway, ReadState({SPOT: NOW_MS}))
        assert isinstance(state, VenueState)
        assert (state.positions, state.wallet) == ({SPOT: 0.75}, 1005.5)
        uneven = await at.gateway.perform(PlacePair(stop, target_of(SPOT, quantity=0.004)))
        assert [one.code for one in uneven if isinstance(one, OrderRefused)] == ["precision", "precision"]


async def test_perpetuals_have_no_pairs(tmp_path: Path) -> None:
    """A pair where the exchange has none is refused, both of it, and nothing is sent."""
    async with bench(tmp_path) as at:
        before = len(at.venue.asked)
        events = await at.gateway.perform(PlacePair(stop_of(), target_of()))
        assert [type(event) for event in events] == [OrderRefused, OrderRefused]
        assert len(at.venue.asked) == before


@pytest.mark.parametrize(
    ("name", "answer", "error", "words"),
    [
        (
            "GET /fapi/v3/account",
            lambda: refusal(-2015, "Invalid API-key."),
            ConfigError,
            "refuses the account",
        ),
        ("GET /fapi/v3/account", lambda: refusal(-1022, "Signature not valid."), ConfigError, "refuses"),
        ("GET /fapi/v3/account", lambda: page(503), TransientError, "503"),
        ("GET /fapi/v1/exchangeInfo", lambda: page(503), TransientError, "503"),
        ("GET /fapi/v1/exchangeInfo", lambda: {"symbols": []}, ConfigError, "not listed"),
        ("GET /fapi/v1/feeBurn", lambda: {"feeBurn": True}, ConfigError, "pays fees in BNB"),
    ],
)
async def test_what_cannot_be_traded_with_is_said_at_the_start(
    tmp_path: Path, name: str, answer: Callable[[], Any], error: type[Exception], words: str
) -> None:
    """Keys, markets and fees are tried when the gateway is opened; what is wrong is told without keys."""

    def prepare(venue: ScriptedVenue) -> None:
        venue.answer(name, answer())

    async with bench(tmp_path, prepare=prepare, opened=False) as at:
        with pytest.raises(error, match=words) as told:
            await at.gateway.open()
        assert KEY not in str(told.value)
        assert SECRET not in str(told.value)
        assert "signature=" not in str(told.value)


async def test_the_client_is_told_never_to_retry(tmp_path: Path) -> None:
    """Retries of ccxt's own are off, whatever the client was made with."""
    async with bench(tmp_path, opened=False) as at:
        assert at.exchange.options["maxRetriesOnFailure"] == 0
        assert at.exchange.nonce() == NOW_MS


async def test_what_cannot_go_together_is_refused_at_once(tmp_path: Path) -> None:
    """An exchange that is not traded on, symbols of another kind, and two quote currencies are wrong settings."""
    from bot.brokers.ccxt_gateway import CcxtGateway

    exchanges = [make_exchange("kraken"), *(make_exchange("binanceusdm") for _ in range(3))]
    lists: tuple[list[str], ...] = ([PERPETUAL], [SPOT], [], [PERPETUAL, "BTC/USDC:USDC"])
    for exchange, symbols in zip(exchanges, lists, strict=True):
        exchange.timeout_on_exit = 0
        with pytest.raises(ConfigError):
            CcxtGateway(
                exchange, symbols, clock=FixedClock(NOW_MS), random=lambda: 0.5, timing=GatewayTiming()
            )
        await exchange.close()


async def test_nothing_is_sent_after_it_was_closed(tmp_path: Path) -> None:
    """A command to a closed gateway is refused by ccxt before it is sent, and is told as refused."""
    async with bench(tmp_path) as at:
        await at.gateway.close()
        seen = await one(at.gateway, PlaceOrder(intent()))
        assert isinstance(seen, OrderRefused)
        assert seen.code == "exchange_closed_by_user"
        assert isinstance(at, Bench)
