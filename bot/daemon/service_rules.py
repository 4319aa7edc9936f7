"""How the daemon is watched and told what to do: the sections control, metrics, notify, watchdog and telegram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from bot.daemon.control import ControlRules
from bot.daemon.notify import NotifyRules
from bot.daemon.telegram import TelegramRules

WatchdogAction: TypeAlias = Literal["halt", "reduce", "flatten"]


class ControlConfig(Protocol):
    """What is read of the section ``control``."""

    @property
    def enabled(self) -> bool:
        """Whether it is on."""

    @property
    def host(self) -> str:
        """Address that it listens on."""

    @property
    def port(self) -> int:
        """Port; 0 takes a free one."""

    @property
    def stalled_seconds(self) -> float:
        """Without a minute for so long it counts as stalled."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""


class WatchdogConfig(Protocol):
    """What is read of the section ``watchdog``."""

    @property
    def minutes(self) -> float | None:
        """Without a minute for so long it acts; None never does."""

    @property
    def action(self) -> WatchdogAction:
        """What it does."""


class MetricsConfig(Protocol):
    """What is read of the section ``metrics``."""

    @property
    def enabled(self) -> bool:
        """Whether it is on."""

    @property
    def pulse_seconds(self) -> float:
        """How often the event loop's lag is measured."""


class NotifyConfig(Protocol):
    """What is read of the section ``notify``."""

    @property
    def events(self) -> tuple[str, ...]:
        """What is told."""

    @property
    def level(self) -> str:
        """What is told beside."""

    @property
    def mute(self) -> tuple[str, ...]:
        """What is never told."""

    @property
    def quiet_minutes(self) -> float:
        """How long the same is not told again."""

    @property
    def summary_hour(self) -> int | None:
        """Of the daily summary."""

    @property
    def stalled_minutes(self) -> float:
        """Without a minute for so long it is told."""

    @property
    def queue(self) -> int:
        """Messages that wait at most."""

    @property
    def attempts(self) -> int:
        """How often one is tried."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where messages go."""


class Secret(Protocol):
    """A value that is not shown."""

    def get_secret_value(self) -> str:
        """The value."""


class TelegramConfig(Protocol):
    """What is read of the section ``telegram``."""

    @property
    def enabled(self) -> bool:
        """Whether it is on."""

    @property
    def token(self) -> Secret | None:
        """The bot's."""

    @property
    def chat_ids(self) -> tuple[int, ...]:
        """Whose commands are carried out."""

    @property
    def api_url(self) -> str:
        """Where the Bot API is."""

    @property
    def poll_seconds(self) -> float:
        """How long a question is held open."""

    @property
    def oldest_seconds(self) -> float:
        """A command that was sent longer ago is refused."""


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """How the daemon is watched and told what to do.

    Attributes:
        control: How the control API is served; None has none.
        unhealthy_seconds: Without a minute for so long it counts as stalled.
        metrics: Whether figures are kept.
        pulse_seconds: How often the event loop's lag is measured.
        notify: Who is told what; None tells nobody.
        stalled_seconds: Without a minute for so long ``service.stalled`` is told.
        summary_hour: Of the daily summary, UTC; None writes none.
        blind_seconds: Without a minute for so long the watchdog acts; None never does.
        blind_action: What it does.
        telegram: Whose commands are taken from Telegram; None takes none.
        log_file: The log's JSON lines; None where no file has them.
    """

    control: ControlRules | None
    unhealthy_seconds: float
    metrics: bool
    pulse_seconds: float
    notify: NotifyRules | None
    stalled_seconds: float
    summary_hour: int | None
    blind_seconds: float | None = None
    blind_action: WatchdogAction = "halt"
    telegram: TelegramRules | None = None
    log_file: Path | None = None

    @classmethod
    def of(
        cls,
        control: ControlConfig,
        metrics: MetricsConfig,
        notify: NotifyConfig,
        watchdog: WatchdogConfig,
        telegram: TelegramConfig,
        log_file: Path | None,
    ) -> ServiceRules:
        """The rules that five sections of the settings say, and where the log is written."""
        return cls(
            control=ControlRules(control.host, control.port, control.is_loopback)
            if control.enabled
            else None,
            unhealthy_seconds=control.stalled_seconds,
            metrics=metrics.enabled,
            pulse_seconds=metrics.pulse_seconds,
            notify=notify_rules(notify) if notify.addresses else None,
            stalled_seconds=notify.stalled_minutes * 60,
            summary_hour=notify.summary_hour,
            blind_seconds=None if watchdog.minutes is None else watchdog.minutes * 60,
            blind_action=watchdog.action,
            telegram=telegram_rules(telegram),
            log_file=log_file,
        )


def telegram_rules(telegram: TelegramConfig) -> TelegramRules | None:
    """Whose commands are taken from Telegram; None where it is off."""
    if not telegram.enabled or telegram.token is None:
        return None
    return TelegramRules(
        token=telegram.token.get_secret_value(),
        chat_ids=frozenset(telegram.chat_ids),
        api_url=telegram.api_url,
        poll_seconds=telegram.poll_seconds,
        oldest_seconds=telegram.oldest_seconds,
    )


def notify_rules(notify: NotifyConfig) -> NotifyRules:
    """Who is told what."""
    return NotifyRules(
        addresses=notify.addresses,
        events=notify.events,
        level=notify.level,
        mute=notify.mute,
        quiet_seconds=notify.quiet_minutes * 60,
        capacity=notify.queue,
        attempts=notify.attempts,
    )
