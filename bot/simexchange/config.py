"""What a simulated exchange is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bot.errors import ConfigError


class Market(StrEnum):
    """Which market is played: spot or USD-M perpetuals of Binance, or USDT swaps of OKX."""

    SPOT = "spot"
    USDM = "usdm"
    OKX = "okx"

    @property
    def exchange_id(self) -> str:
        """Name of the ccxt exchange class that talks to it."""
        return {Market.SPOT: "binance", Market.USDM: "binanceusdm", Market.OKX: "okx"}[self]


API_KEY = "simulated-exchange-key"
API_SECRET = "simulated-exchange-secret"  # noqa: S105 - of a market without money
API_PASSPHRASE = "simulated-exchange-passphrase"  # noqa: S105 - likewise; of an exchange that has one
"""The key of the account, where no other is given."""

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
        market: Which one; None takes it from the names of the tapes, USD-M perpetuals for the synthetic.
        speed: Market seconds a second; 0 is paced: as fast as the client acknowledges.
        start_at: ``+30d`` (after the first candle), an ISO time or milliseconds; None: at the first candle.
            What lies before is history.
        history_days: The synthetic market's days before its start, where ``start_at`` is None.
        port: 0 takes a free one.
        resume: Go on from ``sim/clock.json`` where there is one.
        parent_pid: End when this process is gone.
        hold_without_clients: Time stands while the symbols are not subscribed by anybody; None: unless speed is 1.
        wait_for_symbols: How many symbols must be subscribed; None: all. Where time does not stand without them, how
            many it waits for before it begins; None: none.
        partial_offsets_ms: When in a minute its unfinished bar is sent; whole milliseconds, ascending.
        ping_seconds: How often a WebSocket client is pinged.
        faults: A fault plan, YAML; None misbehaves in nothing.
        cash: What the account begins with, of each quote currency.
        taker_fee_bps: Of the notional.
        maker_fee_bps: Of the notional.
        half_spread_bps: A market order pays this, and the best bid and ask stand this far from the price...
        slippage_bps: ...and a market order pays this beyond.
        api_key: Public part of the key of the account.
        api_secret: What requests are signed with.
        api_passphrase: What an OKX client sends beside its key.
        may_read: Whether the key may read the account...
        may_trade: ...trade on it...
        may_withdraw: ...and withdraw, which is only told: nothing can be withdrawn.
        enforce_limits: Answer with 429 and 418 over the rate limits, which are of wall time.
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
    faults: Path | None = None
    cash: float = 10_000.0
    taker_fee_bps: float = 4.0
    maker_fee_bps: float = 2.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 1.0
    api_key: str = API_KEY
    api_secret: str = field(default=API_SECRET, repr=False)
    api_passphrase: str = field(default=API_PASSPHRASE, repr=False)
    may_read: bool = True
    may_trade: bool = True
    may_withdraw: bool = False
    enforce_limits: bool = False

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
        self._check_account()

    def _check_account(self) -> None:
        for name in ("cash", "taker_fee_bps", "half_spread_bps", "slippage_bps"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}: {getattr(self, name)} is not 0 or more")
        if not -100 < self.maker_fee_bps < float("inf"):
            raise ConfigError(f"maker_fee_bps: {self.maker_fee_bps} is not above -100")
        for name in ("api_key", "api_secret", "api_passphrase"):
            if not getattr(self, name):
                raise ConfigError(f"{name}: is empty")

    @property
    def holds(self) -> bool:
        """Whether time stands while nobody listens."""
        return self.speed != 1 if self.hold_without_clients is None else self.hold_without_clients

    @property
    def sim_dir(self) -> Path:
        """Where its files are."""
        return self.state_dir / "sim"
