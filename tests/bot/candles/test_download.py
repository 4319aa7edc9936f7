"""Tests of downloading: a scripted exchange for the paging, and a real one over real sockets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ccxt
import pytest

from bot.candles.download import ATTEMPTS, DownloadProgress, download
from bot.candles.store import CandleStore
from bot.core.market import MINUTE_MS
from bot.errors import ConfigError, DataError, TransientError
from bot.exchange_client import open_exchange
from bot.reply_guard import guard_candles
from bot.simexchange.config import SimConfig
from bot.simexchange.server import running

SYMBOL = "BTC/USDT"
TURN = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()) * 1000
NOW = TURN + 100 * MINUTE_MS
PAGE = 7


def at(minute: int) -> int:
    """A time in minutes from the turn of a month."""
    return TURN + minute * MINUTE_MS


def row(minute: int, close: float = 1.5) -> list[float]:
    """What an exchange sends for a minute."""
    return [at(minute), 1.0, 2.0, 0.5, close, float(abs(minute))]


class Exchange:
    """An exchange in this process with ccxt's interface; pages hold at most seven rows."""

    id = "scripted"

    def __init__(self, minutes: range | list[int], *, windowed: bool = False) -> None:
        self.has = {"fetchOHLCV": True}
        self.timeframes = {"1m": "1m"}
        self.markets: dict[str, Any] = {SYMBOL: {}}
        self.rows = [row(minute) for minute in minutes]
        self.windowed = windowed
        self.asked: list[int] = []
        self.failures: list[Exception] = []

    async def load_markets(self) -> None:
        """Nothing to load."""

    def feature_value(self, symbol: str, method: str, name: str, default: int) -> int:
        """The page size."""
        return PAGE

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> Any:
        """Rows from a time on: the next ones there are, or only those within the window."""
        self.asked.append((since - TURN) // MINUTE_MS)
        if self.failures:
            raise self.failures.pop(0)
        assert limit <= PAGE
        end = since + limit * MINUTE_MS if self.windowed else 2**60
        return [list(r) for r in self.rows if since <= r[0] < end][:limit]


class Waits:
    """A sleep that only notes how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Note it."""
        self.seconds.append(seconds)


async def fetch(exchange: Any, store: CandleStore, since: int, until: int, **more: Any) -> Any:
    """Download minutes [since, until) counted from the turn."""
    return await download(
        exchange, store, SYMBOL, at(since), at(until), **{"now_ms": NOW, "sleep": Waits(), **more}
    )


def minutes_in(store: CandleStore, exchange_id: str = "scripted") -> list[int]:
    """Which minutes are stored."""
    stored = store.read(exchange_id, SYMBOL, 0, 2**60)
    return [int(ts - TURN) // MINUTE_MS for ts in stored.ts]


@pytest.mark.parametrize("windowed", [False, True])
async def test_all_finished_minutes_are_stored_page_by_page(tmp_path: Path, windowed: bool) -> None:
    """Over pages, the turn of a month and an outage longer than a page, exactly the true rows are stored."""
    true = [*range(-20, -3), *range(-2, 10), *range(40, 60)]
    exchange, store = Exchange(true, windowed=windowed), CandleStore(tmp_path)
    seen: list[DownloadProgress] = []
    outcome = await fetch(exchange, store, -30, 60, on_progress=seen.append)
    assert minutes_in(store) == true
    assert (outcome.fetched, outcome.stored, outcome.missing_minutes) == (
        len(true),
        len(true),
        80 - len(true),
    )
    assert [p.done_minutes for p in seen] == sorted(p.done_minutes for p in seen)
    assert (seen[-1].done_minutes, seen[-1].total_minutes, seen[-1].candles) == (90, 90, len(true))


async def test_the_unfinished_minute_is_never_stored(tmp_path: Path) -> None:
    """The minute that is running at the exchange's time is left out, however it is asked for."""
    store = CandleStore(tmp_path)
    outcome = await fetch(Exchange(range(200)), store, 90, 150, now_ms=at(95) + 59_999)
    assert minutes_in(store) == [90, 91, 92, 93, 94]
    assert outcome.until_ms == at(95)


async def test_a_second_download_asks_only_for_what_is_not_stored(tmp_path: Path) -> None:
    """What is stored is not fetched again: only the minutes before and after it are."""
    exchange, store = Exchange(range(-20, 60)), CandleStore(tmp_path)
    await fetch(exchange, store, 0, 20)
    exchange.asked.clear()
    outcome = await fetch(exchange, store, -10, 25)
    assert exchange.asked == [-10, -3, 20]
    assert outcome.fetched == 15
    assert minutes_in(store) == list(range(-10, 25))


async def test_holes_are_refilled_only_when_asked(tmp_path: Path) -> None:
    """A hole inside what is stored stays as it is, until the caller wants it asked for again."""
    store = CandleStore(tmp_path)
    await fetch(Exchange([*range(5), *range(8, 12)]), store, 0, 12)
    whole = Exchange(range(20))
    assert (await fetch(whole, store, 0, 12)).missing_minutes == 3
    assert whole.asked == []
    assert (await fetch(whole, store, 0, 12, refill_holes=True)).missing_minutes == 0
    assert whole.asked == [5]
    assert minutes_in(store) == list(range(12))


async def test_a_failure_that_passes_is_waited_out(tmp_path: Path) -> None:
    """A page that fails in passing is asked for again after 1, 2, 4… seconds."""
    exchange, waits = Exchange(range(10)), Waits()
    exchange.failures = [
        ccxt.RequestTimeout("slow"),
        ccxt.RateLimitExceeded("429"),
        ccxt.ExchangeNotAvailable("503"),
    ]
    await fetch(exchange, CandleStore(tmp_path), 0, 10, sleep=waits)
    assert waits.seconds == [1.0, 2.0, 4.0]
    assert minutes_in(CandleStore(tmp_path)) == list(range(10))


async def test_a_failure_that_lasts_ends_it_and_what_came_is_kept(tmp_path: Path) -> None:
    """After six tries TransientError is raised; the pages before it are stored, and the next run goes on there."""
    exchange, store, waits = Exchange(range(30)), CandleStore(tmp_path), Waits()

    def fail_after_two_pages(progress: DownloadProgress) -> None:
        if progress.candles == 2 * PAGE:
            exchange.failures = [ccxt.NetworkError("gone")] * ATTEMPTS

    with pytest.raises(TransientError, match="gone"):
        await fetch(exchange, store, 0, 30, sleep=waits, on_progress=fail_after_two_pages)
    assert waits.seconds == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert minutes_in(store) == list(range(14))
    exchange.asked.clear()
    await fetch(exchange, store, 0, 30)
    assert exchange.asked[0] == 14
    assert minutes_in(store) == list(range(30))


async def test_an_interrupted_download_backwards_leaves_no_hole(tmp_path: Path) -> None:
    """When fetching before what is stored is cut short, a part that would not join it is not stored."""
    exchange, store = Exchange(range(-30, 10)), CandleStore(tmp_path)
    await fetch(exchange, store, -5, 5)

    def interrupt(progress: DownloadProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await fetch(exchange, store, -30, 5, on_progress=interrupt)
    assert minutes_in(store) == list(range(-5, 5))


async def test_a_failure_that_will_not_pass_is_raised_at_once(tmp_path: Path) -> None:
    """A wrong request is not repeated."""
    exchange, waits = Exchange(range(3)), Waits()
    exchange.failures = [ccxt.BadSymbol("no such")]
    with pytest.raises(ConfigError, match="no such"):
        await fetch(exchange, CandleStore(tmp_path), 0, 3, sleep=waits)
    assert waits.seconds == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(3, close=9.0), "close is outside low..high at 2024-06-01T00:03:00Z"),
        ([at(3), None, 2.0, 0.5, 1.5, 1.0], "unreadable"),
        ([None] * 6, "unreadable"),
        (None, "unreadable"),
        ([at(3) + 1, 1.0, 2.0, 0.5, 1.5, 1.0], "ts is not on a whole minute"),
        (row(2, close=1.25), "twice with other values at 2024-06-01T00:02:00Z"),
    ],
)
async def test_a_row_that_is_no_candle_is_refused(tmp_path: Path, bad: Any, words: str) -> None:
    """An exchange's nonsense is named with symbol and time, and never stored."""
    exchange, store = Exchange(range(3)), CandleStore(tmp_path)

    async def reply(*_: Any) -> Any:
        return [*exchange.rows, bad]

    exchange.fetch_ohlcv = reply  # type: ignore[assignment,method-assign]
    with pytest.raises(DataError, match=f"scripted sent a candle of BTC/USDT that is .*{words}"):
        await fetch(exchange, store, 0, 5)
    assert minutes_in(store) == []


