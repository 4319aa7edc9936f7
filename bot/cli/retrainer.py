"""``bot retrainer``: retraining by the schedule, in a process or container of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

LOG_FILE = Path("logs") / "retrainer.jsonl"


def retrainer(
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="The folder that the daemon keeps its state in.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines on a terminal too.")] = False,
) -> None:
    """Retrain by retrain.schedule beside a daemon that leaves it to this process (retrain.by: service). Ctrl-C ends it in order.

    It shares the state folder with the daemon, and has the same settings. A challenger that the gate has promoted is found
    by the daemon within a minute; what became of each retraining the daemon tells, counts and notifies.

    Example: bot retrainer --set retrain.enabled=true --set retrain.by=service
    """
    import asyncio

    from bot.cli.run import daemon_settings
    from bot.clock import wall_ms
    from bot.daemon.parts import retrain_plan
    from bot.daemon.retrain_service import serve_retrainer
    from bot.daemon.retrainer import COMMAND
    from bot.logs import configure, get_logger

    flags = {
        "mode": "paper",  # it sends no orders, and needs no keys
        "state_dir": state_dir,
        "logs.format": "json" if as_json else None,
    }
    settings = daemon_settings(config or [], flags, setting or [])
    require_own_process(settings)
    # The daemon rotates its own file; two writers would take it from each other.
    logs = settings.logs.model_copy(update={"file": settings.state_dir / LOG_FILE})
    configure(logs, run_id="retrainer", mode=settings.mode, simulated=settings.exchange.simulated)
    log = get_logger("bot.daemon.retrain_service")
    asyncio.run(serve_retrainer(retrain_plan(settings, COMMAND), settings.state_dir, log, wall_ms))


def require_own_process(settings: Any) -> None:
    """Refuse settings by which the daemon, or nobody, retrains: two would train the same weeks; raises ConfigError."""
    from bot.errors import ConfigError

    if not settings.retrain.enabled:
        raise ConfigError("retrain.enabled is false: set it to true, for this process and for the daemon")
    if settings.retrain.by != "service":
        raise ConfigError(
            "retrain.by is daemon: the daemon retrains by itself; set it to service, for this process and for the daemon"
        )
