"""Weights and numbers of orders: as functions, and through the unmodified ccxt client."""

from __future__ import annotations

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.config import Market
from bot.simexchange.rate_limits import FIRST_BAN_S, LONGEST_BAN_S, WARNINGS, RateLimits

NOW_MS = 1_684_454_400_000


def enforced(market: Market = Market.USDM) -> RateLimits:
    """Limits that refuse."""
    return RateLimits(market, enforced=True)


def status(limits: RateLimits, now_s: float, weight: int = 1, orders: int = 0) -> int:
    """The status with which a request is answered."""
    charge = limits.charge(now_s, NOW_MS, weight, orders)
    return charge.refusal.status if charge.refusal else 200


@pytest.mark.parametrize(("market", "limit"), [(Market.USDM, 2400), (Market.SPOT, 6000)])
def test_a_minute_has_its_weight(market: Market, limit: int) -> None:
    """Up to the limit all is well; beyond it 429 with the seconds that are left; the next minute begins anew."""
    limits = enforced(market)
    assert status(limits, 600.0, limit) == 200
    charge = limits.charge(645.5, NOW_MS, 1, 0)
    assert charge.refusal is not None
    assert (charge.refusal.status, charge.refusal.code) == (429, -1003)
    assert charge.headers == {"X-MBX-USED-WEIGHT-1M": str(limit + 1), "Retry-After": "15"}
    assert limits.charge(660.0, NOW_MS, 3, 0).headers == {"X-MBX-USED-WEIGHT-1M": "3"}


def test_who_goes_on_is_banned_for_longer_each_time() -> None:
    """After so many warnings 418 until the ban is over; a further one is twice as long, up to three days."""
    limits, now_s, lengths = enforced(), 0.0, []
    for _ in range(14):
        status(limits, now_s, 2401)
        while status(limits, now_s) == 429:
            continue
        charge = limits.charge(now_s, NOW_MS, 1, 0)
        assert charge.refusal is not None
        assert (charge.refusal.status, charge.refusal.code) == (418, -1003)
        lengths.append(int(charge.headers["Retry-After"]) - 1)
        assert f"banned until {NOW_MS + (lengths[-1] + 1) * 1000}" in str(charge.refusal)
        assert status(limits, now_s + lengths[-1] - 1) == 418
        now_s += lengths[-1]
        now_s += 60
        assert status(limits, now_s) == 200
    assert lengths[:3] == [FIRST_BAN_S, 2 * FIRST_BAN_S, 4 * FIRST_BAN_S]
    assert lengths[-1] == LONGEST_BAN_S


def test_a_warning_that_is_heeded_is_forgotten() -> None:
    """Who waits for the next minute is not banned, however often it goes over."""
    limits = enforced()
    for minute in range(3 * WARNINGS):
        assert status(limits, minute * 60.0, 2401) == 429


def test_orders_have_limits_of_their_own() -> None:
    """The 301st order of ten seconds is refused with -1015 and not counted; other requests go on."""
    limits = enforced()
    for _ in range(300):
        assert status(limits, 10.0, 1, 1) == 200
    charge = limits.charge(13.0, NOW_MS, 1, 1)
    assert charge.refusal is not None
    assert (charge.refusal.status, charge.refusal.code) == (429, -1015)
    assert charge.headers["Retry-After"] == "8"
    assert status(limits, 13.0, 1, 0) == 200
    after = limits.charge(20.0, NOW_MS, 1, 1)
    assert after.refusal is None
    assert (after.headers["X-MBX-ORDER-COUNT-10S"], after.headers["X-MBX-ORDER-COUNT-1M"]) == ("1", "301")


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(1, 3000), st.integers(0, 200)), max_size=60))
def test_limits_that_are_not_enforced_refuse_nothing(requests) -> None:
    """They are counted and told, whatever comes."""
    limits = RateLimits(Market.USDM, enforced=False)
    for now_s, weight, orders in sorted(requests):
        charge = limits.charge(now_s, NOW_MS, weight, orders)
        assert charge.refusal is None
        assert int(charge.headers["X-MBX-USED-WEIGHT-1M"]) >= weight


async def test_ccxt_hears_of_weights_warnings_and_the_ban(trade, make_tape) -> None:
    """Headers count up; over the limit ccxt raises DDoSProtection for 429 and 418, with the time to wait."""
    async with trade(make_tape(), enforce_limits=True) as (_, exchange):
        await exchange.fapiPrivatePostOrder(
            {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 1}
        )
        headers = {name.upper(): value for name, value in exchange.last_response_headers.items()}
        assert headers["X-MBX-ORDER-COUNT-10S"] == headers["X-MBX-ORDER-COUNT-1M"] == "1"
        answers: list[str] = []
        while "418" not in answers:
            try:
                await exchange.fapiPrivateGetIncome()
            except ccxt.DDoSProtection as error:
                answers.append(str(error).split()[1])
                waiting = {name.upper(): value for name, value in exchange.last_response_headers.items()}
                assert 1 <= int(waiting["RETRY-AFTER"]) <= FIRST_BAN_S + 1
        assert answers == ["429"] * WARNINGS + ["418"]