async def test_a_reply_that_is_no_list_is_refused(tmp_path: Path) -> None:
    """A page that is not a list at all is a DataError too."""
    exchange = Exchange(range(3))

    async def reply(*_: Any) -> Any:
        return None

    exchange.fetch_ohlcv = reply  # type: ignore[assignment,method-assign]
    with pytest.raises(DataError, match="sent no list"):
        await fetch(exchange, CandleStore(tmp_path), 0, 5)


async def test_a_market_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    """An unknown symbol, or an exchange without one-minute candles, is named before anything is asked."""
    exchange = Exchange(range(3))
    with pytest.raises(ConfigError, match="no market ETH/USDT"):
        await download(exchange, CandleStore(tmp_path), "ETH/USDT", 0, 10, now_ms=NOW)
    exchange.timeframes = {"5m": "5m"}
    with pytest.raises(ConfigError, match="no one-minute candles"):
        await fetch(exchange, CandleStore(tmp_path), 0, 5)
    assert exchange.asked == []


async def test_an_exchange_over_real_sockets_is_downloaded(tmp_path: Path) -> None:
    """The unmodified ccxt client pages days of candles off a local exchange; a second run fetches only the rest."""
    symbol = "BTC/USDT:USDT"
    store = CandleStore(tmp_path / "candles")
    async with (
        running(SimConfig(tmp_path / "sim", history_days=3, speed=60)) as (_, endpoint),
        open_exchange(
            endpoint.exchange_id, connect_to=(endpoint.host, endpoint.port), ca_file=Path(endpoint.ca_file)
        ) as exchange,
    ):
        now_ms = int(await exchange.fetch_time())
        since_ms = now_ms - 2 * 86_400_000
        first = await download(exchange, store, symbol, since_ms, now_ms - 3_600_000, now_ms=now_ms)
        second = await download(exchange, store, symbol, since_ms, now_ms, now_ms=now_ms)
        with pytest.raises(ConfigError, match="NOPE"):
            await download(exchange, store, "NOPE/USDT:USDT", since_ms, now_ms, now_ms=now_ms)
    assert (first.fetched, second.fetched, second.missing_minutes) == (2880 - 60, 60, 0)
    assert store.last_opened_at_ms("binanceusdm", symbol) == now_ms - now_ms % MINUTE_MS - MINUTE_MS


