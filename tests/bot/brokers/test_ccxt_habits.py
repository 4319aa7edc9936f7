"""The table of exchanges."""

from __future__ import annotations

import ccxt.pro
import pytest

from bot.brokers.ccxt_habits import HABITS, habits_of
from bot.errors import ConfigError


@pytest.mark.parametrize("name", list(HABITS))
def test_every_method_that_the_table_names_is_there(name: str) -> None:
    """Whatever the table asks ccxt for, this version of ccxt has."""
    habits, exchange = habits_of(name), getattr(ccxt.pro, name)()
    named = [habits.pair_method, habits.positions_method, habits.stream_handler]
    named += [habits.fee_switch.method] if habits.fee_switch else []
    named += [habits.listen_key.renew] if habits.listen_key else []
    assert [method for method in named if method and not callable(getattr(exchange, method, None))] == []
    assert habits.options["maxRetriesOnFailure"] == 0
    served = {path for api in exchange.api.values() for paths in api.get("get", {}) for path in [paths]}
    assert habits.list_paths - served <= {
        "openAlgoOrders",
        "userTrades",
        "income",
        "positionRisk",
        "myTrades",
    }


def test_an_exchange_without_a_line_is_not_traded_on() -> None:
    """Live trading is refused where nobody has written down how the exchange behaves."""
    with pytest.raises(ConfigError, match="binance, binanceusdm and okx can"):
        habits_of("kraken")
