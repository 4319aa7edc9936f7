"""How market time moves, seen by the unmodified ccxt client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ConfigError
from bot.exchange_client import SimControl
from bot.simexchange.config import SimConfig
from bot.simexchange.server import SimServer

MINUTE_MS = 60_000


@asynccontextmanager
async def watching(exchange: Any, *symbols: str) -> AsyncIterator[None]:
    """Keep symbols subscribed for the time of the block."""

    async def watch() -> None:
        while True:
            await exchange.watch_ohlcv_for_symbols([[symbol, "1m"] for symbol in symbols])

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()


async def _clock_when(control: SimControl, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for the clock until it meets a condition."""
    async with asyncio.timeout(10):
        while not condition(state := await control.clock()):
            await asyncio.sleep(0.01)
    return state


async def _awaits(control: SimControl, closed_at_ms: int) -> dict[str, Any]:
    """Wait until the exchange waits for this close."""
    return await _clock_when(control, lambda state: state["awaiting_ack_ms"] == closed_at_ms)


async def test_paced_time_waits_for_the_acknowledgement(play, make_tape, recorder, start_ms: int) -> None:
    """After a minute and the first look at the next, time stands until the minute is acknowledged, then goes on."""
    async with play(make_tape()) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            for minute in range(1, 4):
                close = start_ms + minute * MINUTE_MS
                state = await _awaits(control, close)
                assert state["now_ms"] == close + 5_000
                assert state["held_because"] == "awaiting_ack"
                await record.until(lambda count=minute: len(record.finals()) >= count)
                assert len(record.finals()) == minute
                assert await exchange.fetch_time() == close + 5_000
                await control.acknowledge(close)


async def test_an_acknowledgement_of_an_earlier_minute_moves_nothing(play, make_tape, start_ms: int) -> None:
    """Only the minute that closed last sets time free; one in the future is refused."""
    async with play(make_tape()) as (_, _, exchange):
        control = SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await _awaits(control, start_ms + MINUTE_MS)
            await control.acknowledge(start_ms)
            await asyncio.sleep(0.05)
            assert (await control.clock())["awaiting_ack_ms"] == start_ms + MINUTE_MS
            with pytest.raises(ConfigError, match="lies in the future"):
                await control.acknowledge(start_ms + 2 * MINUTE_MS)


async def test_time_stands_until_every_symbol_is_subscribed(play, make_tape, recorder, start_ms: int) -> None:
    """With two tapes a client of one symbol does not start the market; the second subscription does."""
    async with play(make_tape("BTCUSDT"), make_tape("ETHUSDT")) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await asyncio.sleep(0.1)
            state = await control.clock()
            assert (state["now_ms"], state["held_because"]) == (start_ms, "too_few_symbols_subscribed")
            async with watching(exchange, "ETH/USDT:USDT"):
                await record.until(lambda: len(record.finals()) == 2)
        assert record.finals() == [("BTCUSDT", start_ms), ("ETHUSDT", start_ms)]


