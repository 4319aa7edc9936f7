"""Whether an exchange and an account are fit for trading: asked, judged, and at a live start required."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.core.limits import RiskLimits
from bot.core.market import Symbol
from bot.core.sizing import SizingRule
from bot.daemon.account_probes import ask_account, set_terms
from bot.daemon.asking import Asker, Hook
from bot.daemon.doctor import Finding, JournalFacts, Level, failures, fine, summary
from bot.daemon.doctor_account import AccountFacts, Balance, Wanted, judge_account
from bot.daemon.doctor_market import MarketFacts, judge_market, judge_sizes
from bot.daemon.doctor_probes import look_at_journal
from bot.daemon.market_probes import ask_market
from bot.daemon.telling import Log
from bot.errors import ConfigError, TransientError
from bot.exchange_client import Exchange

PATIENT_TRIES: Final = 6
"""Of a start: 15 seconds for each question, so that a start survives what a running daemon survives."""


@dataclass(frozen=True, slots=True)
class FitnessPlan:
    """What trading asks of an exchange and an account.

    Attributes:
        symbols: What is traded.
        wanted: Of the account.
        sizing: How large an entry is.
        limits: What cuts it.
        equity: What paper trading would begin with, quote currency; live trading takes the account's.
    """

    symbols: tuple[Symbol, ...]
    wanted: Wanted
    sizing: SizingRule
    limits: RiskLimits
    equity: float


@dataclass(frozen=True, slots=True)
class Watches:
    """The clocks that a check-up needs.

    Attributes:
        now_ms: The exchange's time as far as we know it.
        monotonic_ns: A counter.
        wall_ms: This machine's time; None where the market has a time of its own.
    """

    now_ms: Callable[[], int]
    monotonic_ns: Callable[[], int]
    wall_ms: Callable[[], int] | None


async def check_exchange_side(
    exchange: Exchange,
    plan: FitnessPlan,
    journal: JournalFacts,
    watches: Watches,
    asker: Asker,
    *,
    account: bool,
    fix: bool = False,
) -> list[Finding]:
    """Ask an exchange, and with ``account`` about the account, and judge what it says.

    Args:
        exchange: The client; with keys where the account is asked about.
        plan: What trading asks.
        journal: What our own books say.
        watches: Clocks.
        asker: How to ask.
        account: Whether keys and account are looked at too.
        fix: Whether leverage and margin mode are set where they are wrong.

    Raises:
        BotError: The exchange refused what ``fix`` wanted to set.
    """
    market = await ask_market(
        exchange, plan.symbols, asker, wall_ms=watches.wall_ms, monotonic_ns=watches.monotonic_ns
    )
    found = judge_market(str(exchange.id), plan.symbols, market)
    if failures(found) and not account:
        return found
    facts: AccountFacts | None = None
    fixed: list[str] = []
    if account and not any(one.name == "exchange" for one in failures(found)):
        facts = await ask_account(exchange, plan.symbols, plan.wanted, asker)
        if fix and facts.terms is not None:
            fixed = await set_terms(exchange, facts.terms, plan.wanted)
            facts = await ask_account(exchange, plan.symbols, plan.wanted, asker) if fixed else facts
    found += _sizes(market, plan, journal, facts)
    if facts is not None:
        found += judge_account(facts, plan.wanted, journal, watches.now_ms())
    return [*found, *(fine("set", line) for line in fixed)]


def _sizes(
    market: MarketFacts, plan: FitnessPlan, journal: JournalFacts, facts: AccountFacts | None
) -> list[Finding]:
    """Whether the smallest order can be placed, with the equity that there is."""
    equity = plan.equity if journal.equity is None else journal.equity
    if facts is not None:
        if not isinstance(facts.balance, Balance):
            return []
        equity = facts.balance.total
    if equity <= 0:
        return []  # the check of the balance says so
    finding = judge_sizes(market, plan.sizing, plan.limits, equity, holding=bool(journal.held))
    return [] if finding is None else [finding]


async def require_fit(
    exchange: Exchange,
    plan: FitnessPlan,
    *,
    journal_path: Path,
    watches: Watches,
    log: Log,
    resynchronise: Hook | None = None,
    tries: int = PATIENT_TRIES,
    fix: bool = False,
) -> Sequence[Finding]:
    """Refuse to trade live on an exchange or an account that is not fit for it; warnings go to the log.

    Args:
        exchange: The client that will trade, with keys.
        plan: What trading asks.
        journal_path: Where our own books are.
        watches: Clocks.
        log: Gets a line for each warning and each failure.
        resynchronise: What sets the time of signed requests anew, before a question is asked again.
        tries: How often a question is asked.
        fix: Whether leverage and margin mode are set where they are wrong: on a simulated exchange, whose account is
            nobody's.

    Returns:
        Every finding.

    Raises:
        ConfigError: A check failed; names each, with what to do.
        TransientError: What failed may be well the next time.
    """
    found = await check_exchange_side(
        exchange,
        plan,
        look_at_journal(journal_path),
        watches,
        Asker(resynchronise, tries),
        account=True,
        fix=fix,
    )
    for one in found:
        fields = {"check": one.name, "says": one.says, "todo": one.todo}
        if one.level is Level.FAILED:
            log.error("doctor.failed", **fields)
        elif one.level is Level.WARNING:
            log.warning("doctor.warned", **fields)
    failed = failures(found)
    if not failed:
        return found
    sentence = f"live trading is refused, {summary(found)}; `bot doctor --live` checks again"
    raise TransientError(sentence) if all(one.may_pass for one in failed) else ConfigError(sentence)
