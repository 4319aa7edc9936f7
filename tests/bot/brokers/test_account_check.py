"""What must be so before anything is traded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import ccxt
import pytest

from bot.brokers.account_check import check_fees, check_markets, check_symbols, opening_error
from bot.errors import ConfigError, DataError, TransientError
from bot.simexchange.config import Market
from tests.offline_exchange import COINS, PERPETUAL, SPOT, USDM, offline


def test_markets_of_both_kinds_are_taken() -> None:
    """The markets that the exchange lists for perpetuals and spot take all orders that are sent."""
    check_markets(offline(Market.USDM), USDM, [PERPETUAL, "ETH/USDT:USDT"])
    check_markets(offline(Market.SPOT), COINS, [SPOT])
    check_symbols(USDM, [PERPETUAL, "ETH/USDT:USDT"], "binanceusdm")


def test_a_market_without_an_order_type_is_refused_by_its_name() -> None:
    """A market that takes no stops is no market for us."""
    with pytest.raises(ConfigError, match=r"takes no orders of type ICEBERG"):
        check_markets(offline(Market.USDM), replace(USDM, order_types=frozenset({"ICEBERG"})), [PERPETUAL])
    with pytest.raises(ConfigError, match="not listed"):
        check_markets(offline(Market.USDM), USDM, ["NONE/USDT:USDT"])


class Account:
    """Answers how it pays fees."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def fapiPrivateGetFeeBurn(self) -> Any:  # noqa: N802 - ccxt's name
        """The setting."""
        return self.answer


def test_fees_in_a_third_coin_are_refused() -> None:
    """An account that burns a coin for fees is refused; an answer that does not say is not taken for a no."""
    asyncio.run(check_fees(Account({"feeBurn": False}), USDM))
    asyncio.run(check_fees(Account(None), replace(USDM, fee_switch=None)))
    with pytest.raises(ConfigError, match="pays fees in BNB"):
        asyncio.run(check_fees(Account({"feeBurn": True}), USDM))
    answers: tuple[Any, ...] = ({}, None, {"feeBurn": "true"}, [])
    for answer in answers:
        with pytest.raises(DataError):
            asyncio.run(check_fees(Account(answer), USDM))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ccxt.AuthenticationError('binanceusdm {"code":-2015,"msg":"Invalid API-key."}'), ConfigError),
        (ccxt.InvalidNonce('binanceusdm {"code":-1021,"msg":"Timestamp ..."}'), ConfigError),
        (ccxt.RequestTimeout("binanceusdm GET https://x.com/a?signature=b"), TransientError),
        (ccxt.DDoSProtection("binanceusdm 429"), TransientError),
        (KeyError("assets"), DataError),
        (DataError("as it is"), DataError),
    ],
)
def test_what_a_person_can_mend_is_a_wrong_setting(error: Exception, kind: type[Exception]) -> None:
    """Keys and clocks are settings; the network may mend by itself."""
    opening = opening_error(error, USDM)
    assert type(opening) is kind
    assert "signature" not in str(opening)
