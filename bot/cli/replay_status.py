"""What ``bot status`` says of the nightly replay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.journal.reader import JournalReader

KINDS = ("replay.finished", "replay.diverged", "replay.failed")


def replay_status(reader: JournalReader) -> dict[str, Any] | None:
    """The last one as the journal has it, with its ``outcome``; None before the first."""
    note = reader.newest_note(KINDS)
    if note is None:
        return None
    outcome = note.pop("kind").partition(".")[2]
    return {"outcome": outcome, **note}


def replay_line(told: Mapping[str, Any]) -> str:
    """The same for a person."""
    if told["outcome"] == "failed":
        return f"nightly replay of {told['date']} FAILED: {told['reason']}"
    compared = f"{told['decisions']:,} decisions, {told['orders']:,} orders"
    if told["forecasts"]:
        compared += f", {told['forecasts']:,} forecasts"
    if told["outcome"] == "diverged":
        return f"nightly replay of {told['date']} DIVERGED: {told['unexplained']:,} of {compared}; first {told['first']}"
    explained = f", {told['explained']:,} differences explained" if told["explained"] else ""
    return f"nightly replay of {told['date']}: {compared} the same{explained}"
