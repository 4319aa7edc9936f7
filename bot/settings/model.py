"""The shape of the settings: every section, field, default and bound.

Defaults of costs, risk and sizing are those of the core's own dataclasses. Everything is frozen; an unknown key is
an error. A field's description is what ``docs/settings.md`` says of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.core.market import quote_of
from bot.core.matching import Costs
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from bot.errors import ConfigError
from bot.settings.retraining import GateSettings, RetrainSettings, WatchSettings
from bot.settings.values import HomePath, LocalAddress, Number, Parameters, Section, Symbols, Whole, Words

MAX_MONEY: Final = 1e12
DISAGREEMENT: Final = "disagreement"
"""Type of the validation error of two fields that contradict each other."""
_COSTS, _LIMITS, _SIZING = Costs(), RiskLimits(), SizingRule()


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

    @property
    def address(self) -> tuple[str, int] | None:
        """``connect_to`` as host and port."""
        if self.connect_to is None:
            return None
        host, _, port = self.connect_to.rpartition(":")
        return host.strip("[]"), int(port)


class AccountSettings(Section):
    """The money that trading starts with."""

    starting_cash: Number = Field(
        10_000.0, gt=0, le=MAX_MONEY, description="Quote currency that a new paper account begins with."
    )
    quote: str = Field("USDT", pattern=r"^[A-Z0-9]{2,12}$", description="The account's currency.")


class CostSettings(Section):
    """What trading costs, in basis points of the notional (1 bp = 0.01 %)."""

    taker_fee_bps: Number = Field(_COSTS.taker_fee_bps, ge=0, le=100, description="Fee of a market order.")
    half_spread_bps: Number = Field(
        _COSTS.half_spread_bps, ge=0, le=100, description="Half the distance between bid and ask."
    )
    slippage_bps: Number = Field(
        _COSTS.slippage_bps, ge=0, le=100, description="What a market order moves beyond that."
    )
    funding_rate: Number = Field(
        _COSTS.funding_rate,
        ge=-0.03,
        le=0.03,
        description="Per 8 hours, as a fraction, for a perpetual whose rates are not given.",
    )

    def to_core(self) -> Costs:
        """The costs as the core takes them."""
        return Costs(**self.model_dump())


class RiskSettings(Section):
    """What the account may never exceed."""

    max_symbol_notional_fraction: Number = Field(
        _LIMITS.max_symbol_notional_fraction,
        gt=0,
        le=5,
        description="Notional in one symbol, as a fraction of equity.",
    )
    max_total_notional_fraction: Number = Field(
        _LIMITS.max_total_notional_fraction,
        gt=0,
        le=10,
        description="Notional in all symbols together, as a fraction of equity.",
    )
    max_symbol_notional: Number | None = Field(
        _LIMITS.max_symbol_notional,
        gt=0,
        le=MAX_MONEY,
        description="The same for one symbol in quote currency; null leaves only the fraction.",
    )
    max_total_notional: Number | None = Field(
        _LIMITS.max_total_notional,
        gt=0,
        le=MAX_MONEY,
        description="The same for all together in quote currency; null leaves only the fraction.",
    )
    max_daily_loss_fraction: Number = Field(
        _LIMITS.max_daily_loss_fraction,
        gt=0,
        le=1,
        description="Loss since 00:00 UTC, of the equity then; beyond it no new risk until the next day.",
    )
    max_drawdown_fraction: Number = Field(
        _LIMITS.max_drawdown_fraction,
        gt=0,
        le=1,
        description="Fall from the highest equity; beyond it trading halts until a person resumes it.",
    )
    max_orders_per_minute: Whole = Field(
        _LIMITS.max_orders_per_minute,
        ge=1,
        le=1000,
        description="Orders decided within one minute; further entries are refused.",
    )
    max_prediction_age_seconds: Number = Field(
        _LIMITS.max_prediction_age_seconds,
        gt=0,
        le=3600,
        description="A candle older than this is not traded on.",
    )

    def to_core(self) -> RiskLimits:
        """The limits as the core takes them."""
        return RiskLimits(**self.model_dump())


class SizingSettings(Section):
    """How large an entry is."""

    equity_fraction: Number = Field(
        _SIZING.equity_fraction,
        gt=0,
        le=5,
        description="Notional of a new position as a fraction of equity; the risk limits cut it.",
    )
    target_volatility: Number | None = Field(
        _SIZING.target_volatility,
        gt=0,
        le=1,
        description="Expected volatility over the model's horizon, as a fraction, above which positions are made smaller; "
        "null: never.",
    )

    def to_core(self) -> SizingRule:
        """The rule as the core takes it."""
        return SizingRule(**self.model_dump())


class StrategySettings(Section):
    """What turns predictions into wishes."""

    name: str = Field(
        "lstm_scalping",
        min_length=1,
        description="A strategy that comes with the bot, or your own as package.module:factory.",
    )
    parameter_set: str = Field(
        "default", min_length=1, description="default, aggressive or conservative (lstm_scalping)."
    )
    parameters: Parameters = Field(
        default_factory=dict, description="Single parameters that replace those of the set."
    )


class ModelSettings(Section):
    """Which model predicts."""

    id: str = Field(
        "champion",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Its id; champion is the promoted one, or the latest where none was promoted.",
    )
    fallback: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Id of the model that predicts when that one is refused, such as a forest; null does not start.",
    )
    root: HomePath | None = Field(
        None, description="Folder of the models; null is models in the state folder."
    )
    unproven: bool = Field(
        False, description="Trade a model on paper that the gate has not proven; live trading never does."
    )


class LogSettings(Section):
    """What is written about what happens."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto is console on a terminal and one JSON object a line elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is written."
    )
    console_omits: Words = Field(
        ("candle.closed", "prediction.made"),
        description="Events that the console form leaves out; JSON lines have them all.",
    )
    file: HomePath | None = Field(
        None, description="A file that gets the JSON lines as well; null writes none."
    )
    max_bytes: Whole = Field(
        10_000_000, ge=10_000, le=10_000_000_000, description="Size at which that file is rotated."
    )
    backups: Whole = Field(5, ge=1, le=1000, description="How many rotated files are kept.")


