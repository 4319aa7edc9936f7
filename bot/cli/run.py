"""``bot run``: the daemon."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.logs import LOG_FILE


def run(
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="paper or live.")] = None,
    exchange: Annotated[str | None, typer.Option("--exchange", help="ccxt id, such as binanceusdm.")] = None,
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Unified name; repeat it.")] = None,
    tape: Annotated[
        list[str] | None,
        typer.Option("--tape", help="Play this Parquet file (or SYMBOL=FILE) instead; repeat it."),
    ] = None,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0, help="Market seconds a second of a tape; 0 is as fast as it goes."),
    ] = 60.0,
    start_at: Annotated[
        str | None, typer.Option("--start-at", help="Where the tape starts (+3d, a date); before is history.")
    ] = None,
    funding: Annotated[
        list[str] | None, typer.Option("--funding", help="Parquet of funding rates for a tape; repeat it.")
    ] = None,
    sim_faults: Annotated[
        Path | None,
        typer.Option("--sim-faults", metavar="YAML", help="How the exchange that plays the tape misbehaves."),
    ] = None,
    until_tape_end: Annotated[
        bool, typer.Option("--until-tape-end", help="Stop when the tape has ended.")
    ] = False,
    resume_tape: Annotated[
        bool, typer.Option("--resume-tape", help="Go on where the tape stood when the bot was stopped.")
    ] = False,
    tape_goes_on: Annotated[
        bool,
        typer.Option(
            "--tape-goes-on", help="Once begun, the tape does not wait while the bot is not connected."
        ),
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="Model id, or no-trade; champion by default.")
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Trade a model on paper that the gate has not proven.")
    ] = False,
    understood: Annotated[
        bool,
        typer.Option(
            "--i-understand-live-trading",
            help="Mode live: real orders, real losses; said once for a state folder and an account.",
        ),
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", help="Trade the forecasts of this Parquet file, without a model."),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Name or package.module:factory.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Folder of journal, models, logs.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines on a terminal too.")] = False,
) -> None:
    """Trade, on paper unless told otherwise: stream candles, predict, decide, journal. Ctrl-C ends it in order; a new start goes on.

    A model that the gate has not promoted is refused (exit code 6), unless it is traded --unproven, knowingly: every
    line of the log and every page then says so. Where the champion is no-trade, nothing is traded.

    Example: bot run --exchange binanceusdm --symbol BTC/USDT:USDT

    --mode live sends real orders (docs/going-live.md); it takes a promoted model only, and `bot doctor --live` must find
    nothing failed.

    Example: bot run --unproven --tape binance-BTCUSDT-1m-2023-06-01_2023-06-03.parquet --speed 600 --until-tape-end
    """
    import asyncio
    import faulthandler

    from bot.daemon.app import run_bot
    from bot.daemon.hardening import keep_private
    from bot.daemon.tape import SimPlan
    from bot.errors import UsageError
    from bot.simexchange.config import API_KEY, API_SECRET

    if tape and exchange is not None:
        raise UsageError(f"--exchange {exchange}: a tape is played on an exchange of its own; leave one out")
    if sim_faults is not None and not tape:
        raise UsageError("--sim-faults belongs to --tape: a real exchange has faults of its own")
    if tape_goes_on and not tape:
        raise UsageError("--tape-goes-on belongs to --tape: a real market never waits")
    check_tapes(tape or [])
    flags: dict[str, Any] = {
        "mode": mode,
        "exchange.id": exchange,
        "exchange.symbols": symbol or None,
        "model.id": model,
        "model.unproven": True if unproven else None,
        "strategy.name": strategy,
        "state_dir": state_dir,
        "logs.format": "json" if as_json else None,
        # A tape is never traded on with the keys of a real account, and needs none.
        "exchange.api_key": API_KEY if tape else None,
        "exchange.api_secret": API_SECRET if tape else None,
    }
    settings = daemon_settings(config or [], flags, setting or [])
    keep_private(settings.state_dir)
    if settings.mode == "live":
        _enter_live(settings, understood=understood, on_tape=bool(tape))
    plan = None
    if tape:
        plan = SimPlan(
            tapes=tuple(tape),
            speed=speed,
            start_at=start_at,
            symbols=tuple(symbol or ()),
            until_end=until_tape_end,
            resume=resume_tape,
            funding=tuple(funding or ()),
            faults=sim_faults,
            goes_on=tape_goes_on,
        )
    predictor = None
    if predictions is not None:
        predictor = stored_predictor(predictions, tape or [])
    if not faulthandler.is_enabled() and sys.__stderr__ is not None:
        # A service manager ends who hangs by SIGABRT: the log then says where it hung.
        faulthandler.enable(sys.__stderr__)
    asyncio.run(run_bot(settings, sim=plan, predictor=predictor))


def _enter_live(settings: Any, *, understood: bool, on_tape: bool) -> None:
    """Ask for consent, and leave no core dump; lines for a person go to stderr."""
    from bot.daemon.consent import LiveAccount
    from bot.daemon.live_gate import enter_live

    exchange = settings.exchange
    account = LiveAccount(exchange.id, on_tape or exchange.simulated, exchange.credentials["apiKey"])
    for line in enter_live(settings.state_dir, account, understood=understood):
        typer.echo(line, err=True)


def daemon_settings(files: list[Path], flags: dict[str, Any], changes: list[str]) -> Any:
    """The settings of a run: files, environment, flags; the log also goes to the state folder unless told otherwise.

    Raises:
        UsageError: An assignment without ``=``; ConfigError: a wrong setting.
    """
    from bot.cli.config import assignments, require_strategy
    from bot.settings import load_with_sources

    given = {name: value for name, value in flags.items() if value is not None}
    loaded = load_with_sources(files, {**given, **assignments(changes)})
    require_strategy(loaded)  # now, and not when the exchange was connected
    settings = loaded.settings
    if settings.logs.file is None:
        logs = settings.logs.model_copy(update={"file": settings.state_dir / LOG_FILE})
        settings = settings.model_copy(update={"logs": logs})
    return settings


def check_tapes(tapes: list[str]) -> None:
    """Refuse a tape that is not there before anything is started; raises DataError."""
    from bot.candles.names import parse_tape
    from bot.errors import DataError

    for _, path in map(parse_tape, tapes):
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")


def stored_predictor(predictions: Path, tapes: list[str]) -> Any:
    """A predictor that reads forecasts from a file, checked against the tapes.

    Raises:
        UsageError: There is no tape; DataError: the file is wrong, or belongs to other candles.
    """
    from backtests.predictions_file import read_predictions
    from bot.candles.store import parse_tape, read_candles
    from bot.daemon.stored_predictions import StoredPredictor
    from bot.errors import UsageError

    if not tapes:
        raise UsageError("--predictions belongs to --tape: forecasts of the past can't be traded today")
    candles = {_played_as(symbol, path): read_candles(path) for symbol, path in map(parse_tape, tapes)}
    return StoredPredictor(read_predictions(predictions, candles).columns)


def _played_as(symbol: str, path: Path) -> str:
    """The symbol that the simulated exchange gives a tape: those of OKX are played as swaps."""
    from bot.candles.names import exchange_of

    contract = ":" in symbol or exchange_of(path) != "okx"
    return symbol if contract else f"{symbol}:{symbol.partition('/')[2]}"
