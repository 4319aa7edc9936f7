"""``bot audit``: does this pipeline cheat, and would it know an edge?"""

from __future__ import annotations

import typer

from bot.cli.audit_causality import causality
from bot.cli.audit_noise import noise, planted

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Does this pipeline cheat, and would it know an edge?"
)
app.command("causality")(causality)
app.command("noise")(noise)
app.command("planted")(planted)


@app.callback()
def group() -> None:
    """Does this pipeline cheat, and would it know an edge?"""