class Settings(BaseSettings):
    """All settings of the bot."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, validate_default=True
    )

    mode: Literal["paper", "live"] = Field("paper", description="Whether orders are simulated or real.")
    state_dir: HomePath = Field(
        Path("var"),
        description="Folder of the journal, candles, models and logs; BOT_STATE_DIR changes its default.",
    )
    exchange: ExchangeSettings = ExchangeSettings()
    account: AccountSettings = AccountSettings()
    costs: CostSettings = CostSettings()
    risk: RiskSettings = RiskSettings()
    sizing: SizingSettings = SizingSettings()
    strategy: StrategySettings = StrategySettings()
    model: ModelSettings = ModelSettings()
    retrain: RetrainSettings = RetrainSettings()
    gate: GateSettings = GateSettings()
    watch: WatchSettings = WatchSettings()
    logs: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what is passed in: ``load_settings`` alone looks at files and environment."""
        return (init_settings,)

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        """Refuse fields that contradict each other."""
        for name in self.exchange.symbols:
            if quote_of(name) != self.account.quote:
                problem = f"{name} is paid in {quote_of(name)}, but account.quote is {self.account.quote}"
                raise _disagreement("exchange.symbols", "exchange.symbols", problem)
        if self.mode == "live":
            self._check_live()
        return self

    def _check_live(self) -> None:
        exchange = self.exchange
        for name, key in (("api_key", exchange.api_key), ("api_secret", exchange.api_secret)):
            if key is None or not key.get_secret_value():
                variable = f"BOT__EXCHANGE__{name.upper()}"
                problem = f"mode live needs it; set {variable}, or {variable}_FILE to a file that holds it"
                raise _disagreement(f"exchange.{name}", "mode", problem)
        if exchange.simulated or exchange.clock == "market":
            field = "exchange.simulated" if exchange.simulated else "exchange.clock"
            raise _disagreement(field, field, "mode live cannot trade on a simulated market or by its clock")
        if self.model.unproven:
            problem = (
                "mode live never trades an unproven model; leave one of mode: live and model.unproven out"
            )
            raise _disagreement("model.unproven", "model.unproven", problem)

    @property
    def models_dir(self) -> Path:
        """Folder of the models."""
        return self.model.root or self.state_dir / "models"

    @property
    def candles_dir(self) -> Path:
        """Folder of the stored candles."""
        return self.state_dir / "candles"

    @property
    def journal_path(self) -> Path:
        """The journal's database."""
        return self.state_dir / "journal.sqlite"

    def require_available_mode(self) -> None:
        """Refuse the mode that this version does not have.

        Raises:
            ConfigError: The mode is live.
        """
        if self.mode != "paper":
            raise ConfigError(f"mode: {self.mode} trading is not available in this version, paper is")


def _disagreement(field: str, said: str, problem: str) -> PydanticCustomError:
    """An error about a field that is wrong beside another; ``said`` is the field whose source is named."""
    return PydanticCustomError(DISAGREEMENT, "{problem}", {"field": field, "said": said, "problem": problem})
