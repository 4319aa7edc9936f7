"""``bot doctor``: is everything there that trading needs? Looks, judges, and says what to do; changes nothing unless told to."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bot.daemon.doctor import Finding, JournalFacts
    from bot.settings import Settings


def doctor(
    config: Annotated[
        list[Path] | None, typer.Option("--config", help="YAML settings; later ones win.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Look at keys and account too, as live trading needs them.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="With --live: set leverage and margin mode as the settings say.")
    ] = False,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Folder of journal, models, logs.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what trading needs, and say what to do: settings, disk, journal, model, clock, exchange; with --live the account.

    Each check is ok, warning or failed; where one failed the exit code is 4. Nothing is changed unless --fix is given.

    Example: bot doctor --live --config config/live.yaml
    """
    from bot.daemon.doctor import broken, failures, to_json
    from bot.errors import ConfigError, UsageError

    if fix and not live:
        raise UsageError("--fix belongs to --live: it sets what the account has wrong")
    try:
        settings = _settings(config or [], state_dir, setting or [], live=live)
    except ConfigError as error:
        findings = [broken("settings", str(error), "bot config show; docs/settings.md")]
    else:
        findings = asyncio.run(_check(settings, live=live, fix=fix))
    if as_json:
        typer.echo(json.dumps(to_json(findings), indent=2))
    else:
        _print(findings)
    if failures(findings):
        raise typer.Exit(ConfigError.exit_code)


def _settings(files: list[Path], state_dir: Path | None, changes: list[str], *, live: bool) -> Settings:
    from bot.cli.config import assignments, require_strategy
    from bot.settings import load_with_sources

    flags: dict[str, Any] = {"state_dir": state_dir, "mode": "live" if live else None}
    loaded = load_with_sources(files, {**flags, **assignments(changes)})
    require_strategy(loaded)
    return loaded.settings


async def _check(settings: Settings, *, live: bool, fix: bool) -> list[Finding]:
    """Look at this machine, then at the exchange."""
    from bot.daemon.doctor import broken, fine
    from bot.daemon.doctor_probes import look_at_journal
    from bot.daemon.hardening import forbid_core_dumps
    from bot.errors import BotError

    if live:
        forbid_core_dumps()
    journal = look_at_journal(settings.journal_path)
    findings = [fine("settings", f"right (mode {settings.mode})"), *_machine(settings, journal, live=live)]
    findings += await _telegram(settings)
    try:
        return [*findings, *await _exchange(settings, journal, live=live, fix=fix)]
    except BotError as error:  # what --fix could not set, or a client that could not be made
        return [*findings, broken("exchange", str(error), "mend that, and try again")]


def _machine(settings: Settings, journal: JournalFacts, *, live: bool) -> list[Finding]:
    """What needs no network."""
    from bot.clock import wall_ms
    from bot.daemon.doctor import (
        judge_candle_age,
        judge_journal,
        judge_model,
        judge_packages,
        judge_python,
        judge_state,
    )
    from bot.daemon.doctor_probes import LEAST_PYTHON, look_at_model, look_at_packages, look_at_state
    from bot.journal.schema import SCHEMA_VERSION

    state = look_at_state(settings.state_dir)
    name = None if settings.model.id == "champion" else settings.model.id
    model = look_at_model(settings.models_dir, name, settings.model.fallback)
    found = [
        judge_python(sys.version_info[:2], LEAST_PYTHON),
        judge_packages(look_at_packages()),
        *judge_state(state),
        judge_journal(journal, SCHEMA_VERSION),
    ]
    if settings.exchange.clock == "system":
        running = state.holder is not None
        found.append(judge_candle_age(journal.last_closed_at_ms, wall_ms(), running=running))
    found.append(judge_model(model, live=live, unproven=settings.model.unproven))
    return [*found, *([_consent(settings)] if live else [])]


def _consent(settings: Settings) -> Finding:
    """Whether somebody has said in this folder that they understand."""
    from bot.daemon.consent import FLAG, LiveAccount, objection
    from bot.daemon.doctor import doubtful, fine

    exchange = settings.exchange
    account = LiveAccount(exchange.id, exchange.simulated, exchange.credentials["apiKey"])
    missing = objection(settings.state_dir, account)
    if missing is None:
        return fine("consent", "given for this state folder and this account")
    return doubtful("consent", missing, f"the first `bot run --mode live` needs {FLAG}")


async def _telegram(settings: Settings) -> list[Finding]:
    """Whether people can command by Telegram, where that is on."""
    from bot.daemon.doctor_telegram import ask_telegram, judge_telegram
    from bot.daemon.service_rules import telegram_rules

    rules = telegram_rules(settings.telegram)
    return [] if rules is None else [judge_telegram(await ask_telegram(rules), len(rules.chat_ids))]


async def _exchange(settings: Settings, journal: JournalFacts, *, live: bool, fix: bool) -> list[Finding]:
    """What the exchange says."""
    from bot.brokers.ccxt_habits import habits_of
    from bot.clock import monotonic_ns, wall_ms
    from bot.daemon.asking import Asker
    from bot.daemon.fitness import Watches, check_exchange_side
    from bot.daemon.lock import holder
    from bot.daemon.market_probes import SignedTime
    from bot.daemon.parts import fitness_plan
    from bot.errors import ConfigError
    from bot.exchange_client import open_exchange

    if fix and holder(settings.state_dir) is not None:
        raise ConfigError("--fix changes the account under a running daemon: stop it first")
    chosen = settings.exchange
    options = habits_of(chosen.id).options if live else {}  # as the client that trades has them
    async with open_exchange(
        chosen.id,
        connect_to=chosen.address,
        ca_file=chosen.ca_file,
        rate_limited=not chosen.simulated,
        options=options,
        credentials=chosen.credentials if live else None,
    ) as exchange:
        time = SignedTime(exchange, wall_ms)
        watches = Watches(time.now_ms, monotonic_ns, wall_ms if chosen.clock == "system" else None)
        asker = Asker(time.synchronise)
        await asker.ask(time.synchronise)
        plan = fitness_plan(settings)
        return await check_exchange_side(exchange, plan, journal, watches, asker, account=live, fix=fix)


def _print(findings: list[Finding]) -> None:
    """One line a check, and below it what to do."""
    from bot.daemon.doctor import Level

    colors = {
        Level.OK: typer.colors.GREEN,
        Level.WARNING: typer.colors.YELLOW,
        Level.FAILED: typer.colors.RED,
    }
    width = max(len(one.name) for one in findings)
    for one in findings:
        level = typer.style(f"{one.level.value:<7}", fg=colors[one.level])
        typer.echo(f"{level}  {one.name:<{width}}  {one.says}")
        if one.todo:
            typer.echo(f"{'':<7}  {'':<{width}}  -> {one.todo}")
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    typer.echo(", ".join(f"{number} {level.value}" for level, number in counts.items() if number))