@pytest.mark.parametrize("how", ["html", "empty", "null_rows"])
async def test_a_page_of_nonsense_is_asked_for_again_and_leaves_no_hole(tmp_path: Path, how: str) -> None:
    """An answer with status 200 that ccxt would read as no candles, or as fewer, is no outage."""
    plan = tmp_path / "plan.json"
    fault = {"match": {"route": "GET /fapi/v1/klines", "count": 2}, "action": {"kind": "spoil", "how": how}}
    plan.write_text(json.dumps({"faults": [fault]}))
    waits = Waits()
    async with (
        running(SimConfig(tmp_path / "sim", history_days=1, speed=60, faults=plan)) as (_, endpoint),
        open_exchange(
            endpoint.exchange_id, connect_to=(endpoint.host, endpoint.port), ca_file=Path(endpoint.ca_file)
        ) as exchange,
    ):
        guard_candles(exchange)
        now_ms = int(await exchange.fetch_time())
        now_ms -= now_ms % MINUTE_MS
        store, since_ms = CandleStore(tmp_path / "candles"), now_ms - 600 * MINUTE_MS
        done = await download(exchange, store, "BTC/USDT:USDT", since_ms, now_ms, now_ms=now_ms, sleep=waits)
    assert (done.fetched, done.missing_minutes) == (600, 0)
    assert waits.seconds == [1.0, 2.0]
