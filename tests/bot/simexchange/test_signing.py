"""Keys, signatures and timestamps: as functions, and through the unmodified ccxt client."""

from __future__ import annotations

from urllib.parse import parse_qsl

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.orders import Refusal
from bot.simexchange.signing import ApiKey, ExchangeTime, Gate, Security, signature, unsigned

NOW_MS = 1_684_454_400_000
KEY = ApiKey("key", "secret")


def gate(key: ApiKey = KEY) -> Gate:
    """A gate at a fixed time."""
    return Gate({key.key: key}, ExchangeTime(lambda: NOW_MS, lambda: NOW_MS))


def signed(secret: str = KEY.secret, **params) -> str:
    """A query string with its signature."""
    text = "&".join(f"{name}={value}" for name, value in {"timestamp": NOW_MS, **params}.items())
    return f"{text}&signature={signature(text, secret)}"


def admit(text: str, key: str | None = "key", security: Security = Security.READ, given: ApiKey = KEY):
    """Pass a request through a gate that knows one key."""
    return gate(given).admit(security, key, text, dict(parse_qsl(text)))


def refusal(text: str, **more) -> tuple[int, int]:
    """Code and status of a refused request."""
    with pytest.raises(Refusal) as caught:
        admit(text, **more)
    return caught.value.code, caught.value.status


def test_the_documented_example_has_the_documented_signature() -> None:
    """The example of Binance's own documentation signs to what it prints."""
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    text = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    assert signature(text, secret) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@given(st.dictionaries(st.text("abcxyz", min_size=1), st.text("ABC019.-", min_size=1)))
def test_what_is_signed_is_let_in_and_any_change_is_not(params: dict[str, str]) -> None:
    """Whatever the parameters, the signature of exactly them is taken, and of others is not."""
    text = signed(**params)
    assert admit(text) == KEY
    assert refusal(text.replace("timestamp=", "more=1&timestamp=")) == (-1022, 400)


def test_the_signature_may_stand_anywhere() -> None:
    """What is signed is everything but the signature."""
    assert unsigned("a=1&signature=ff&b=2") == "a=1&b=2"


@pytest.mark.parametrize(
    ("text", "more", "answer"),
    [
        (signed(), {"key": None}, (-2014, 401)),
        (signed(), {"key": "other"}, (-2015, 401)),
        (signed("another"), {}, (-1022, 400)),
        ("signature=ff", {}, (-1102, 400)),
        (f"timestamp={NOW_MS}", {}, (-1102, 400)),
        ("timestamp=soon&signature=ff", {}, (-1100, 400)),
        (signed(recvWindow=60_001), {}, (-1131, 400)),
        (signed(), {"security": Security.TRADE, "given": ApiKey("key", "secret", may_trade=False)}, (-2015, 401)),
        (signed(), {"given": ApiKey("key", "secret", may_read=False)}, (-2015, 401)),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_refused_with_its_code(text: str, more, answer: tuple[int, int]) -> None:
    """Each fault of a signed request has Binance's code and status."""
    assert refusal(text, **more) == answer


def test_other_routes_ask_for_less() -> None:
    """A public route wants nothing, and the listen key's only a key."""
    assert admit("", None, Security.NONE) is None
    assert admit("", "key", Security.KEY) == KEY


@pytest.mark.parametrize(
    ("late_ms", "before_ms", "speed", "window", "taken"),
    [
        (0, 0, 1.0, 5_000, True),
        (-1_000, 0, 1.0, 5_000, True),
        (-1_001, 0, 1.0, 5_000, False),
        (5_000, 0, 1.0, 5_000, True),
        (5_001, 0, 1.0, 5_000, False),
        (20_000, 15_000, 0.0, 5_000, True),  # a paced client may lag the event before the newest
        (20_001, 15_000, 0.0, 5_000, False),
        (300_000, 0, 60.0, 5_000, True),  # an accelerated one has its window in market time
        (300_001, 0, 60.0, 5_000, False),
        (100, 0, 1.0, 99, False),
    ],
)
def test_the_window_of_timestamps(late_ms: int, before_ms: int, speed: float, window: int, taken) -> None:
    """From the event before the newest, less the window times the speed, to a second ahead of now."""
    clock = ExchangeTime(lambda: NOW_MS, lambda: NOW_MS - before_ms, speed)
    if taken:
        clock.check(NOW_MS - late_ms, window)
    else:
        with pytest.raises(Refusal) as caught:
            clock.check(NOW_MS - late_ms, window)
        assert caught.value.code == -1021


def test_a_skew_moves_the_window_and_the_time_that_is_told() -> None:
    """A clock that is wrong is wrong everywhere."""
    skew = [0]
    clock = ExchangeTime(lambda: NOW_MS, lambda: NOW_MS, skew_ms=lambda: skew[0])
    clock.check(NOW_MS, 5_000)
    skew[0] = -5_000
    assert clock.told() == NOW_MS - 5_000
    with pytest.raises(Refusal, match="ahead of the server's time"):
        clock.check(NOW_MS, 5_000)
    clock.check(clock.told(), 5_000)
    skew[0] = 6_000
    with pytest.raises(Refusal, match="outside of the recvWindow"):
        clock.check(NOW_MS, 5_000)


def test_a_message_of_the_websocket_api_is_signed_in_order_of_names() -> None:
    """There the key is a parameter, and the order of what is signed is that of the alphabet."""
    params = {"timestamp": str(NOW_MS), "apiKey": "key", "recvWindow": "5000"}
    text = f"apiKey=key&recvWindow=5000&timestamp={NOW_MS}"
    assert gate().admit_message({**params, "signature": signature(text, "secret")}) == KEY
    with pytest.raises(Refusal, match="Signature"):
        gate().admit_message({**params, "signature": signature(text[::-1], "secret")})
    with pytest.raises(Refusal) as caught:
        gate().admit_message({**params, "apiKey": "other", "signature": "ff"})
    assert caught.value.code == -2015


async def test_ccxt_is_let_in_by_its_key_and_refused_without(trade, make_tape) -> None:
    """The client's own signatures are taken on GET, POST and DELETE, and its errors are of the right class."""
    async with trade(make_tape()) as (_, exchange):
        assert (await exchange.fetch_balance())["USDT"]["free"] == 10_000
        await exchange.set_leverage(7, "BTC/USDT:USDT")
        await exchange.cancel_all_orders("BTC/USDT:USDT")
        exchange.secret = "another"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await exchange.fetch_balance()
        exchange.apiKey = "another"
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            await exchange.fetch_balance()


async def test_ccxt_learns_of_a_clock_that_is_wrong(trade, make_tape) -> None:
    """A skew is an InvalidNonce, and fetch_time tells the skewed time, by which requests are taken again."""
    async with trade(make_tape()) as (server, exchange):
        server.trading.time.skew_ms = lambda: -5_000
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await exchange.fetch_balance()
        told = await exchange.fetch_time()
        exchange.nonce = lambda: told
        assert told == server.conductor.now_ms() - 5_000
        assert await exchange.fetch_balance()


async def test_a_key_that_may_not_trade_only_reads(trade, make_tape) -> None:
    """Reading works, an order is refused, and the permissions say why."""
    async with trade(make_tape(), may_trade=False, may_withdraw=True) as (_, exchange):
        assert await exchange.fetch_balance()
        with pytest.raises(ccxt.AuthenticationError, match="-2015"):
            await exchange.create_order("BTC/USDT:USDT", "market", "buy", 1)
        may = await exchange.sapiGetAccountApiRestrictions()
        assert (may["enableReading"], may["enableFutures"], may["enableWithdrawals"]) == (True, False, True)
