"""``bot pause``, ``resume``, ``halt``, ``flatten`` and ``healthcheck``: words to a running daemon, and how it is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from bot.cli.watch import DEFAULT_STATE_DIR, AsJson, StateDir

Reason = Annotated[
    str, typer.Option("--reason", help="Why; it goes into the log and the journal.", metavar="TEXT")
]
BY_HAND = "by hand"
LONGEST_REASON = 200


def pause(reason: Reason = BY_HAND, state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Open no new positions; what is open is kept, protected, and closed by the strategy. Restarts change nothing.

    Example: bot pause --reason "central bank at two"
    """
    _give("pause", reason, state_dir, as_json=as_json)


def resume(
    reason: Reason = BY_HAND, state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False
) -> None:
    """Take on risk again, after a pause, a halt or a limit; drawdown and daily loss are counted anew.

    Example: bot resume --state-dir var
    """
    _give("resume", reason, state_dir, as_json=as_json)


def halt(reason: Reason = BY_HAND, state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Stop taking risk until somebody resumes, as the drawdown limit does; protective orders stay.

    Example: bot halt --reason "the exchange is acting up"
    """
    _give("halt", reason, state_dir, as_json=as_json)


def flatten(
    reason: Reason = BY_HAND, state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False
) -> None:
    """Close every position at once, at the market, and pause. It does not ask again.

    Example: bot flatten --reason "going away"
    """
    _give("flatten", reason, state_dir, as_json=as_json)


def healthcheck(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    seconds: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds that the answer may take.")
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Tell whether the daemon gets on: minutes are decided as they should be, whatever it may trade.

    Exit code 0: it does, halted or not. 1: it is stalled, starting, or does not answer. 3: no daemon is running.

    Example: bot healthcheck --state-dir var --timeout 3
    """
    from bot.daemon.control_client import read_health

    answer = read_health(state_dir, seconds)
    healthy = answer.status == 200 and answer.body.get("healthy") is True
    if as_json:
        typer.echo(json.dumps(answer.body))
    else:
        typer.echo(_health_line(answer.body))
    if not healthy:
        raise typer.Exit(1)


def _health_line(body: dict[str, Any]) -> str:
    if "since_decided_seconds" not in body:
        return f"not healthy: {body.get('error', 'the answer cannot be read')}"
    word = "healthy" if body.get("healthy") else "stalled" if body.get("stalled") else "not ready"
    return (
        f"{word}: state {body.get('state')}, the last minute was decided {body['since_decided_seconds']:.0f} s ago "
        f"(stalled from {body.get('expected_seconds', 0):.0f} s on)"
    )


def _give(name: str, reason: str, state_dir: Any, *, as_json: bool) -> None:
    from bot.daemon.control_client import give_command
    from bot.errors import UsageError

    if not 0 < len(reason) <= LONGEST_REASON:
        raise UsageError(f"--reason: write 1 to {LONGEST_REASON} characters, not {len(reason)}")
    after = give_command(state_dir, name, reason)
    if as_json:
        typer.echo(json.dumps(after, indent=2))
        return
    typer.echo(
        f"{name}: state {after.get('state')} ({after.get('state_reason')}), "
        f"{len(after.get('positions', []))} positions, {len(after.get('open_orders', []))} open orders"
    )
