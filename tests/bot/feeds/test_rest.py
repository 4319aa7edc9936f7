"""Tests of reading over REST from a scripted exchange that misbehaves as real ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ccxt
import pytest

from bot.core.market import MINUTE_MS
from bot.errors import ConfigError, DataError, TransientError
from bot.feeds.rest import PAGE_LIMIT, RestReader
from bot.feeds.timing import FeedTiming

SYMBOL = "BTC/USDT:USDT"
START = 1_684_454_400_000


def at(minute: int) -> int:
    """The open time of a minute counted from the start."""
    return START + minute * MINUTE_MS


class ScriptedExchange:
    """The part of a ccxt exchange that is read from; ``minutes`` exist, the last one unfinished."""

    def __init__(
        self, minutes: list[int], now_ms: int, *, granted: int | None = 1000, cap: int = 10**6
    ) -> None:
        self.id = "scripted"
        self.has = {"fetchTime": True, "fetchFundingRateHistory": True}
        self.minutes = minutes
        self.now_ms = now_ms
        self.granted = granted
        self.cap = cap
        self.last_of_window = False
        self.script: list[Any] = []
        self.asked: list[tuple[int, int]] = []

    def feature_value(self, *_: object) -> int | None:
        """How many rows an answer may have."""
        return self.granted

    async def fetch_time(self) -> int:
        """The time."""
        return self.now_ms

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int, limit: int) -> Any:
        """Rows, or what the script says."""
        assert (symbol, timeframe) == (SYMBOL, "1m")
        self.asked.append((since, limit))
        if self.script and (answer := self.script.pop(0)) is not None:
            if isinstance(answer, BaseException):
                raise answer
            return answer
        times = [at(minute) for minute in self.minutes if at(minute) >= since]
        if self.last_of_window:
            times = [time for time in times if time < since + limit * MINUTE_MS][-min(limit, self.cap) :]
        return [[time, 1.0, 2.0, 0.5, 1.5, time / 1e9] for time in times[: min(limit, self.cap)]]

    async def fetch_funding_rate_history(self, symbol: str, since: int, limit: int) -> Any:
        """Two payments, the second some milliseconds late."""
        del symbol, limit
        rows = [
            {"timestamp": at(0), "fundingRate": 0.0001},
            {"timestamp": at(480) + 7, "fundingRate": -0.0002},
        ]
        return [row for row in rows if row["timestamp"] >= since]


def reader(exchange: ScriptedExchange, attempts: int = 4) -> RestReader:
    """A reader that hardly waits."""
    timing = FeedTiming(pace_seconds=0.001, pace_most_seconds=0.002, attempts=attempts, market_speed=1000)
    return RestReader(exchange, now_ms=lambda: exchange.now_ms, timing=timing, random=lambda: 0.5)


async def test_each_request_that_is_tried_again_is_told_of() -> None:
    """Whoever asked to know hears why, how often and how long, before the wait; the last failure is raised."""
    exchange = ScriptedExchange(list(range(5)), at(9))
    exchange.script = [ccxt.NetworkError("the line is down"), None]
    told: list[dict[str, Any]] = []
    timing = FeedTiming(pace_seconds=0.001, pace_most_seconds=0.002, attempts=2, market_speed=1000)
    rest = RestReader(
        exchange, now_ms=lambda: exchange.now_ms, timing=timing, random=lambda: 0.5, retrying=told.append
    )
    assert len(await rest.history(SYMBOL, at(0), at(5))) == 5
    assert [(fields["attempt"], fields["attempts"]) for fields in told] == [(1, 2)]
    assert "the line is down" in told[0]["cause"]
    exchange.script = [ccxt.NetworkError("down"), ccxt.NetworkError("still down")]
    with pytest.raises(TransientError, match="still down"):
        await rest.history(SYMBOL, at(0), at(5))
    assert len(told) == 2


async def test_the_unfinished_bar_is_never_given() -> None:
    """The newest bar is left out while it is open, and while it has just closed; older ones are final."""
    for after_ms, told in ((0, 9), (59_999, 9), (60_000, 9), (62_999, 9), (63_000, 10)):
        page = await reader(ScriptedExchange(list(range(10)), at(9) + after_ms)).page(SYMBOL, at(0), at(11))
        assert [row.opened_at_ms for row in page.candles] == [at(minute) for minute in range(told)]
        assert page.told_until_ms == at(told)


async def test_minutes_without_a_bar_are_told_once_they_are_past() -> None:
    """Where nothing exists, what closed long enough ago is told as empty; what did not is not."""
    page = await reader(ScriptedExchange([], at(5) + 30_000)).page(SYMBOL, at(2), at(5))
    assert (page.candles, page.told_until_ms) == ([], at(5))
    page = await reader(ScriptedExchange([], at(5) + 2_000)).page(SYMBOL, at(2), at(5))
    assert page.told_until_ms == at(4)
    page = await reader(ScriptedExchange([], at(2) + 2_000)).page(SYMBOL, at(2), at(3))
    assert page.told_until_ms == at(2)


@pytest.mark.parametrize("cap", [7, 300, 1000])
async def test_an_answer_cut_short_is_not_a_hole(cap: int) -> None:
    """An exchange that grants fewer rows than were asked for is read on, and nothing is taken to be missing."""
    exchange = ScriptedExchange(list(range(900)), at(2000), cap=cap)
    history = await reader(exchange).history(SYMBOL, at(0), at(900))
    assert [row.opened_at_ms for row in history] == [at(minute) for minute in range(900)]


async def test_an_answer_with_the_last_rows_only_is_not_a_hole() -> None:
    """An exchange that answers with the end of what was asked for is asked again for the beginning."""
    minutes = [minute for minute in range(500) if not 220 <= minute < 260]
    exchange = ScriptedExchange(minutes, at(2000), granted=300, cap=100)
    exchange.last_of_window = True
    rest = reader(exchange)
    history = await rest.history(SYMBOL, at(0), at(500))
    assert [row.opened_at_ms for row in history] == [at(minute) for minute in minutes]
    told, found = at(0), []
    while told < at(480):
        page = await rest.page(SYMBOL, told, at(480))
        found += [row.opened_at_ms for row in page.candles]
        assert page.told_until_ms > told
        told = page.told_until_ms
    assert sorted(set(found)) == found
    assert found[: found.index(at(479)) + 1] == [at(minute) for minute in minutes if minute < 480]


async def test_a_long_hole_is_crossed_in_both_kinds_of_answer() -> None:
    """A hole longer than a page ends the history of neither kind of exchange."""
    minutes = [*range(10), *range(10 + 5 * PAGE_LIMIT, 20 + 5 * PAGE_LIMIT)]
    for last in (False, True):
        exchange = ScriptedExchange(minutes, at(5000), granted=None)
        exchange.last_of_window = last
        history = await reader(exchange).history(SYMBOL, at(0), at(4000))
        assert [row.opened_at_ms for row in history] == [at(minute) for minute in minutes]


async def test_errors_that_may_pass_are_tried_again() -> None:
    """A timeout, a refusal by rate limit and an answer of HTML are tried again, and then the history is whole."""
    exchange = ScriptedExchange(list(range(20)), at(30))
    exchange.script = [ccxt.RequestTimeout("late"), ccxt.RateLimitExceeded("slow down"), "<html>"]
    history = await reader(exchange).history(SYMBOL, at(0), at(20))
    assert len(history) == 20


BAD_ROWS = [
    [[None] * 6],
    [[at(0), 1.0, 2.0, 0.5, 1.5]],
    [[at(0), 1.0, 0.1, 0.5, 1.5, 1.0]],
    [[at(0), float("nan"), 2.0, 0.5, 1.5, 1.0]],
    [[at(0) + 1, 1.0, 2.0, 0.5, 1.5, 1.0]],
    [["<html>"]],
    {"code": -1},
    "<html>",
    None,
]


@pytest.mark.parametrize("answer", BAD_ROWS[:-1])
async def test_malformed_rows_are_refused_by_name(answer: Any) -> None:
    """An answer that stays malformed is a DataError that names the symbol, after bounded attempts."""
    exchange = ScriptedExchange([], at(30))
    exchange.script = [answer] * 10
    with pytest.raises(DataError, match=SYMBOL):
        await reader(exchange).history(SYMBOL, at(0), at(3))
    assert len(exchange.asked) == 4


@pytest.mark.parametrize("bad", [0, 2])
async def test_a_single_bad_row_does_not_block_the_others_for_ever(bad: int) -> None:
    """Asked leniently, an answer loses its bad row, which is named; asked strictly, it is refused whole."""
    exchange = ScriptedExchange(list(range(5)), at(30))
    rows = await exchange.fetch_ohlcv(SYMBOL, "1m", at(0), 10)
    rows[bad][2] = 0.1
    exchange.script = [rows, rows, rows[:1]]
    rest = reader(exchange)
    with pytest.raises(DataError, match="high is below low"):
        await rest.page(SYMBOL, at(0), at(4))
    page = await rest.page(SYMBOL, at(0), at(4), strict=False)
    assert [row.opened_at_ms for row in page.candles] == [at(minute) for minute in range(4) if minute != bad]
    assert page.told_until_ms == at(4)
    assert len(page.refused) == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (lambda: ccxt.NetworkError("x"), TransientError),
        (lambda: ccxt.BadSymbol("x"), ConfigError),
        (lambda: ccxt.AuthenticationError("x"), ConfigError),
        (lambda: KeyError("x"), DataError),
    ],
)
async def test_errors_of_ccxt_come_out_as_ours(
    raised: Callable[[], Exception], expected: type[Exception]
) -> None:
    """No exception of ccxt gets through, and what a retry cannot mend is not tried again."""
    exchange = ScriptedExchange([], at(30))
    exchange.script = [raised() for _ in range(10)]
    with pytest.raises(expected):
        await reader(exchange).history(SYMBOL, at(0), at(3))
    assert len(exchange.asked) == (1 if expected is ConfigError else 4)


async def test_funding_is_stamped_by_the_minute() -> None:
    """A payment some milliseconds late counts at its minute; spot has none."""
    rest = reader(ScriptedExchange([], at(900)))
    assert await rest.funding_rates(SYMBOL, at(0), at(900)) == {at(0): 0.0001, at(480): -0.0002}
    assert await rest.funding_rates(SYMBOL, at(0), at(480)) == {at(0): 0.0001}
    assert await rest.funding_rates("BTC/USDT", at(0), at(900)) == {}
