"""Faults of requests, seen by the unmodified ccxt client over real sockets, and what the log says was true."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import ccxt
import pytest
import yaml

from bot.errors import ConfigError
from bot.exchange_client import SimControl, open_exchange
from bot.simexchange.config import SimConfig
from bot.simexchange.server import running

SYMBOL = "BTC/USDT:USDT"
KLINES = "GET /fapi/v1/klines"

Play = Callable[..., AbstractAsyncContextManager[Any]]


def _write(tmp_path: Path, *faults: dict[str, Any]) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({"faults": list(faults)}), encoding="utf-8")
    return path


def _fault(action: Any, name: str = "one", **match: Any) -> dict[str, Any]:
    place = {} if {"route", "state"} & set(match) else {"route": KLINES}
    return {"name": name, "match": {**place, **match}, "action": action}


def _log(tmp_path: Path, event: str) -> list[dict[str, Any]]:
    lines = (tmp_path / "state" / "sim" / "faults.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


async def _klines(exchange: Any) -> list[list[float]]:
    await exchange.load_markets()
    rows: list[list[float]] = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
    return rows


@pytest.fixture
def disturbed(tmp_path: Path, play: Play, make_tape) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """An exchange with half an hour of history and a plan in a file."""

    def start(*faults: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
        return play(make_tape(), start_at="+30m", faults=_write(tmp_path, *faults))

    return start


@pytest.mark.parametrize(("kind", "executed"), [("drop_before", False), ("drop_after", True)])
async def test_a_cut_request_was_carried_out_or_not(
    disturbed, tmp_path: Path, kind: str, executed: bool
) -> None:
    """The client only sees the connection go; the log knows whether the request was carried out."""
    async with disturbed(_fault({"kind": kind, "delay_ms": 20})) as (_, _, exchange):
        await exchange.load_markets()
        exchange.session._retry_connection = False  # as for a POST, which aiohttp never sends again
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await _klines(exchange)
        assert len(await _klines(exchange)) == 5
    (act,) = _log(tmp_path, "act")
    (truth,) = _log(tmp_path, "truth")
    assert (act["fault"], act["symbol"], act["name"]) == ("one", "BTCUSDT", KLINES)
    assert (truth["act"], truth["request_id"], truth["executed"]) == (1, act["request_id"], executed)


async def test_a_client_that_sends_again_is_answered(disturbed, tmp_path: Path) -> None:
    """Aiohttp repeats an idempotent request whose reply was lost: carried out twice, seen once."""
    async with disturbed(_fault("drop_after", route=".*")) as (_, _, exchange):
        await SimControl(exchange).replace_faults({"faults": []})
        assert await exchange.fetch_time() > 0
        fault = _fault("drop_after", route="GET /fapi/v1/time")
        counter = _fault({"kind": "delay", "delay_ms": 1}, "after", route="GET /fapi/v1/time", count="every")
        await SimControl(exchange).replace_faults({"faults": [fault, counter]})
        assert await exchange.fetch_time() > 0
    assert [act["fault"] for act in _log(tmp_path, "act")] == ["one", "after"]
    assert [truth["executed"] for truth in _log(tmp_path, "truth")] == [True, True]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_late_answer_is_a_timeout_for_an_impatient_client(
    disturbed, tmp_path: Path, when: str
) -> None:
    """A request delayed longer than the client waits times out; it is carried out all the same."""
    async with disturbed(_fault({"kind": "delay", "delay_ms": 400, "when": when})) as (_, _, exchange):
        await exchange.load_markets()
        exchange.timeout = 100
        with pytest.raises(ccxt.RequestTimeout):
            await _klines(exchange)
        exchange.timeout = 10_000
        assert len(await _klines(exchange)) == 5
        async with asyncio.timeout(10):
            while not _log(tmp_path, "truth"):
                await asyncio.sleep(0.02)
    assert _log(tmp_path, "truth")[0]["executed"] is True


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [
        ({"kind": "answer", "status": 503, "code": -1007}, ccxt.RequestTimeout, "execution status unknown"),
        ({"kind": "answer", "status": 429, "code": -1003, "retry_after_s": 7}, ccxt.DDoSProtection, "429"),
        ({"kind": "answer", "status": 418, "code": -1003, "text": "banned"}, ccxt.DDoSProtection, "banned"),
        ({"kind": "answer", "status": 502, "body": "<html>Bad</html>"}, ccxt.ExchangeNotAvailable, "Bad"),
        ({"kind": "answer", "status": 500, "text": "oops"}, ccxt.ExchangeNotAvailable, "oops"),
        ({"kind": "refuse", "code": -1121, "text": "Invalid symbol."}, ccxt.BadSymbol, "Invalid symbol."),
    ],
)
async def test_another_answer_is_what_the_client_gets(
    disturbed, tmp_path: Path, action, error, words
) -> None:
    """Statuses, codes and bodies arrive as the plan has them, and nothing was carried out."""
    async with disturbed(_fault(action)) as (_, _, exchange):
        with pytest.raises(error, match=words):
            await _klines(exchange)
        expected = action.get("retry_after_s")
        assert exchange.last_response_headers.get("Retry-After") == (str(expected) if expected else None)
        assert len(await _klines(exchange)) == 5
    assert [truth["executed"] for truth in _log(tmp_path, "truth")] == [False]


async def test_an_unknown_outcome_may_have_been_carried_out(disturbed, tmp_path: Path) -> None:
    """503 with code -1007 says nothing of the truth; the log has the true status."""
    action = {"kind": "answer", "status": 503, "code": -1007, "executed": True}
    async with disturbed(_fault(action)) as (_, _, exchange):
        with pytest.raises(ccxt.RequestTimeout):
            await _klines(exchange)
    (truth,) = _log(tmp_path, "truth")
    assert (truth["executed"], truth["status"]) == (True, 200)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("html", "<html>"),
        ("empty", ""),
        ("cut", "[[168"),
        ("null_rows", [None] * 5),
        ("null_fields", [[None] * 12] * 5),
    ],
)
async def test_an_answer_with_status_200_can_be_useless(disturbed, how: str, expected: Any) -> None:
    """A page, nothing, half of a text, or rows of null come with status 200."""
    async with disturbed(_fault({"kind": "spoil", "how": how})) as (_, _, exchange):
        await exchange.load_markets()
        request = {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}
        answer = await exchange.fapiPublicGetKlines(request)
        if isinstance(expected, str) and expected:
            assert isinstance(answer, str)
            assert answer.startswith(expected)
        else:
            assert answer == expected
        assert len(await exchange.fapiPublicGetKlines(request)) == 5


async def test_maintenance_answers_everything_with_503_and_ends(disturbed) -> None:
    """Requests and new streams get 503 for its wall time, then all is well."""
    down = _fault({"kind": "maintenance", "seconds": 0.5}, state="exchange")
    async with disturbed(down) as (_, _, exchange):
        with pytest.raises(ccxt.NetworkError):
            await exchange.fetch_time()
        with pytest.raises(ccxt.NetworkError):
            await exchange.watch_ohlcv(SYMBOL, "1m")
        await asyncio.sleep(0.6)
        assert await exchange.fetch_time() > 0
        exchange.clients.clear()
        assert await exchange.watch_ohlcv(SYMBOL, "1m")


@pytest.mark.parametrize("rest", [False, True])
async def test_a_refused_dial_is_cut_before_it_is_looked_at(disturbed, rest: bool) -> None:
    """After a cut with ``refuse_s`` no stream can be opened, and with ``rest`` no request is answered either."""
    cut = _fault({"kind": "cut", "refuse_s": 600, "rest": rest}, state="exchange")
    async with disturbed(cut) as (_, _, exchange):
        if rest:
            with pytest.raises(ccxt.NetworkError):
                await exchange.fetch_time()
        else:
            assert await exchange.fetch_time() > 0
            await exchange.load_markets()
            with pytest.raises(ccxt.NetworkError):
                await exchange.watch_ohlcv(SYMBOL, "1m")
        await SimControl(exchange).replace_faults({"faults": []})
        exchange.clients.clear()
        assert await exchange.watch_ohlcv(SYMBOL, "1m")


async def test_a_handshake_can_be_refused_like_a_request(disturbed) -> None:
    """A stream's URL is a route too."""
    fault = _fault({"kind": "answer", "status": 503}, route="GET /(market/)?ws/.*")
    async with disturbed(fault) as (_, _, exchange):
        with pytest.raises(ccxt.NetworkError, match="503"):
            await exchange.watch_ohlcv(SYMBOL, "1m")
        exchange.clients.clear()
        assert await exchange.watch_ohlcv(SYMBOL, "1m")


