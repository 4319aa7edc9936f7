"""Quiet that the exchange asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import FixedClock
from bot.core.venue import CommandFailed, OrderSeen, OrderUncertain, PlaceOrder, ReadTrades
from bot.quiet_time import LONGEST_SECONDS, QuietTime
from tests.offline_exchange import NOW_MS, PERPETUAL, intent, order_reply
from tests.scripted_venue import bench


@given(st.lists(st.tuples(st.sampled_from([200, 418, 429, 503]), st.integers(0, 10**7)), max_size=8))
def test_quiet_lasts_as_long_as_the_longest_that_was_asked_for(responses: list[tuple[int, int]]) -> None:
    """Only 418 and 429 ask for quiet, the longest counts, and none is longer than the exchange's longest ban."""
    clock = FixedClock()
    quiet = QuietTime(clock.monotonic_ns)
    for status, seconds in responses:
        quiet.on_response(status, {"Retry-After": str(seconds)})
    asked = [min(float(seconds), LONGEST_SECONDS) for status, seconds in responses if status in {418, 429}]
    longest = max(asked, default=0.0)
    assert quiet.seconds_left == longest
    clock.advance(int(longest * 1000))
    assert quiet.seconds_left == 0


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}, {"Retry-After": ""}])
def test_what_names_no_time_asks_for_none(headers: dict[str, str]) -> None:
    """Without a number of seconds nothing is held back."""
    quiet = QuietTime(FixedClock().monotonic_ns)
    quiet.on_response(429, headers)
    assert quiet.seconds_left == 0


async def test_nothing_is_sent_in_quiet_time(tmp_path: Path) -> None:
    """After 429 with a time no order and no question goes out until it is over; both are told as not answered."""
    many = {"code": -1003, "msg": "Too many requests."}

    def busy() -> Any:
        return web.json_response(many, status=429, headers={"retry-after": "7"})

    async with bench(tmp_path) as at:
        at.venue.answer("POST /fapi/v1/order", busy(), order_reply())
        for _ in range(3):
            events = await at.gateway.perform(PlaceOrder(intent()))
            assert [type(event) for event in events] == [OrderUncertain]
        failed = (await at.gateway.perform(ReadTrades(PERPETUAL, NOW_MS)))[0]
        assert isinstance(failed, CommandFailed)
        assert "not sent" in failed.reason
        assert len(at.venue.sent("POST /fapi/v1/order")) == 1
        assert not at.venue.sent("GET /fapi/v1/userTrades")
        at.clock.advance(7_001)
        assert isinstance((await at.gateway.perform(PlaceOrder(intent())))[0], OrderSeen)
