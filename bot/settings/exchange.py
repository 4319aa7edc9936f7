"""Settings of the exchange: what is traded there, how it is reached, and the keys of the account."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr

from bot.settings.values import HomePath, LocalAddress, Number, Section, Symbols


class ExchangeSettings(Section):
    """Where candles come from and orders go."""

    id: str = Field("binanceusdm", pattern=r"^[a-z0-9_]+$", description="ccxt's name of the exchange.")
    symbols: Symbols = Field(
        ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"),
        description="Unified names of what is traded, all in one quote currency.",
    )
    connect_to: LocalAddress | None = Field(
        None, description="Loopback address and port of a local exchange; null connects to the real one."
    )
    ca_file: HomePath | None = Field(
        None, description="PEM file of the only certificate authority trusted on a local exchange."
    )
    simulated: bool = Field(False, description="Whether its market is simulated; shown with every figure.")
    clock: Literal["system", "market"] = Field(
        "system",
        description="Whose time it is: the system's, or that of the exchange's own messages "
        "(for a simulated exchange that runs faster).",
    )
    paced: bool = Field(False, description="Acknowledge every minute to a paced simulated exchange.")
    batch_deadline_seconds: Number = Field(
        5.0, gt=0, lt=60, description="How long a minute's candles wait for those of the other symbols."
    )
    stall_seconds: Number = Field(
        90.0, gt=0, le=3600, description="Silence of a symbol after which its connection is made anew."
    )
    api_key: SecretStr | None = Field(
        None, description="Key of the exchange's API; only live trading needs it."
    )
    api_secret: SecretStr | None = Field(None, description="Secret of that key.")
    api_password: SecretStr | None = Field(
        None, description="Passphrase of that key, on exchanges that have one (OKX)."
    )

    @property
    def credentials(self) -> dict[str, str]:
        """Key, secret and password under ccxt's names; those that there are."""
        given = {"apiKey": self.api_key, "secret": self.api_secret, "password": self.api_password}
        return {name: value.get_secret_value() for name, value in given.items() if value is not None}

    @property
    def address(self) -> tuple[str, int] | None:
        """``connect_to`` as host and port."""
        if self.connect_to is None:
            return None
        host, _, port = self.connect_to.rpartition(":")
        return host.strip("[]"), int(port)
