"""The exchange's own commands."""

from __future__ import annotations

import pytest

from bot.errors import ConfigError
from bot.exchange_client import SIM_URL, SimControl


async def test_the_clock_says_where_it_stands(play, make_tape, start_ms: int) -> None:
    """The clock's state has the names that clients rely on, and calls the market simulated."""
    async with play(make_tape(minutes=60), start_at="+10m") as (_, _, exchange):
        assert await SimControl(exchange).clock() == {
            "now_ms": start_ms + 600_000,
            "speed": 0,
            "held": True,
            "held_because": "too_few_symbols_subscribed",
            "awaiting_ack_ms": None,
            "last_close_ms": start_ms + 600_000,
            "acknowledged_ms": start_ms + 600_000,
            "ended": False,
            "start_ms": start_ms + 600_000,
            "end_ms": start_ms + 3_600_000,
            "market": "simulated",
            "symbols": ["BTC/USDT:USDT"],
            "subscribed": 0,
        }


async def test_the_market_says_what_it_is(play, make_tape, tmp_path) -> None:
    """A tape tells its bars, the synthetic market its planted predictable part."""
    async with play(make_tape(minutes=60)) as (_, _, exchange):
        market = await SimControl(exchange).market()
        assert (market["market"], market["kind"], market["bars"]) == ("simulated", "tape", {"BTCUSDT": 60})
    async with play(state_dir=tmp_path / "s", history_days=0) as (_, endpoint, exchange):
        assert endpoint.synthetic
        market = await SimControl(exchange).market()
        assert market["kind"] == "synthetic"
        assert market["predictable"]["half_life_minutes"] == 20
        assert len(market["symbols"]) == 3


@pytest.mark.parametrize("body", [None, {}, {"closed_at_ms": "x"}, {"closed_at_ms": True}, [1]])
async def test_a_malformed_acknowledgement_is_refused(play, make_tape, body) -> None:
    """An acknowledgement without a whole number is answered with 400 and moves nothing."""
    async with play(make_tape()) as (server, _, exchange):
        before = server.conductor.state()
        async with exchange.session.post(SIM_URL + "ack", json=body) as response:
            assert response.status == 400
            assert "closed_at_ms" in (await response.json())["msg"]
        assert server.conductor.state() == before


async def test_an_unknown_command_is_refused(play, make_tape) -> None:
    """A command that is not known is a ConfigError for its caller."""
    async with play(make_tape()) as (_, _, exchange):
        with pytest.raises(ConfigError, match="no command GET /sim/dance"):
            await SimControl(exchange)._call("GET", "dance")
