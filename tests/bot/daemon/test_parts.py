"""The parts of a daemon, as its settings want them."""

from __future__ import annotations

from typing import Any

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


class Heard:
    """A log and a journal that remember."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        """Remember a line."""
        self.told.append((event, fields))

    def note(self, event: str, at_ms: int, fields: dict[str, Any]) -> None:
        """Remember nothing: the line says it."""


@pytest.mark.parametrize("chosen", [{}, {"costs.latency_ms": "250", "costs.liquidation": "cross"}])
async def test_what_only_paper_knows_is_said_to_be_ignored(chosen: dict[str, str]) -> None:
    """Live trading names the frictions that are switched on, and goes on without them."""
    flags = {**SPOT, "exchange.id": "binanceusdm", "exchange.symbols": "BTC/USDT:USDT", **chosen}
    heard = Heard()
    teller = Teller(heard, heard, lambda: 0)  # type: ignore[arg-type]
    environ = {f"BOT__{name.upper().replace('.', '__')}": value for name, value in flags.items()}
    with pytest.raises(AttributeError):  # there is no exchange here: it comes after what is asked
        await live_side_of(load_settings([], {}, environ), None, SystemClock(), None, teller)  # type: ignore[arg-type]
    expected = [("costs.paper_only", {"settings": sorted(chosen)})] if chosen else []
    assert heard.told == expected