@pytest.mark.parametrize(("how", "executed"), [("kill", True), ("stop", False)])
async def test_a_restart_is_asked_for_without_an_answer(
    disturbed, tmp_path, how: str, executed: bool
) -> None:
    """The process is told to end in the way of the plan, after the request was carried out or instead of it."""
    fault = _fault({"kind": "restart", "how": how, "executed": executed})
    async with disturbed(fault) as (server, _, exchange):
        left: list[str] = []
        server.faults.leave = left.append
        await exchange.load_markets()
        exchange.session._retry_connection = False
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await _klines(exchange)
        assert left == [how]
    assert [truth["executed"] for truth in _log(tmp_path, "truth")] == [executed]


async def test_a_restart_at_a_time_comes_after_its_delay(disturbed) -> None:
    """The time alone can end the process."""
    fault = _fault({"kind": "restart", "delay_ms": 50}, state="exchange")
    async with disturbed(fault) as (server, _, exchange):
        left = asyncio.get_running_loop().create_future()
        server.faults.leave = left.set_result
        assert await exchange.fetch_time() > 0
        assert not left.done()
        assert await asyncio.wait_for(left, 10) == "kill"


async def test_a_resumed_exchange_does_not_repeat_what_it_did(tmp_path: Path, make_tape) -> None:
    """After an end in order or a kill, counts are those of the log, though its last line may be torn."""
    faults = _write(tmp_path, _fault({"kind": "refuse", "code": -1121}, count=2))
    config = SimConfig(
        state_dir=tmp_path / "state", tapes=(str(make_tape()),), speed=0, faults=faults, resume=True
    )
    log = config.sim_dir / "faults.jsonl"
    for refused in (True, True, False):
        async with running(config) as (_, endpoint):
            client = open_exchange(
                "binanceusdm", connect_to=(endpoint.host, endpoint.port), ca_file=Path(endpoint.ca_file)
            )
            async with client as exchange:
                if refused:
                    with pytest.raises(ccxt.BadSymbol):
                        await _klines(exchange)
                else:
                    assert await _klines(exchange) == []
                state = await SimControl(exchange).faults()
        with log.open("a") as file:
            file.write('{"event": "ac')  # killed while it wrote
    assert state["counts"]["one"] == {"matched": 2, "acted": 2}
    assert [act["act"] for act in _log_of(log) if act["event"] == "act"] == [1, 2]


