"""``bot explain``: one decision laid open, from its candles to what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.watch import DEFAULT_STATE_DIR, StateDir


def explain(
    decision_id: Annotated[
        str,
        typer.Argument(
            metavar="DECISION_ID",
            help="Such as BTC/USDT:USDT@2024-01-31T00:01Z; a beginning that is unique will do, or the word last.",
        ),
    ],
    state_dir: StateDir = DEFAULT_STATE_DIR,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", help="With last: of this symbol; the beginning of its name will do."),
    ] = None,
    acted: Annotated[
        bool, typer.Option("--acted", help="With last: the newest that sent an order or was refused one.")
    ] = False,
    models_root: Annotated[
        Path | None,
        typer.Option("--models", metavar="DIR", help="Folder of models (default: STATE_DIR/models)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Show one decision: candles, window, forecast (journaled and made again), thresholds, risk, model, and what followed.

    The daemon may be running. Exit code 5 where there is no such decision, 2 where the id is none or fits several.

    Example: bot explain last --acted --state-dir var
    """
    from backtests.explain import explain as explained
    from bot.cli.data_tables import print_json
    from bot.cli.explain_text import explained_lines

    told = explained(
        state_dir / "journal.sqlite",
        decision_id,
        models_root or state_dir / "models",
        symbol=symbol,
        acted=acted,
    )
    if as_json:
        print_json(told)
        return
    for line in explained_lines(told):
        typer.echo(line)
