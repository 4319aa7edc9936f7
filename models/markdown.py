"""Markdown out of what was stored: tables, lists and figures in few digits, whatever the report holds or lacks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Table = Mapping[str, Any]
NONE = "–"


def flat(table: Table, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Fields by dotted name."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def rows_table(rows: Sequence[Table]) -> str:
    """Rows of plain values as a table, columns in the order in which they first appear."""
    keys = list(
        dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, Mapping))
    )
    return table_of([words(key) for key in keys], [[number(row.get(key)) for key in keys] for row in rows])


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars and line breaks in a cell are kept from breaking it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_inert(cell) for cell in line)} |" for line in lines)


def _inert(cell: str) -> str:
    """A cell's text that cannot end the cell."""
    return " ".join(cell.split()).replace("|", "\\|")


def section(title: str, body: str) -> str:
    """A heading and what stands under it."""
    return f"## {title}\n\n{body}"


def bullets(sentences: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def as_table(value: Any) -> Table:
    """A table as it is, and an empty one for whatever else was stored."""
    return value if isinstance(value, Mapping) else {}


def is_number(value: Any) -> bool:
    """Whether a value can be shown as a figure."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any) -> str:
    """A value in few digits."""
    if value is None:
        return NONE
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def words(key: str) -> str:
    """A field's name for people."""
    return key.replace("_", " ")


def time_words(at_ms: Any) -> str:
    """A time to the minute, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}" if is_number(at_ms) else NONE