async def test_fewer_symbols_are_enough_where_so_configured(play, make_tape, recorder) -> None:
    """With wait_for_symbols one of two subscriptions starts the market."""
    async with play(make_tape("BTCUSDT"), make_tape("ETHUSDT"), wait_for_symbols=1) as (_, _, exchange):
        record = recorder(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await record.until(lambda: len(record.finals()) == 1)


async def test_a_market_that_goes_on_waits_only_to_begin(play, make_tape, start_ms: int) -> None:
    """Without holding, time begins with the first subscription and passes while that client is away."""
    alone = {"hold_without_clients": False, "wait_for_symbols": 1}
    async with play(make_tape(minutes=600), speed=600, **alone) as (_, _, exchange):
        control = SimControl(exchange)
        await asyncio.sleep(0.1)
        assert (await control.clock())["now_ms"] == start_ms
        async with watching(exchange, "BTC/USDT:USDT"):
            await _clock_when(control, lambda state: state["now_ms"] >= start_ms + MINUTE_MS)
        await exchange.close_ws_clients()
        left_ms = (await control.clock())["now_ms"]
        await _clock_when(control, lambda state: state["now_ms"] >= left_ms + 2 * MINUTE_MS)


async def test_time_stands_while_the_client_is_away(play, make_tape, start_ms: int) -> None:
    """At speed 600 a client that goes away stops the market; when it comes back the market goes on from there."""
    async with play(make_tape(minutes=600), speed=600) as (_, _, exchange):
        control = SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await _clock_when(control, lambda state: state["now_ms"] >= start_ms + MINUTE_MS)
        await exchange.close_ws_clients()
        held = await _clock_when(control, lambda state: state["held"])
        await asyncio.sleep(0.2)  # two market minutes, if time moved
        assert (await control.clock())["now_ms"] == held["now_ms"]
        async with watching(exchange, "BTC/USDT:USDT"):
            await _clock_when(control, lambda state: state["now_ms"] >= held["now_ms"] + MINUTE_MS)


async def test_a_market_may_run_alone(play, make_tape, start_ms: int) -> None:
    """Without the hold, time moves though nobody listens, and the unfinished bar is seen over REST."""
    async with play(make_tape(minutes=600), speed=600, hold_without_clients=False) as (_, _, exchange):
        await _clock_when(SimControl(exchange), lambda state: state["now_ms"] >= start_ms + 2 * MINUTE_MS)
        assert len(await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m")) >= 2


async def test_a_command_holds_time(play, make_tape, recorder) -> None:
    """While told to hold, nothing is sent though everybody is subscribed."""
    async with play(make_tape()) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        assert (await control.hold())["held_because"] == "told_to_hold"
        async with watching(exchange, "BTC/USDT:USDT"):
            await asyncio.sleep(0.1)
            assert record.messages == []
            await control.resume()
            await record.until(lambda: len(record.finals()) == 1)


async def test_a_hole_is_crossed_without_waiting(play, make_tape, recorder, start_ms: int) -> None:
    """The last bar before a hole is repeated once with a later time; then time jumps to the first bar after it."""
    async with play(make_tape(minutes=200, holes=tuple(range(2, 150)))) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await _awaits(control, start_ms + MINUTE_MS)
            await control.acknowledge(start_ms + MINUTE_MS)
            state = await _awaits(control, start_ms + 2 * MINUTE_MS)
            assert state["now_ms"] == start_ms + 2 * MINUTE_MS + 5_000
            await record.until(lambda: len(record.finals()) == 3)
            final, beat = record.messages[-2:]
            assert (beat["k"], beat["E"] - final["E"]) == (final["k"], 5_000)
            await control.acknowledge(start_ms + 2 * MINUTE_MS)
            await _awaits(control, start_ms + 151 * MINUTE_MS)
            rows = await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m")
        assert [(row[0] - start_ms) // MINUTE_MS for row in rows] == [0, 1, 150, 151]


async def test_at_the_end_everything_was_sent_and_sockets_stay_open(
    play, make_tape, recorder, start_ms: int
) -> None:
    """The last final bar arrives, ``ended`` becomes true, and REST and the socket still answer."""
    async with play(make_tape(minutes=2)) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            await _awaits(control, start_ms + MINUTE_MS)
            await control.acknowledge(start_ms + MINUTE_MS)
            state = await _clock_when(control, lambda state: state["ended"])
            await record.until(lambda: len(record.finals()) == 3)
        assert record.finals() == [("BTCUSDT", start_ms + at * MINUTE_MS) for at in (0, 1, 1)]
        assert state["now_ms"] == state["end_ms"] + 5_000
        assert not next(iter(exchange.clients.values())).closed()
        assert len(await exchange.fetch_ohlcv("BTC/USDT:USDT", "1m")) == 2


async def test_a_restart_goes_on_where_the_clock_was(play, make_tape, recorder, start_ms: int) -> None:
    """With ``resume`` a new process waits for the same acknowledgement and sends the next minute, not the first."""
    tape = make_tape()
    async with play(tape) as (_, _, exchange):
        control = SimControl(exchange)
        async with watching(exchange, "BTC/USDT:USDT"):
            for minute in (1, 2):
                await _awaits(control, start_ms + minute * MINUTE_MS)
                await control.acknowledge(start_ms + minute * MINUTE_MS)
            await _awaits(control, start_ms + 3 * MINUTE_MS)
    async with play(tape, resume=True) as (_, _, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        assert (await control.clock())["now_ms"] == start_ms + 3 * MINUTE_MS + 5_000
        async with watching(exchange, "BTC/USDT:USDT"):
            await _awaits(control, start_ms + 3 * MINUTE_MS)
            await control.acknowledge(start_ms + 3 * MINUTE_MS)
            await record.until(lambda: len(record.finals()) == 1)
        assert record.finals() == [("BTCUSDT", start_ms + 3 * MINUTE_MS)]


@pytest.mark.parametrize("text", ["{", "[]", '{"now_ms": 1}', "other"])
async def test_a_clock_that_is_not_this_markets_is_refused(tmp_path: Path, make_tape, text: str) -> None:
    """A clock file that is broken or of another tape is a ConfigError that names it."""
    config = SimConfig(state_dir=tmp_path, tapes=(str(make_tape()),))
    file = tmp_path / "sim" / "clock.json"
    file.parent.mkdir()
    state = {"now_ms": 0, "start_ms": 0, "last_close_ms": 0, "acknowledged_ms": 0, "fingerprint": "other"}
    file.write_text(json.dumps(state) if text == "other" else text)
    with pytest.raises(ConfigError, match=r"clock\.json"):
        SimServer(config).conductor.restore()
