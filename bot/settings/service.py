"""Settings of the daemon as a service: its control API, what it measures, and whom it notifies."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bot.settings.values import Number, Section, Whole, Words

DEFAULT_EVENTS: Final = (
    "service.failed",
    "service.interrupted",
    "service.stalled",
    "service.going_again",
    "risk.halted",
    "risk.state_changed",
    "model.swapped",
    "model.swap_refused",
    "model.rolled_back",
    "model.doubted",
    "drift.found",
    "retrain.failed",
    "retrain.missed",
    "replay.diverged",
    "replay.failed",
    "backup.failed",
    "order.rejected",
    "order.unknown",
    "order.cancel_failing",
    "order.trades_missing",
    "position.",
    "account.",
    "reconciliation.",
    "summary.daily",
)
"""Events that a person hears of unless the settings say otherwise."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_EVENT = re.compile(r"[a-z][a-z0-9_]*\.([a-z][a-z0-9_]*)?")


def _address(value: str) -> str:
    """Refuse what is no IP address: a name would be looked up, and might lead elsewhere tomorrow."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address, such as 127.0.0.1") from None


def _joined(value: Any) -> Any:
    """A list of addresses as the one secret text that they are kept as."""
    if isinstance(value, (list, tuple)):
        return "\n".join(str(one) for one in value)
    return value


def _urls(value: SecretStr | None) -> SecretStr | None:
    """Refuse what is no list of addresses; the sentence must not repeat them, they hold passwords."""
    if value is not None:
        for number, word in enumerate(value.get_secret_value().split(), 1):
            if _URL.fullmatch(word) is None:
                raise ValueError(f"address {number} must look like tgram://TOKEN/CHAT_ID")
    return value


def _events(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what can be no event and no beginning of one."""
    for name in names:
        if _EVENT.fullmatch(name) is None:
            raise ValueError(f"{name!r} must be an event such as risk.halted, or a group such as risk.")
    return names


EventNames = Annotated[Words, AfterValidator(_events)]
Urls = Annotated[SecretStr | None, BeforeValidator(_joined), AfterValidator(_urls)]


class ControlSettings(Section):
    """The HTTP API that commands go through; only this machine can reach it."""

    enabled: bool = Field(
        True, description="Whether the daemon serves it; without it `bot pause` has no effect."
    )
    host: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1",
        description="Address that it listens on. On any other than this machine's own, every request needs the token.",
    )
    port: Whole = Field(
        0, ge=0, le=65_535, description="Port; 0 takes a free one and writes it to control.json."
    )
    stalled_seconds: Number = Field(
        180.0,
        ge=61,
        le=86_400,
        description="Seconds without a decided minute after which the daemon counts as stalled.",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


class MetricsSettings(Section):
    """What is measured for Prometheus; the control API serves it under /metrics."""

    enabled: bool = Field(True, description="Whether figures are kept and served.")
    pulse_seconds: Number = Field(
        1.0, ge=0.1, le=60, description="How often the lag of the event loop is measured."
    )


class ShadowReplaySettings(Section):
    """Each night the daemon decides the day before once more, from the journal, and compares (docs/service.md)."""

    enabled: bool = Field(
        True, description="Whether it does; on a tape that is played at speed 0 it never does."
    )
    hour_utc: Whole = Field(1, ge=0, le=23, description="Hour (UTC) from which the day before is replayed.")
    forecasts: bool = Field(
        True, description="Whether the forecasts are made again too, by the models that made them."
    )
    timeout_minutes: Number = Field(60.0, gt=0, le=1440, description="A replay that runs longer is ended.")


class NotifySettings(Section):
    """Whom the daemon tells what a person should know, by Telegram, e-mail, webhooks and others."""

    urls: Urls = Field(
        None, description="Addresses as apprise writes them, separated by blanks or lines; null tells nobody."
    )
    events: EventNames = Field(
        DEFAULT_EVENTS,
        description="Events that are told, whatever their level; `risk.` stands for all that begin so.",
    )
    level: Literal["info", "warning", "error", "never"] = Field(
        "error", description="Events of this level and above are told as well; never leaves it at `events`."
    )
    mute: EventNames = Field((), description="Events that are never told.")
    quiet_minutes: Number = Field(
        10.0, ge=0, le=1440, description="The same event of the same symbol is told once in so many minutes."
    )
    summary_hour: Whole | None = Field(
        6, ge=0, le=23, description="Hour (UTC) of the daily summary; null sends none."
    )
    stalled_minutes: Number = Field(
        5.0,
        ge=2,
        le=1440,
        description="Minutes without a decided minute after which `service.stalled` is told.",
    )
    queue: Whole = Field(
        200,
        ge=10,
        le=100_000,
        description="Messages that wait for an address at most; later ones are dropped.",
    )
    attempts: Whole = Field(4, ge=1, le=10, description="How often a message is tried.")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each address by itself; they are secrets."""
        return () if self.urls is None else tuple(self.urls.get_secret_value().split())


class DashboardSettings(Section):
    """The pages that show the bot at work; a process of their own serves them: `bot dashboard`."""

    enabled: bool = Field(True, description="Whether `bot demo`, and so `make run`, starts them.")
    host: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1",
        description="Address that they are served on. Every request needs the token, on any address.",
    )
    port: Whole = Field(
        0, ge=0, le=65_535, description="Port; 0 takes a free one and writes it to dashboard.json."
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach them."""
        return ipaddress.ip_address(self.host).is_loopback
