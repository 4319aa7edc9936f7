"""``bot demo``, which ``make run`` calls: an exchange of our own, a first model, and paper trading on it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.cli.dashboard_child import Beside
    from bot.daemon.tape import SimEndpoint

STATE_DIR = Path("var/demo")
HISTORY_DAYS = 30
TRAIN_MINUTES = 1.5
EXCHANGE_HISTORY = "history"


def demo(
    tape: Annotated[
        list[str] | None, typer.Option("--tape", help="Play this recorded Parquet file instead; repeat it.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", min=0, help="Market seconds a second.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the synthetic market.")] = 1,
    state_dir: Annotated[Path | None, typer.Option("--state-dir", help="Where everything is kept.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.05, help="Stop after this many minutes of real time.")
    ] = None,
    pages: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Serve the pages of `bot dashboard` beside it.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Log JSON lines on a terminal too.")] = False,
) -> None:
    """Show the whole bot at work on a simulated exchange: history, a first model, then paper trading, with its dashboard.

    A second start goes on with the same account, the same model and the same market.

    Example: bot demo --speed 60

    Example: bot demo --tape binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet --speed 600
    """
    from bot.cli.run import check_tapes
    from bot.daemon.lock import holder
    from bot.errors import ConfigError

    check_tapes(tape or [])
    folder = state_dir or _folder(tape or [])
    if (pid := holder(folder)) is not None:
        raise ConfigError(f"a demonstration (process {pid}) is already running on {folder}: stop it first")
    asyncio.run(_demo(folder, tuple(tape or ()), speed, seed, minutes, as_json, pages))


def _folder(tapes: list[str]) -> Path:
    """Each tape has an account of its own."""
    if not tapes:
        return STATE_DIR
    name = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(Path(tape.rpartition("=")[2]).stem for tape in tapes))
    return STATE_DIR.with_name(f"demo-{name[:100]}")


async def _demo(
    folder: Path,
    tapes: tuple[str, ...],
    speed: float,
    seed: int,
    minutes: float | None,
    as_json: bool,
    pages: bool,
) -> None:
    from bot.cli.run import daemon_settings
    from bot.daemon.app import run_bot
    from bot.daemon.hardening import keep_private
    from bot.daemon.parts import on_simulator
    from bot.daemon.tape import SimPlan, running_sim

    say = _sayer()
    keep_private(folder)
    plan = SimPlan(
        tapes=tapes,
        speed=speed,
        seed=seed,
        history_days=HISTORY_DAYS,
        start_at=f"+{HISTORY_DAYS}d" if tapes else None,
        resume=True,
    )
    say(
        "[bold]A simulated exchange is started on this machine.[/] Its market is SIMULATED; no order is real."
    )
    async with running_sim(plan, folder) as endpoint:
        settings = on_simulator(
            daemon_settings(
                [],
                {
                    "state_dir": folder,
                    "mode": "paper",  # whatever the environment says
                    "logs.format": "json" if as_json else None,
                    "model.unproven": True,  # a model of two minutes has won nothing
                    "dashboard.enabled": None if pages else False,
                },
                [],
            ),
            plan,
            endpoint,
        )
        if not _has_model(settings.models_dir):
            files = await _fetch_history(endpoint, folder, say)
            await asyncio.to_thread(_train, files, settings.models_dir, say)
        say(
            "[bold]The model is UNPROVEN[/]: it was trained in two minutes, and no gate has judged it. "
            "`bot run` would refuse it without --unproven."
        )
        say(
            f"[bold]Paper trading {', '.join(endpoint.symbols)} at x{speed:g}.[/] Ctrl-C stops it in order; "
            f"`bot status --state-dir {folder}` and `bot trades --state-dir {folder}` show the account."
        )
        async with _dashboard(settings) as board:
            _show_address(say, board)
            stop = asyncio.Event()
            if minutes is not None:
                asyncio.get_running_loop().call_later(minutes * 60, stop.set)
            outcome = await run_bot(settings, stop=stop)
    say(
        f"Stopped in order after {outcome.batch_count} simulated minutes: equity {outcome.equity:,.2f}, "
        f"{outcome.trade_count} trades so far (SIMULATED market). `make run` goes on from here."
    )


def _dashboard(settings: Any) -> AbstractAsyncContextManager[Beside | None]:
    """The pages beside it, where they are wanted."""
    from bot.cli.dashboard_child import dashboard_beside

    return dashboard_beside(settings) if settings.dashboard.enabled else nullcontext()


def _show_address(say: Any, board: Beside | None) -> None:
    """The address, between two lines of its own: the log that follows must not drown it."""
    if board is None:
        return
    if board.address is None:
        say(f"The dashboard is not there: {board.fault}. Trading goes on without it.", markup=False)
        return
    line = f"[bold green]{'━' * 78}[/]"
    say(f"\n{line}\n[bold]  Watch it in your browser:[/]\n", end="")
    say(f"\n  {board.address}\n", style="bold reverse", soft_wrap=True, markup=False)
    say(f"  Read only. `bot dashboard --state-dir DIR` shows a state folder at any time.\n{line}\n")


def _has_model(models_dir: Path) -> bool:
    from models.registry import list_models

    return models_dir.exists() and bool(list_models(models_dir))


async def _fetch_history(endpoint: SimEndpoint, folder: Path, say: Any) -> list[str]:
    """Download what lies before the exchange's clock, over REST, and hand it on as one file a symbol."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bot.candles.download import DownloadProgress, download
    from bot.candles.parquet import make_folder, replace_candles
    from bot.candles.store import CandleStore
    from bot.core.market import DAY_MS
    from bot.exchange_client import open_exchange
    from bot.reply_guard import guard_candles

    store = CandleStore(folder / "candles")
    files: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with open_exchange(
        endpoint.exchange_id, connect_to=endpoint.address, ca_file=endpoint.ca_file
    ) as exchange:
        guard_candles(exchange)
        now_ms = int(await exchange.fetch_time())
        since_ms = now_ms - HISTORY_DAYS * DAY_MS
        with Progress(*columns, disable=not sys.stderr.isatty(), transient=True) as bars:
            for symbol in endpoint.symbols:
                bar = bars.add_task(f"history of {symbol}", total=None)

                def shown(done: DownloadProgress, bar: Any = bar) -> None:
                    bars.update(bar, completed=done.done_minutes, total=done.total_minutes)

                outcome = await download(
                    exchange, store, symbol, since_ms, now_ms, now_ms=now_ms, on_progress=shown
                )
                say(f"{outcome.stored:,} candles of {symbol} fetched over REST")
                path = folder / EXCHANGE_HISTORY / f"{re.sub(r'[^A-Za-z0-9]+', '-', symbol)}.parquet"
                make_folder(path.parent)
                replace_candles(path, store.read(exchange.id, symbol, since_ms, now_ms))
                files.append(f"{symbol}={path}")
    return files


def _train(files: list[str], models_dir: Path, say: Any) -> None:
    """Train the first model in a process of its own, so that the daemon never loads TensorFlow."""
    from bot.errors import ModelError

    say("[bold]A first model is trained[/] (under two minutes; the next start uses it again).")
    words = [sys.executable, "-P", "-m", "bot", "train", "--recipe", "scalping", "--out", str(models_dir)]
    words += ["--max-minutes", str(TRAIN_MINUTES), "--epochs", "12"]
    for file in files:
        words += ["--candles", file]
    done = subprocess.run(words, check=False)
    if done.returncode != 0:
        raise ModelError(f"the first model could not be trained (exit code {done.returncode}); see above")


def _sayer() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False).print
