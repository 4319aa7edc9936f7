"""What a simulated exchange is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bot.errors import ConfigError


class Market(StrEnum):
    """Which of Binance's markets is played."""

    SPOT = "spot"
    USDM = "usdm"

    @property
    def exchange_id(self) -> str:
        """Name of the ccxt exchange class that talks to it."""
        return "binance" if self is Market.SPOT else "binanceusdm"


PARTIAL_OFFSETS_MS = (5_000, 20_000, 35_000, 50_000)
"""When in a minute its unfinished bar is sent."""


@dataclass(frozen=True, slots=True)
class SimConfig:
    """A simulated exchange: what it plays, how fast, where it listens.

    Attributes:
        state_dir: Its files are ``sim/endpoint.json``, ``sim/clock.json`` and ``sim/ca.pem`` in here.
        tapes: Parquet files, each a path (``binance-BTCUSDT-1m-….parquet``) or ``SYMBOL=path``; none plays the
            synthetic market.
        funding: Parquet files of funding rates (``ts``, ``funding_rate``), named or given like tapes.
        seed: Of the synthetic market.
        symbols: Of the synthetic market (``BTC/USDT:USDT``, ``BTCUSDT``, ``SIM001USDT``); with tapes, which of
            them to play. Empty: its default three, or all tapes.
        market: Spot or USD-M perpetuals; None takes it from the names of the tapes, USD-M for the synthetic.
        speed: Market seconds a second; 0 is paced: as fast as the client acknowledges.
        start_at: ``+30d`` (after the first candle), an ISO time or milliseconds; None: at the first candle.
            What lies before is history.
        history_days: The synthetic market's days before its start, where ``start_at`` is None.
        port: 0 takes a free one.
        resume: Go on from ``sim/clock.json`` where there is one.
        parent_pid: End when this process is gone.
        hold_without_clients: Time stands while the symbols are not subscribed by anybody; None: unless speed is 1.
        wait_for_symbols: How many symbols must be subscribed; None: all.
        partial_offsets_ms: When in a minute its unfinished bar is sent; whole milliseconds, ascending.
        ping_seconds: How often a WebSocket client is pinged.
    """

    state_dir: Path
    tapes: tuple[str, ...] = ()
    funding: tuple[str, ...] = ()
    seed: int = 1
    symbols: tuple[str, ...] = ()
    market: Market | None = None
    speed: float = 1.0
    start_at: str | None = None
    history_days: int = 30
    port: int = 0
    resume: bool = False
    parent_pid: int | None = None
    hold_without_clients: bool | None = None
    wait_for_symbols: int | None = None
    partial_offsets_ms: tuple[int, ...] = field(default=PARTIAL_OFFSETS_MS)
    ping_seconds: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what cannot be played, naming the field."""
        offsets = self.partial_offsets_ms
        if not offsets or list(offsets) != sorted(set(offsets)) or not 0 < offsets[0] <= offsets[-1] < 60_000:
            raise ConfigError("partial_offsets_ms: wants ascending milliseconds between 0 and 60000")
        if not 0 <= self.speed <= 100_000:
            raise ConfigError(f"speed: {self.speed} is not in 0 (paced) to 100000")
        if not 0 <= self.port < 65_536:
            raise ConfigError(f"port: {self.port} is not in 0 to 65535")
        if self.history_days < 0:
            raise ConfigError(f"history_days: {self.history_days} is negative")
        if self.wait_for_symbols is not None and self.wait_for_symbols < 1:
            raise ConfigError(f"wait_for_symbols: {self.wait_for_symbols} is not positive")
        if self.ping_seconds <= 0:
            raise ConfigError(f"ping_seconds: {self.ping_seconds} is not positive")

    @property
    def holds(self) -> bool:
        """Whether time stands while nobody listens."""
        return self.speed != 1 if self.hold_without_clients is None else self.hold_without_clients

    @property
    def sim_dir(self) -> Path:
        """Where its files are."""
        return self.state_dir / "sim"
