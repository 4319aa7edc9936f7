"""How the daemon is watched and told what to do: the settings' sections control, metrics, notify and watchdog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from bot.daemon.control import ControlRules
from bot.daemon.notify import NotifyRules

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

    @classmethod
    def of(
        cls, control: ControlConfig, metrics: MetricsConfig, notify: NotifyConfig, watchdog: WatchdogConfig
    ) -> ServiceRules:
        """The rules that four sections of the settings say."""
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
