"""``bot notify``: do messages reach the people whom the settings name?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def notify() -> None:
    """Try the addresses that the daemon tells people at.

    Example: bot notify test
    """


@app.command("test")
def send_test(
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting; repeat it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a message to each address of notify.urls, and say whether it was taken; exit code 1 where one was not.

    Example: bot notify test --config config/live.yaml

    The addresses hold passwords: BOT__NOTIFY__URLS_FILE names the file that they are in.
    """
    from bot.cli.config import assignments
    from bot.daemon.notify import addresses_told
    from bot.daemon.outlet import Message
    from bot.daemon.service_rules import notify_rules
    from bot.errors import ConfigError
    from bot.settings import load_settings

    settings = load_settings(config or [], assignments(setting))
    rules = notify_rules(settings.notify)
    if not rules.addresses:
        raise ConfigError(
            "notify.urls: nobody is named; set BOT__NOTIFY__URLS, or BOT__NOTIFY__URLS_FILE to a file that holds it"
        )
    message = Message(f"test ({settings.mode})", "The bot can reach you. No more is meant by this.", "info")
    answers = addresses_told(rules, message)
    if as_json:
        rows: list[dict[str, Any]] = [
            {"address": name, "sent": fault is None, "reason": fault} for name, fault in answers
        ]
        typer.echo(json.dumps({"sent": all(row["sent"] for row in rows), "addresses": rows}))
    else:
        for name, fault in answers:
            typer.echo(f"{name}: {'sent' if fault is None else f'NOT sent: {fault}'}")
    if any(fault is not None for _, fault in answers):
        raise typer.Exit(1)
