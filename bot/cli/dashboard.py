"""``bot dashboard``: the pages that show a bot at work, served by a process of their own."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.dashboard.contracts import DashboardRules, Log, Sources
    from bot.web.files import Address

NICENESS = 10
"""Below the daemon: who looks on must never be in the way of who trades."""

PATIENCE_SECONDS = 2.0
LARGEST_ANSWER = 4_000_000


def dashboard(
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="The folder that the daemon keeps its state in.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address that is listened on; the token is needed on any.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the address as a line of JSON on stdout; log JSON lines.")
    ] = False,
) -> None:
    """Serve pages that show what the bot of a state folder does and has done, until Ctrl-C. Nothing can be changed by them.

    It reads what the daemon writes, and waits where there is nothing yet. The address that it prints holds a token: whoever
    has it may look.

    Example: bot dashboard --state-dir var/demo --port 8080
    """
    from bot.cli.run import daemon_settings
    from bot.logs import close, configure, get_logger
    from bot.redaction import keep_secret

    settings = daemon_settings(
        config or [],
        {
            "state_dir": state_dir,
            "dashboard.host": host,
            "dashboard.port": port,
            "logs.format": "json" if as_json else None,
        },
        setting or [],
    )
    os.nice(NICENESS)
    configure(settings.logs.model_copy(update={"file": None}), stream=sys.stderr.buffer)
    try:
        asyncio.run(_serve(rules_of(settings), get_logger(__name__), keep_secret, as_json, open_page))
    finally:
        close()


def rules_of(settings: Any) -> DashboardRules:
    """How the dashboard of these settings is served, and what it reads."""
    from importlib.metadata import version

    from bot.dashboard.contracts import DashboardRules

    section = settings.dashboard
    return DashboardRules(
        state_dir=settings.state_dir,
        models_dir=settings.models_dir,
        log_file=settings.logs.file,
        version=version("lstm-scalping-bot"),
        host=section.host,
        port=section.port,
        loopback=section.is_loopback,
    )


def sources_of(rules: DashboardRules) -> Sources:
    """What the dashboard is handed: the daemon's word, clocks, and what commands know to make."""
    from bot.clock import monotonic_ns, wall_ms
    from bot.dashboard.contracts import Sources

    def performance(model_id: str, rows: list[Any]) -> Mapping[str, Any]:
        from bot.cli.model_performance import describe

        return describe(model_id, rows, None)

    def explained(decision_id: str) -> Mapping[str, Any]:
        from backtests.explain import explain

        return explain(rules.journal, decision_id, rules.models_dir)

    return Sources(RunningDaemon(rules.state_dir), performance, explained, wall_ms, monotonic_ns)


class RunningDaemon:
    """The daemon of a state folder, asked over its control API.

    Args:
        state_dir: The folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def process_id(self) -> int | None:
        """Its process; None while none runs."""
        from bot.daemon.lock import holder

        return holder(self._state_dir)

    def health(self) -> Mapping[str, Any] | None:
        """What ``/v1/health`` answers; None where it does not."""
        content = self._get("/v1/health")
        try:
            found = None if content is None else json.loads(content)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def figures(self) -> str | None:
        """The text of ``/metrics``; None where there is none."""
        content = self._get("/metrics")
        return None if content is None else content.decode("utf-8", "replace")

    def _get(self, path: str) -> bytes | None:
        """One question; None where no proper answer comes: it starts, stops, or has no control API."""
        from bot.daemon.control_files import read_address, read_token

        address = read_address(self._state_dir)
        if address is None:
            return None
        token = read_token(self._state_dir)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(address.reached_at, address.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            content = reply.read(LARGEST_ANSWER)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return content if reply.status in {200, 503} else None


def page_address(address: Address, token: str) -> str:
    """What a person opens."""
    host = address.reached_at
    return f"http://{f'[{host}]' if ':' in host else host}:{address.port}/?token={token}"


async def _serve(rules: DashboardRules, log: Log, keep_secret: Any, as_json: bool, open_page: bool) -> None:
    from bot.clock import monotonic_ns
    from bot.daemon.sd_notify import Herald
    from bot.dashboard.server import Dashboard

    board = Dashboard(rules, sources_of(rules), log)
    try:
        address = board.open()
        keep_secret(board.token)  # from here on no line of the log shows it
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        _tell(rules, address, page_address(address, board.token), as_json=as_json)
        if open_page:
            typer.launch(page_address(address, board.token))
        with Herald.of_environment(os.environ, os.getpid(), monotonic_ns) as herald:
            herald.listening(f"pages of {rules.state_dir} at {address.host}:{address.port}")
            await board.serve(stop)
    finally:
        board.close()


def _tell(rules: DashboardRules, address: Address, page: str, *, as_json: bool) -> None:
    """Print the address: for a person on stderr, for a program as one line on stdout."""
    if as_json:
        told = {"address": page, "host": address.host, "port": address.port, "process_id": address.pid}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"The dashboard of {rules.state_dir}: {page}", err=True)
    if not rules.loopback:
        typer.echo(
            "Others can reach this address, and the token travels as plain text: put a proxy with TLS in front, "
            "or listen on 127.0.0.1 and use an SSH tunnel.",
            err=True,
        )
