"""The shape of the settings: every section, field, default and bound.

Defaults of costs, risk and sizing are those of the core's own dataclasses. Everything is frozen; an unknown key is
an error. A field's description is what ``docs/settings.md`` says of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.core.market import InstrumentKind, kind_of, quote_of
from bot.core.sizing import SizingRule
from bot.settings.costs import CostSettings
from bot.settings.exchange import ExchangeSettings
from bot.settings.execution import ExecutionSettings
from bot.settings.orders import EntrySettings
from bot.settings.retraining import GateSettings, RetrainSettings, WatchSettings
from bot.settings.risk import RiskSettings, WatchdogSettings
from bot.settings.service import (
    ControlSettings,
    DashboardSettings,
    MetricsSettings,
    NotifySettings,
    ShadowReplaySettings,
)
from bot.settings.telegram import TelegramSettings
from bot.settings.upkeep import BackupSettings, RetentionSettings
from bot.settings.values import (
    MAX_MONEY,
    HomePath,
    Number,
    Parameters,
    Section,
    Whole,
    Words,
    mapping_of_json,
)

DISAGREEMENT: Final = "disagreement"
"""Type of the validation error of two fields that contradict each other."""
_SIZING = SizingRule()


class AccountSettings(Section):
    """The money that trading starts with."""

    starting_cash: Number = Field(
        10_000.0, gt=0, le=MAX_MONEY, description="Quote currency that a new paper account begins with."
    )
    quote: str = Field("USDT", pattern=r"^[A-Z0-9]{2,12}$", description="The account's currency.")


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


class SymbolStrategySettings(Section):
    """The strategy of one symbol; what it does not say is that of the rest, unless it names a strategy."""

    name: str | None = Field(None, min_length=1, description="As strategy.name.")
    parameter_set: str | None = Field(None, min_length=1, description="As strategy.parameter_set.")
    parameters: Parameters = Field(default_factory=dict, description="As strategy.parameters.")


class StrategySettings(Section):
    """What turns predictions into wishes."""

    name: str = Field(
        "lstm_scalping",
        min_length=1,
        description="A strategy that comes with the bot, or your own as package.module:factory.",
    )
    parameter_set: str = Field(
        "default",
        min_length=1,
        description="default, aggressive or conservative (lstm_scalping); forecast_hold has default alone.",
    )
    parameters: Parameters = Field(
        default_factory=dict, description="Single parameters that replace those of the set."
    )
    by_symbol: Annotated[dict[str, SymbolStrategySettings], BeforeValidator(mapping_of_json)] = Field(
        default_factory=dict,
        description="Symbols with a strategy of their own, each with name, parameter_set and parameters "
        "(docs/strategies.md).",
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
    repeat_most: Whole = Field(
        20,
        ge=0,
        le=1_000_000,
        description="Lines of the same event, symbol and level that are written in `repeat_seconds`; later ones are counted "
        "and told in one line with `repeated_count`. 0 writes all. Orders, decisions, risk and the like are always written.",
    )
    repeat_seconds: Number = Field(60.0, gt=0, le=86_400, description="How long such a stretch of time is.")
    repeat_exempt: Words = Field(
        (
            "candle.closed",
            "prediction.",
            "funding.",
            "model.",
            "drift.",
            "retrain.",
            "replay.",
            "summary.",
        ),
        description="Further events that are always written; `model.` stands for all that begin so.",
    )


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
    watchdog: WatchdogSettings = WatchdogSettings()
    sizing: SizingSettings = SizingSettings()
    entry: EntrySettings = EntrySettings()
    execution: ExecutionSettings = ExecutionSettings()
    strategy: StrategySettings = StrategySettings()
    model: ModelSettings = ModelSettings()
    retrain: RetrainSettings = RetrainSettings()
    gate: GateSettings = GateSettings()
    watch: WatchSettings = WatchSettings()
    logs: LogSettings = LogSettings()
    control: ControlSettings = ControlSettings()
    metrics: MetricsSettings = MetricsSettings()
    dashboard: DashboardSettings = DashboardSettings()
    shadow_replay: ShadowReplaySettings = ShadowReplaySettings()
    notify: NotifySettings = NotifySettings()
    telegram: TelegramSettings = TelegramSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()

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
        for name in self.strategy.by_symbol:
            if name not in self.exchange.symbols:
                problem = f"{name} is not traded; exchange.symbols has {', '.join(self.exchange.symbols)}"
                raise _disagreement(f"strategy.by_symbol.{name}", f"strategy.by_symbol.{name}", problem)
        if self.execution.stray_positions == "adopt" and self.execution.adopted_protection is None:
            problem = "adopt needs execution.adopted_stop_fraction and execution.adopted_target_fraction"
            raise _disagreement("execution.stray_positions", "execution.stray_positions", problem)
        if (fault := self.costs.fault(self.risk.max_total_notional_fraction)) is not None:
            name, problem = fault
            raise _disagreement(name, name, problem)
        self._check_telegram()
        if self.mode == "live":
            self._check_live()
        return self

    def _check_telegram(self) -> None:
        """Refuse to listen without a token, or to nobody."""
        telegram = self.telegram
        if telegram.enabled and telegram.token is None:
            problem = (
                "telegram.enabled needs it; set BOT__TELEGRAM__TOKEN_FILE to a file that only you can read"
            )
            raise _disagreement("telegram.token", "telegram.enabled", problem)
        if telegram.enabled and not telegram.chat_ids:
            problem = "telegram.enabled needs at least one; docs/service.md says how to find yours"
            raise _disagreement("telegram.chat_ids", "telegram.enabled", problem)

    def _check_live(self) -> None:
        exchange = self.exchange
        for name, key in (("api_key", exchange.api_key), ("api_secret", exchange.api_secret)):
            if key is None or not key.get_secret_value():
                variable = f"BOT__EXCHANGE__{name.upper()}"
                problem = f"mode live needs it; set {variable}_FILE to a file that only you can read and that holds it"
                raise _disagreement(f"exchange.{name}", "mode", problem)
        if exchange.simulated and exchange.connect_to is None:
            problem = "mode live on a simulated market needs exchange.connect_to: real orders would be called simulated"
            raise _disagreement("exchange.simulated", "exchange.simulated", problem)
        if exchange.clock == "market" and not exchange.simulated:
            problem = "mode live on a real market needs the clock of the system"
            raise _disagreement("exchange.clock", "exchange.clock", problem)
        self._check_margin()
        if self.model.unproven:
            problem = (
                "mode live never trades an unproven model; leave one of mode: live and model.unproven out"
            )
            raise _disagreement("model.unproven", "model.unproven", problem)

    def _check_margin(self) -> None:
        """Refuse limits that the leverage cannot pay for."""
        most = self.risk.max_total_notional_fraction
        leverage = 1 if self.is_spot else self.execution.leverage
        if most > leverage:
            named = "spot has no leverage" if self.is_spot else f"execution.leverage is {leverage}"
            problem = f"a total of {most:g} times the equity cannot be held: {named}"
            name = "max_total_notional_fraction"
            raise _disagreement(f"risk.{name}", f"risk.{name}", problem)

    @property
    def is_spot(self) -> bool:
        """Whether the symbols are spot; they are all of one kind."""
        return kind_of(self.exchange.symbols[0]) is InstrumentKind.SPOT

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


def _disagreement(field: str, said: str, problem: str) -> PydanticCustomError:
    """An error about a field that is wrong beside another; ``said`` is the field whose source is named."""
    return PydanticCustomError(DISAGREEMENT, "{problem}", {"field": field, "said": said, "problem": problem})
