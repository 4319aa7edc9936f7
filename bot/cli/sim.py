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
        typer.Option("--market", help="spot, usdm or okx; by default as the tapes are named, else usdm."),
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
        typer.Option(
            "--wait-for-symbols",
            min=1,
            help="How many must be subscribed; default all, and none to go on without.",
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="YAML", help="A fault plan: how it misbehaves (docs/faults.md)."),
    ] = None,
    cash: Annotated[
        float, typer.Option("--cash", min=0, help="What the account begins with, of each quote currency.")
    ] = 10_000.0,
    taker_fee_bps: Annotated[float, typer.Option("--taker-fee-bps", min=0, help="Of the notional.")] = 4.0,
    maker_fee_bps: Annotated[float, typer.Option("--maker-fee-bps", help="Of the notional.")] = 2.0,
    half_spread_bps: Annotated[
        float, typer.Option("--half-spread-bps", min=0, help="A market order pays this...")
    ] = 0.5,
    slippage_bps: Annotated[
        float, typer.Option("--slippage-bps", min=0, help="...and this beyond the price.")
    ] = 1.0,
    api_key: Annotated[
        str | None, typer.Option("--api-key", help="The account's key (default: the simulator's own).")
    ] = None,
    api_secret: Annotated[
        str | None, typer.Option("--api-secret", help="What requests are signed with; never a real one.")
    ] = None,
    api_passphrase: Annotated[
        str | None, typer.Option("--api-passphrase", help="What an OKX client sends beside its key.")
    ] = None,
    enforce_limits: Annotated[
        bool, typer.Option("--enforce-limits", help="Answer with 429 and 418 over the rate limits.")
    ] = False,
    as_json: Annotated[  # noqa: ARG001 - `main` reads it
        bool, typer.Option("--json", help="Print errors as JSON; where it listens is in sim/.")
    ] = False,
) -> None:
    """Serve a simulated exchange on loopback until Ctrl-C; it speaks the REST and WebSocket protocols of Binance or OKX.

    Without --tape it plays a seeded synthetic market. Where it listens is written to STATE_DIR/sim/endpoint.json.

    Example: bot sim --speed 60 --seed 7
    """
    from bot.clock import monotonic_ns
    from bot.daemon.sd_notify import Herald
    from bot.errors import UsageError
    from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET, Market, SimConfig
    from bot.simexchange.server import serve

    try:
        played = Market(market) if market else None
    except ValueError as error:
        raise UsageError(f"--market {market}: use {' or '.join(kind.value for kind in Market)}") from error
    herald = Herald.of_environment(os.environ, os.getpid(), monotonic_ns)
    with herald:
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
                faults=faults,
                cash=cash,
                taker_fee_bps=taker_fee_bps,
                maker_fee_bps=maker_fee_bps,
                half_spread_bps=half_spread_bps,
                slippage_bps=slippage_bps,
                api_key=api_key or API_KEY,
                api_secret=api_secret or API_SECRET,
                api_passphrase=api_passphrase or API_PASSPHRASE,
                enforce_limits=enforce_limits,
            ),
            lambda endpoint: herald.listening(f"SIMULATED market at {endpoint.host}:{endpoint.port}"),
        )
