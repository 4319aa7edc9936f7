"""``bot sim``: the simulated exchange as a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def sim(
    tape: Annotated[
        list[str] | None,
        typer.Option("--tape", metavar="[SYMBOL=]PARQUET", help="Recorded bars; repeatable."),
    ] = None,
    funding: Annotated[
        list[str] | None,
        typer.Option("--funding", metavar="[SYMBOL=]PARQUET", help="Funding rates of a tape."),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="Symbol of the synthetic market, or tape to play; repeatable."),
    ] = None,
    market: Annotated[
        str | None,
        typer.Option("--market", help="spot or usdm; by default as the tapes are named, else usdm."),
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", min=0, help="Market seconds a second; 0: as fast as acknowledged.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the synthetic market.")] = 1,
    start_at: Annotated[
        str | None,
        typer.Option("--start-at", metavar="WHEN", help="+30d after the first bar, an ISO time, or ms."),
    ] = None,
    history_days: Annotated[
        int, typer.Option("--history-days", min=0, help="The synthetic market's days before its start.")
    ] = 30,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.")] = 0,
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="Its files lie in sim/ in here (default: BOT_STATE_DIR or var)."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the clock was.")] = False,
    parent_pid: Annotated[
        int | None, typer.Option("--parent-pid", help="End when this process is gone.")
    ] = None,
    hold_without_clients: Annotated[
        bool | None,
        typer.Option(
            "--hold-without-clients/--go-on-without-clients", help="By default: hold unless speed is 1."
        ),
    ] = None,
    wait_for_symbols: Annotated[
        int | None,
        typer.Option("--wait-for-symbols", min=1, help="How many must be subscribed; default all."),
    ] = None,
    as_json: Annotated[  # noqa: ARG001 - `main` reads it
        bool, typer.Option("--json", help="Print errors as JSON; where it listens is in sim/.")
    ] = False,
) -> None:
    """Serve a simulated exchange on loopback until Ctrl-C; it speaks Binance's REST and WebSocket protocols.

    Without --tape it plays a seeded synthetic market. Where it listens is written to STATE_DIR/sim/endpoint.json.

    Example: bot sim --speed 60 --seed 7
    """
    from bot.errors import UsageError
    from bot.simexchange.config import Market, SimConfig
    from bot.simexchange.server import serve

    try:
        played = Market(market) if market else None
    except ValueError as error:
        raise UsageError(f"--market {market}: use {' or '.join(kind.value for kind in Market)}") from error
    serve(
        SimConfig(
            state_dir=state_dir or Path(os.environ.get("BOT_STATE_DIR") or "var"),
            tapes=tuple(tape or ()),
            funding=tuple(funding or ()),
            seed=seed,
            symbols=tuple(symbol or ()),
            market=played,
            speed=speed,
            start_at=start_at,
            history_days=history_days,
            port=port,
            resume=resume,
            parent_pid=parent_pid,
            hold_without_clients=hold_without_clients,
            wait_for_symbols=wait_for_symbols,
        )
    )
