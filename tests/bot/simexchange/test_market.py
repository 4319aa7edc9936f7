"""What is visible at a time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.simexchange.bars import MINUTE_MS, partial_bar
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.market import FUNDING_INTERVAL_MS, INTEREST_RATE, VisibleMarket
from bot.simexchange.tape import TapeSource

HOLES = (5, 6, 7, 40)
MINUTES = 90


@pytest.fixture
def market(bars) -> VisibleMarket:
    """One symbol with holes, and a funding rate at its second payment."""
    source = TapeSource({"BTCUSDT": bars("BTCUSDT", MINUTES, holes=HOLES)})
    funding = {"BTCUSDT": {source.start_ms + 2 * FUNDING_INTERVAL_MS: 0.0003}}
    return VisibleMarket(source, {"BTCUSDT": list_symbol("BTCUSDT", Market.USDM, 100)}, Market.USDM, funding)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    elapsed=st.integers(0, MINUTES * MINUTE_MS),
    interval=st.sampled_from([1, 3, 15]),
    limit=st.integers(1, 200),
)
def test_nothing_later_than_now_is_visible(
    market: VisibleMarket, elapsed: int, interval: int, limit: int
) -> None:
    """At no time does any interval or limit show a bar, an extreme or a volume of the future."""
    now = market.source.start_ms + elapsed
    seen = market.source.between("BTCUSDT", 0, now - now % MINUTE_MS)
    lows, highs = seen.low.tolist(), seen.high.tolist()
    unfinished = market.unfinished("BTCUSDT", now)
    if unfinished:
        lows.append(unfinished.low)
        highs.append(unfinished.high)
    rows = market.klines("BTCUSDT", interval * MINUTE_MS, None, None, limit, now)
    assert len(rows) <= limit
    assert all(row.opened_at_ms <= now for row in rows)
    assert all(row.low >= min(lows) and row.high <= max(highs) for row in rows)
    if limit == 200:
        volume = seen.volume.sum() + (unfinished.volume if unfinished else 0)
        assert sum(row.volume for row in rows) == pytest.approx(volume)


def test_the_last_bar_is_the_unfinished_one(market: VisibleMarket) -> None:
    """In the middle of a minute its bar is there as the stream shows it; at the very close there is none after."""
    now = market.source.start_ms + 3 * MINUTE_MS + 20_000
    rows = market.klines("BTCUSDT", MINUTE_MS, None, None, 10, now)
    bar = market.closing("BTCUSDT", now - 20_000)
    assert bar is not None
    assert rows[-1] == partial_bar(bar, 20_000)
    closed = market.klines("BTCUSDT", MINUTE_MS, None, None, 10, now + 40_000)
    assert closed[-1] == bar


def test_a_hole_has_no_bar_at_any_time(market: VisibleMarket) -> None:
    """Inside a hole there is no unfinished bar, and after it the hole stays."""
    start = market.source.start_ms
    assert market.unfinished("BTCUSDT", start + 6 * MINUTE_MS + 1) is None
    rows = market.klines("BTCUSDT", MINUTE_MS, None, None, 100, start + 10 * MINUTE_MS)
    assert [(row.opened_at_ms - start) // MINUTE_MS for row in rows] == [0, 1, 2, 3, 4, 8, 9]


def test_bounds_and_limit_are_those_of_binance(market: VisibleMarket) -> None:
    """With a start the first bars come, else the last ones; both bounds are included; holes do not shorten a page."""
    start = market.source.start_ms
    now = start + 80 * MINUTE_MS

    def minutes(since: int | None, until: int | None, limit: int) -> list[int]:
        bounds = [start + at * MINUTE_MS if at is not None else None for at in (since, until)]
        rows = market.klines("BTCUSDT", MINUTE_MS, bounds[0], bounds[1], limit, now)
        return [(row.opened_at_ms - start) // MINUTE_MS for row in rows]

    assert minutes(4, None, 3) == [4, 8, 9]
    assert minutes(None, 8, 3) == [3, 4, 8]
    assert minutes(2, 4, 100) == [2, 3, 4]
    assert minutes(39, 41, 100) == [39, 41]
    assert minutes(None, None, 2) == [78, 79]
    assert minutes(-50, -10, 5) == []
    assert minutes(81, None, 5) == []
    assert len(minutes(-100, None, 1000)) == 80 - len(HOLES)


def test_longer_bars_are_made_of_their_minutes(market: VisibleMarket) -> None:
    """A quarter of an hour has the first open, the extremes, the last close and the sum of its minutes."""
    start = market.source.start_ms
    first = market.klines("BTCUSDT", 15 * MINUTE_MS, start, None, 1, start + 70 * MINUTE_MS)[0]
    parts = market.source.between("BTCUSDT", start, start + 15 * MINUTE_MS)
    assert first[1:5] == (parts.open[0], parts.high.max(), parts.low.min(), parts.close[-1])
    assert first.volume == pytest.approx(parts.volume.sum())


def test_funding_is_paid_on_the_grid_or_as_a_file_says(market: VisibleMarket) -> None:
    """Every eight hours the interest is due, where no file gives another rate."""
    start = market.source.start_ms
    times = market.funding_times("BTCUSDT", 0, start + 3 * FUNDING_INTERVAL_MS)
    assert times == [start + step * FUNDING_INTERVAL_MS for step in range(4)]
    rates = [market.funding_rate("BTCUSDT", time) for time in times]
    assert rates == [INTEREST_RATE, INTEREST_RATE, 0.0003, INTEREST_RATE]


def test_orders_trade_at_the_open_of_the_bar_that_begins(market: VisibleMarket) -> None:
    """At a boundary that is its price, within a minute that of the unfinished bar, in a hole the last one."""
    start = market.source.start_ms
    bar = market.closing("BTCUSDT", start + 4 * MINUTE_MS)
    assert bar is not None
    assert market.trading_price("BTCUSDT", start + 4 * MINUTE_MS) == bar.open
    assert market.trading_price("BTCUSDT", start + 4 * MINUTE_MS + 20_000) == partial_bar(bar, 20_000).close
    for later in (5 * MINUTE_MS, 5 * MINUTE_MS + 1, 7 * MINUTE_MS):
        assert market.trading_price("BTCUSDT", start + later) == bar.close
    assert market.trading_price("BTCUSDT", start - 1) is None
