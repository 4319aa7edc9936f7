"""The parts of a daemon, as its settings want them."""

from __future__ import annotations

import pytest

from bot.clock import SystemClock
from bot.daemon.parts import live_side_of
from bot.daemon.telling import Teller
from bot.errors import ConfigError
from bot.settings import load_settings
from tests.daemon_harness import Silent

SPOT = {
    "mode": "live",
    "exchange.id": "binance",
    "exchange.symbols": "BTC/USDT",
    "exchange.api_key": "k",
    "exchange.api_secret": "s",
}


async def test_spot_is_not_traded_live_on_a_real_exchange() -> None:
    """It takes a buyer's fee out of the coins, which the books do not hold: refused before anything is asked."""
    settings = load_settings(
        [], {}, {f"BOT__{name.upper().replace('.', '__')}": value for name, value in SPOT.items()}
    )
    teller = Teller(Silent(), None, lambda: 0)  # type: ignore[arg-type]  # nothing is told
    with pytest.raises(ConfigError, match="buyer's fee"):
        await live_side_of(settings, None, SystemClock(), None, teller)  # type: ignore[arg-type]  # nobody is asked
