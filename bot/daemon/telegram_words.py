"""Words of a chat: what a message asks for, and what is answered. Pure.

An answer is plain text. Telegram makes a word with a stroke before it (``/flatten``) a thing that one tap sends, so no
answer holds one: nobody shall close every position with a thumb.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, get_args

from bot.daemon.commanding import BY_HAND, LONGEST_REASON, CommandName

COMMANDS: Final[tuple[str, ...]] = get_args(CommandName)
QUESTIONS: Final = ("status", "trades", "help", "start")
KNOWN: Final = (*COMMANDS, *QUESTIONS)
LONGEST_ANSWER: Final = 3500
"""Telegram takes 4096 UTF-16 units; what people see is never that long."""
SHOWN_ROWS: Final = 10

HELP: Final = """Write a stroke and one of these words; what follows is kept as the reason:
status - account, positions, model
trades - the last round trips
pause - open no new positions
resume - take on risk again
halt - open no new positions until somebody resumes
flatten - close every position now, at the market, and pause. It does not ask again
help - this"""


class Asked(NamedTuple):
    """What a message asks for.

    Attributes:
        word: Its first word, small, without stroke and name of a bot.
        reason: What follows; ``by hand`` where nothing does.
    """

    word: str
    reason: str


def asked(text: str, bot_name: str) -> Asked | None:
    """What a message asks for; None where it is no command, or one for another bot of the group."""
    words = text.split()
    if not words or not words[0].startswith("/"):
        return None
    word, _, addressee = words[0][1:].partition("@")
    if addressee and addressee.lower() != bot_name.lower():
        return None
    return Asked(word.lower(), " ".join(words[1:])[:LONGEST_REASON] or BY_HAND)


def unknown_words(word: str) -> str:
    """That there is no such command, and which was meant perhaps. Nothing is ever done on a guess."""
    nearest = difflib.get_close_matches(word[:40], KNOWN, n=1)
    meant = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"There is no command {visible(word[:40])!r}; nothing was done.{meant} Write help for the list."


def refused_words(commands: Sequence[tuple[str, str]]) -> str:
    """That messages came too late; each a word and why."""
    rows = [f"{visible(word[:40])}: {why}" for word, why in commands[:SHOWN_ROWS]]
    more = [f"and {len(commands) - SHOWN_ROWS} more"] if len(commands) > SHOWN_ROWS else []
    return fitted(["NOT carried out, send it again if it is still wanted:", *rows, *more])


def outcome_words(name: str, done: bool, body: Mapping[str, Any]) -> str:
    """What became of a command."""
    if not done:
        return f"{name}: NOT done: {visible(str(body.get('error', 'the log says why')))}"
    held = body.get("positions") or []
    rows = [f"{name}: done. {_state_line(body)}"]
    if name == "flatten" and held:
        rows.append("being closed at the market:")
    elif name == "flatten":
        rows.append("nothing was held")
    rows += position_rows(held)
    return fitted([*rows, _orders_line(body)])


def status_words(body: Mapping[str, Any], *, proven: bool | None) -> str:
    """How things stand, as ``bot status`` tells it, in few lines.

    Args:
        body: The operator's status.
        proven: Whether the gate has promoted the model; None where there is nothing to judge.
    """
    simulated = ", SIMULATED market" if body.get("simulated") else ""
    mode = "LIVE" if body.get("mode") == "live" else str(body.get("mode", "bot"))
    health = "gets on" if body.get("healthy") else "STALLED" if body.get("stalled") else "NOT READY"
    rows = [
        f"{mode}{simulated}, {health}",
        _state_line(body),
        f"equity {_money(body.get('equity'))}, cash {_money(body.get('cash'))}, {body.get('trade_count', 0)} trades",
        f"model {visible(str(body.get('model_id')))}{', UNPROVEN' if proven is False else ''}",
        f"{_time(body.get('last_closed_ms'))} was decided {body.get('since_decided_seconds', 0):.0f} s ago",
    ]
    held = body.get("positions") or []
    return fitted([*rows, *(position_rows(held) or ["no positions"]), _orders_line(body)])


def trades_words(trades: Sequence[Mapping[str, Any]]) -> str:
    """Round trips, newest first."""
    rows = [
        f"{_time(row['exit_at_ms'])} {visible(row['symbol'].partition(':')[0])} {row['direction']} "
        f"{row['entry_price']:.6g} to {row['exit_price']:.6g}: {row['pnl']:+,.2f} ({row['exit_reason']})"
        for row in trades[:SHOWN_ROWS]
    ]
    return fitted([f"the last {len(rows)} trades:", *rows] if rows else ["no trades yet"])


def position_rows(positions: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a position, some of them where there are many."""
    rows = [
        f"{visible(str(row['symbol']))} {row['quantity']:+g} at {row['entry_price']:.6g}"
        for row in positions[:SHOWN_ROWS]
    ]
    return rows + ([f"and {len(positions) - SHOWN_ROWS} more"] if len(positions) > SHOWN_ROWS else [])


def fitted(rows: Sequence[str]) -> str:
    """Lines as one text that fits into a message."""
    text = "\n".join(rows)
    return text if len(text) <= LONGEST_ANSWER else f"{text[: LONGEST_ANSWER - 3]}..."


def visible(text: str) -> str:
    """A text on one line, without signs that do not print and without a stroke that Telegram would make a command of."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown.removeprefix("/").replace(" /", " ")


def _state_line(body: Mapping[str, Any]) -> str:
    return f"state {body.get('state')} ({visible(str(body.get('state_reason', '')))})"


def _orders_line(body: Mapping[str, Any]) -> str:
    return f"{len(body.get('open_orders') or [])} open orders"


def _money(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, (int, float)) else "?"


def _time(at_ms: Any) -> str:
    if not isinstance(at_ms, int):
        return "?"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%m-%d %H:%M UTC")