def _log_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[:-1]]


async def test_a_plan_can_be_read_and_replaced_while_it_runs(disturbed) -> None:
    """The control shows plan and counts; a wrong plan is refused by its place, and the one that runs stays."""
    first = _fault({"kind": "refuse", "code": -1121})
    async with disturbed(first) as (_, _, exchange):
        control = SimControl(exchange)
        with pytest.raises(ccxt.BadSymbol):
            await _klines(exchange)
        state = await control.faults()
        assert state["plan"] == {"seed": 0, "faults": [first]}
        assert state["counts"] == {"one": {"matched": 1, "acted": 1}}
        with pytest.raises(ConfigError, match=r"faults\[0\] \(one\)\.action\.kind: 'dance'"):
            await control.replace_faults({"faults": [_fault("dance")]})
        assert await control.faults() == state
        again = await control.replace_faults({"seed": 4, "faults": [first]})
        assert again["counts"] == {"one": {"matched": 0, "acted": 0}}
        with pytest.raises(ccxt.BadSymbol):
            await _klines(exchange)


async def test_a_plan_file_that_cannot_be_used_is_named(tmp_path: Path, make_tape) -> None:
    """A file that is not there, is no YAML, or holds a wrong entry refuses the start with its name."""
    wrong = tmp_path / "wrong.yaml"
    for text, words in [
        (None, "cannot be read"),
        ("faults: [", "is no YAML"),
        ("faults: [{match: {route: x}, action: dance}]", r"faults\[0\] \(fault-0\)\.action\.kind"),
    ]:
        if text is not None:
            wrong.write_text(text)
        config = SimConfig(state_dir=tmp_path / "state", tapes=(str(make_tape()),), faults=wrong)
        with pytest.raises(ConfigError, match=f"wrong.yaml: .*{words}"):
            async with running(config):
                pass
