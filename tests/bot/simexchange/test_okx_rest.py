"""OKX's envelope: codes inside HTTP 200, bodies that are none, routes that there are not."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from bot.simexchange.okx_signing import signature

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
BASE = "https://www.okx.com/api/v5/"


async def raw(exchange: Any, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
    """Send a request as it is; status and answer."""
    exchange.open()
    async with exchange.session.request(method, BASE + path, data=body) as answer:
        return answer.status, await answer.json()


async def test_errors_come_inside_http_200(swap) -> None:
    """But for what is wrong with a key, and for a route that is not served."""
    async with swap() as (_, exchange):
        assert await raw(exchange, "GET", "public/time") == (
            200, {"code": "0", "data": [{"ts": "1684454400000"}], "msg": ""},
        )  # fmt: skip
        status, answer = await raw(exchange, "GET", "market/candles?instId=NOPE")
        assert (status, answer["code"], answer["data"]) == (200, "51001", [])
        status, answer = await raw(exchange, "GET", "account/balance")
        assert (status, answer["code"]) == (401, "50103")
        status, answer = await raw(exchange, "GET", "copytrading/instruments")
        assert (status, answer["code"]) == (404, "404")


@pytest.mark.parametrize("body", ["", "[]", "{", "5", "[5]", '["a"]'])
async def test_a_body_that_is_no_order_is_refused(swap, body: str) -> None:
    """Signed as it should be, and yet no list of orders."""
    async with swap() as (server, exchange):
        signed = exchange.sign("trade/cancel-algos", ["private"], "POST", {"x": 1})
        headers = dict(signed["headers"])
        stamp = headers["OK-ACCESS-TIMESTAMP"]
        text = f"{stamp}POST/api/v5/trade/cancel-algos{body}"
        headers["OK-ACCESS-SIGN"] = signature(text, exchange.secret)
        exchange.open()
        async with exchange.session.post(BASE + "trade/cancel-algos", data=body, headers=headers) as answer:
            told = await answer.json()
        assert told["code"] in {"50002", "1"}
        assert server.trading.floor.account.truth()["orders"] == []


async def test_too_many_requests_are_refused_with_429(swap) -> None:
    """Where limits are enforced; ccxt knows the code."""
    async with swap(enforce_limits=True) as (_, exchange):
        asked = [exchange.fetch_balance() for _ in range(24)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, ccxt.RateLimitExceeded)]
        assert refused
        assert all("50011" in str(answer) for answer in refused)
