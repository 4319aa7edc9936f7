"""The stream of decisions, and the round trips that came of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from bot.dashboard.orders import leg_word
from bot.dashboard.overview import signal
from bot.journal.pages import PAGE, PageMinute, PageReader

DecisionKind = Literal["all", "acted", "refused", "held"]

MOST_MINUTES: Final = 4096
"""Minutes that one question looks through; the answer says where to go on."""
LEAST_PAGE: Final = 16


class Wanted(NamedTuple):
    """Which decisions are asked for.

    Attributes:
        symbol: Only of this one; None of all.
        kind: What came of them.
        before_ms: Only of minutes that closed before; None the newest.
        limit: How many at most, but a minute is never cut.
    """

    symbol: str | None = None
    kind: DecisionKind = "all"
    before_ms: int | None = None
    limit: int = 100


def decision_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A journaled decision as the pages show it."""
    prediction = row["prediction"] or {}
    return {
        "decision_id": row["decision_id"],
        "closed_at_ms": row["closed_at_ms"],
        "symbol": row["symbol"],
        "signal": signal(row["signal"]),
        "expected_return": prediction.get("expected_return"),
        "probability_up": prediction.get("probability_up"),
        "horizon_minutes": prediction.get("horizon_minutes"),
        "model_id": prediction.get("model_id"),
        "hold_reason": row["hold_reason"],
        "approved": [
            {
                "client_order_id": order[0],
                "side": order[1],
                "quantity": order[2],
                "type": order[3],
                "leg": leg_word(order[4]),
            }
            for order in row["approved"]
        ],
        "refused": [
            {
                "side": order[1],
                "quantity": order[2],
                "type": order[3],
                "leg": leg_word(order[4]),
                "reason": order[-1],
            }
            for order in row["refused"]
        ],
        "canceled": [{"client_order_id": wish[0], "reason": wish[1]} for wish in row.get("cancel", ())],
    }


def is_wanted(row: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether a journaled decision is one of those that are asked for."""
    if wanted.symbol is not None and row["symbol"] != wanted.symbol:
        return False
    if wanted.kind == "acted":
        return bool(row["approved"])
    if wanted.kind == "refused":
        return bool(row["refused"])
    if wanted.kind == "held":
        return not row["approved"] and not row["refused"]
    return True


def decisions(reader: PageReader, wanted: Wanted) -> dict[str, Any]:
    """Decisions, newest first, and where to go on; ``next_before_ms`` is null where nothing is left."""
    found: list[dict[str, Any]] = []
    looked = 0
    last_ms = wanted.before_ms
    for page in _pages(reader, wanted):
        for minute in page:
            last_ms = minute.closed_at_ms
            found += [decision_row(row) for row in minute.decisions if is_wanted(row, wanted)]
            if len(found) >= wanted.limit:
                return {"decisions": found, "next_before_ms": last_ms}
        looked += len(page)
        if looked >= MOST_MINUTES:
            return {"decisions": found, "next_before_ms": last_ms}
    return {"decisions": found, "next_before_ms": None}


def _pages(reader: PageReader, wanted: Wanted) -> Iterator[list[PageMinute]]:
    """Minutes that may hold what is asked for, newest first; orders know their minutes, so few are read for them."""
    before_ms = wanted.before_ms
    if wanted.kind == "acted":
        while times := reader.ordered_times(wanted.symbol, before_ms):
            yield reader.minutes_at(times)
            before_ms = times[-1]
        return
    while page := reader.minutes_before(before_ms, min(PAGE, max(wanted.limit, LEAST_PAGE))):
        yield page
        before_ms = page[-1].closed_at_ms


def decided_after(reader: PageReader, after_ms: int, until_ms: int, most: int) -> list[dict[str, Any]]:
    """The newest decisions of minutes with after_ms < close <= until_ms, oldest first, ``most`` of them."""
    rows: list[dict[str, Any]] = []
    for minute in reader.minutes_before(until_ms + 1):
        if minute.closed_at_ms <= after_ms or len(rows) >= most:
            break
        rows += [decision_row(row) for row in minute.decisions]
    return sorted(rows[:most], key=lambda row: (row["closed_at_ms"], row["symbol"]))


def trades(reader: PageReader, limit: int) -> dict[str, Any]:
    """Round trips, newest first."""
    return {"trades": [trade._asdict() for trade in reader.trades(limit)]}
