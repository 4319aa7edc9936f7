"""``bot status`` and ``bot trades``: what a running or stopped bot has done, read from its state folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.live_status import live_lines, live_status
from bot.cli.model_status import model_lines, model_status, serving_now
from bot.cli.replay_status import replay_line, replay_status

if TYPE_CHECKING:
    from bot.journal.reader import JournalReader

StateDir = Annotated[
    Path,
    typer.Option(
        "--state-dir", envvar="BOT_STATE_DIR", help="The folder that the daemon keeps its state in."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DEFAULT_STATE_DIR = Path("var")


def status(state_dir: StateDir = DEFAULT_STATE_DIR, as_json: AsJson = False) -> None:
    """Show whether the bot runs, its account, positions and open orders, its model, and what live trading has in doubt.

    Example: bot status --state-dir var/demo
    """
    from bot.daemon.lock import holder
    from bot.journal.reader import JournalReader

    reader = JournalReader(state_dir / "journal.sqlite")
    snapshot = reader.snapshot() or {}
    equity = reader.last_equity()
    meta = reader.meta()
    account = snapshot.get("account", {})
    ready = next(iter(reader.notes("service.ready", 1)), {})
    model = model_status(reader, snapshot)
    shown: dict[str, Any] = {
        "running": (pid := holder(state_dir)) is not None,
        "process_id": pid,
        "run_id": meta.get("run_id"),
        "mode": ready.get("mode"),
        "simulated": meta.get("simulated") == "true",
        "state": snapshot.get("risk", {}).get("state"),
        "state_reason": snapshot.get("risk", {}).get("reason"),
        "last_candle_closed_at": None if equity is None else _iso(equity.at_ms),
        "equity": None if equity is None else equity.equity,
        "starting_cash": account.get("starting_cash"),
        "cash": account.get("cash"),
        "fees_paid": account.get("fees_paid"),
        "funding_paid": account.get("funding_paid"),
        "trade_count": account.get("trade_count"),
        "positions": [_position(row, account["marks"]) for row in account.get("positions", [])],
        "open_orders": _open_orders(reader, snapshot),
        "live": live_status(reader, snapshot),
        "model_id": model["model_id"],
        "model_refused": ready.get("refused"),
        "model": model,
        "shadow_replay": replay_status(reader),
        "inputs": {symbol: _counted(row) for symbol, row in snapshot.get("inputs", {}).items()},
    }
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    _print_status(shown)


def trades(
    state_dir: StateDir = DEFAULT_STATE_DIR,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the round trips of the account, newest first.

    Example: bot trades --limit 50 --json
    """
    from bot.journal.reader import JournalReader

    reader = JournalReader(state_dir / "journal.sqlite")
    rows = reader.trades(limit)
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    ready = next(iter(reader.notes("service.ready", 1)), {})
    live = " LIVE" if ready.get("mode") == "live" else ""
    simulated = " on a SIMULATED market" if reader.meta().get("simulated") == "true" else ""
    unproven = ", by an UNPROVEN model now" if serving_now(reader).get("proven") is False else ""
    _table(
        f"The last {len(rows)}{live} trades{simulated}{unproven}",
        ("symbol", "side", "left", "entry", "exit", "fees", "net", "reason"),
        [
            (
                row.symbol.partition(":")[0],
                row.direction,
                _iso(row.exit_at_ms)[5:],
                f"{row.entry_price:.6g}",
                f"{row.exit_price:.6g}",
                f"{row.fees:.2f}",
                f"{row.pnl:+.2f}",
                row.exit_reason,
            )
            for row in rows
        ],
    )


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    """What the daemon counted of a symbol's inputs, with its first minute as text."""
    return {"since": _iso(row["since_ms"]), **{key: value for key, value in row.items() if key != "since_ms"}}


def _open_orders(reader: JournalReader, snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """Orders that may still trade; the price that an entry rests at is in the snapshot."""
    intents = [row["intent"] for row in snapshot.get("orders", [])]
    resting = {intent["client_order_id"]: intent.get("limit_price") for intent in intents}
    return [{**row, "limit_price": resting.get(row["client_order_id"])} for row in reader.open_orders()]


def _position(row: list[Any], marks: dict[str, float]) -> dict[str, Any]:
    from bot.core.position import Position

    position = Position(*row)
    mark = marks.get(position.symbol, position.entry_price)
    return {
        "symbol": position.symbol,
        "quantity": position.quantity,
        "entry_price": position.entry_price,
        "mark_price": mark,
        "unrealized": position.unrealized(mark),
        "opened_at": _iso(position.opened_at_ms),
    }


def _print_status(shown: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    if shown["simulated"]:
        console.print("[bold black on yellow] SIMULATED MARKET [/]")
    running = (
        f"[green]running[/] (process {shown['process_id']})" if shown["running"] else "[red]not running[/]"
    )
    mode = "[bold red]LIVE[/], " if shown["mode"] == "live" else ""
    console.print(
        f"{running}, {mode}state {shown['state']} ({shown['state_reason']}), model {shown['model_id']}"
    )
    for line in model_lines(shown["model"]):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if shown["model_refused"]:
        console.print(
            f"[red]a fallback predicts[/]: {shown['model_refused']}", highlight=False, soft_wrap=True
        )
    if shown["equity"] is None:
        console.print("nothing was decided yet")
        return
    change = shown["equity"] / shown["starting_cash"] - 1
    console.print(
        f"equity {shown['equity']:,.2f} ({change:+.2%}), cash {shown['cash']:,.2f}, "
        f"fees {shown['fees_paid']:,.2f}, funding {shown['funding_paid']:,.2f}, "
        f"{shown['trade_count']} trades; last candle closed {shown['last_candle_closed_at']}"
    )
    _table(
        "Positions",
        ("symbol", "quantity", "entry", "mark", "unrealized", "since"),
        [
            (
                row["symbol"],
                f"{row['quantity']:+g}",
                f"{row['entry_price']:,.6g}",
                f"{row['mark_price']:,.6g}",
                f"{row['unrealized']:+,.2f}",
                row["opened_at"],
            )
            for row in shown["positions"]
        ],
    )
    _table(
        "Open orders",
        ("symbol", "side", "kind", "quantity", "price", "state"),
        [
            (
                row["symbol"],
                row["side"],
                row["type"],
                f"{row['quantity']:g}",
                f"{row['stop_price'] or row['limit_price'] or '-'}",
                row["state"],
            )
            for row in shown["open_orders"]
        ],
    )
    if shown["shadow_replay"]:
        console.print(replay_line(shown["shadow_replay"]), highlight=False, soft_wrap=True, markup=False)
    for line in live_lines(shown["live"]) if shown["live"] else ():
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if shown["inputs"]:
        _print_inputs(shown["inputs"])


def _print_inputs(inputs: dict[str, dict[str, Any]]) -> None:
    """How far the market is from what the model saw in training."""
    _table(
        "Inputs beyond what the model saw in training",
        ("symbol", "window", "all", "since", "abstained", "now"),
        [
            (
                symbol,
                f"{row['window_outside_share']:.2%}",
                f"{row['outside_share']:.2%}",
                row["since"],
                f"{row['abstained_count']} of {row['windows']} min",
                "abstains" if row["abstains"] else "forecasts",
            )
            for symbol, row in inputs.items()
        ],
    )


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    Console().print(table if rows else f"{title}: none")


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
