"""The account at a glance: what the journal's last commit says, and how old that is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Position
from bot.dashboard.orders import open_orders, protection_of
from bot.journal.pages import PageMinute, PageReader
from bot.journal.reader import EquityPoint

FRESH_SECONDS: Final = 90.0
"""A candle is a minute old when the next one closes, and its decision may wait some seconds for it."""
LATE_SECONDS: Final = 300.0

DAY_AGO_PATIENCE_MS: Final = 60 * MINUTE_MS
STARTS: Final = ("service.ready",)
SERVING: Final = ("service.ready", "model.swapped")
_STAMP: Final = re.compile(r"-(\d{8}T\d{6})-[0-9a-f]{6}$")


class Facts(NamedTuple):
    """What one look at the journal tells.

    Attributes:
        meta: What was set when it was made.
        snapshot: The engine after the last commit; empty before the first.
        equity: The account after the last minute.
        ready: The newest start.
        serving: The newest start or change of model.
        minute: The last minute that was decided.
        day_ago: Closes of a day before, by symbol.
        note_id: Grows with each event that is noted.
    """

    meta: Mapping[str, str]
    snapshot: Mapping[str, Any]
    equity: EquityPoint | None
    ready: Mapping[str, Any]
    serving: Mapping[str, Any]
    minute: PageMinute | None
    day_ago: Mapping[str, float]
    note_id: int

    @property
    def closed_at_ms(self) -> int:
        """Close of the last minute that was decided; 0 before the first."""
        return 0 if self.minute is None else self.minute.closed_at_ms

    @property
    def simulated(self) -> bool:
        """Whether the market is none."""
        return self.meta.get("simulated") == "true"


class Moment(NamedTuple):
    """What the journal cannot tell.

    Attributes:
        wall_ms: UTC on this machine's clock.
        since_minute_seconds: Real time since the last minute was committed.
        running: Whether a daemon holds the state folder.
        version: Of this program.
    """

    wall_ms: int
    since_minute_seconds: float
    running: bool
    version: str


def read_facts(reader: PageReader) -> Facts:
    """One short look at the journal.

    Raises:
        StorageError: It can't be read.
    """
    with reader.one_moment():
        snapshot = reader.snapshot() or {}
        minute = reader.newest_minute()
        day_ago = {}
        for symbol, seen_ms in snapshot.get("seen_ms", {}).items():
            before = reader.close_at(symbol, seen_ms + MINUTE_MS - DAY_MS, DAY_AGO_PATIENCE_MS)
            if before is not None:
                day_ago[symbol] = before
        return Facts(
            reader.meta(),
            snapshot,
            reader.last_equity(),
            reader.newest_note(STARTS) or {},
            reader.newest_note(SERVING) or {},
            minute,
            day_ago,
            reader.newest_note_id(),
        )


def overview(facts: Facts, at: Moment) -> dict[str, Any]:
    """The whole answer of ``/api/overview``, JSON values."""
    snapshot, equity = facts.snapshot, facts.equity
    account, risk = snapshot.get("account", {}), snapshot.get("risk", {})
    orders = open_orders(snapshot)
    now = None if equity is None else equity.equity
    return {
        "mode": facts.ready.get("mode", "paper"),
        "simulated": facts.simulated,
        "unproven": facts.serving.get("proven") is False,
        "ended": not at.running,
        "state": risk.get("state"),
        "state_reason": risk.get("reason"),
        "run_id": facts.meta.get("run_id"),
        "version": at.version,
        "last_closed_at_ms": facts.closed_at_ms or None,
        "age_seconds": _age(facts, at) if facts.minute else None,
        "equity": now,
        "starting_cash": account.get("starting_cash"),
        "cash": account.get("cash"),
        "exposure": None if equity is None else equity.exposure,
        "day_return": _change(now, risk.get("day_start_equity")),
        "drawdown": _drawdown(now, risk.get("peak_equity")),
        "fees_paid": account.get("fees_paid"),
        "funding_paid": account.get("funding_paid"),
        "trade_count": account.get("trade_count"),
        "positions": positions(account, orders),
        "open_orders": orders,
        "symbols": symbols(facts, at),
        "model": model_line(facts, at.wall_ms),
    }


def positions(account: Mapping[str, Any], orders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is held, each with its protection."""
    rows = []
    marks = account.get("marks", {})
    for fields in account.get("positions", ()):
        held = Position(*fields)
        if held.is_flat:
            continue
        mark = marks.get(held.symbol, held.entry_price)
        stop, target = protection_of(held.symbol, orders)
        rows.append(
            {
                "symbol": held.symbol,
                "direction": "long" if held.quantity > 0 else "short",
                "quantity": abs(held.quantity),
                "entry_price": held.entry_price,
                "entry_at_ms": held.opened_at_ms,
                "mark": mark,
                "unrealized": held.unrealized(mark),
                "stop": stop,
                "take_profit": target,
                "notional": abs(held.quantity) * mark,
            }
        )
    return rows


def symbols(facts: Facts, at: Moment) -> list[dict[str, Any]]:
    """Each symbol that is traded: its candle, its forecast, and what was made of it."""
    minute = facts.minute
    closes = {} if minute is None else {row[0]: row[5] for row in minute.candles}
    decided = {} if minute is None else {row["symbol"]: row for row in minute.decisions}
    marks = facts.snapshot.get("account", {}).get("marks", {})
    rows = []
    for symbol, seen_ms in sorted(facts.snapshot.get("seen_ms", {}).items()):
        closed_at_ms = seen_ms + MINUTE_MS if seen_ms >= 0 else None
        close = closes.get(symbol, marks.get(symbol))
        age = None
        if closed_at_ms is not None:
            # Behind the others by the market's time, and with them behind the clock.
            age = max(0.0, (facts.closed_at_ms - closed_at_ms) / 1000) + _age(facts, at)
        rows.append(
            {
                "symbol": symbol,
                "last_closed_at_ms": closed_at_ms,
                "age_seconds": age,
                "close": close,
                "change_1d": _change(close, facts.day_ago.get(symbol)),
                "state": freshness(age),
                **said(decided.get(symbol)),
            }
        )
    return rows


def said(decision: Mapping[str, Any] | None) -> dict[str, Any]:
    """Forecast, signal and hold reason of a decision; all null where there is none."""
    if decision is None:
        return {"forecast": None, "signal": None, "hold_reason": None}
    return {
        "forecast": forecast(decision["prediction"]),
        "signal": signal(decision["signal"]),
        "hold_reason": decision["hold_reason"],
    }


def forecast(prediction: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a page shows of a forecast."""
    if prediction is None:
        return None
    return {
        "expected_return": prediction["expected_return"],
        "probability_up": prediction.get("probability_up"),
        "horizon_minutes": prediction["horizon_minutes"],
        "volatility": prediction.get("volatility"),
    }


def signal(fields: Sequence[Any] | None) -> dict[str, Any] | None:
    """A journaled signal by names."""
    if fields is None:
        return None
    return {"direction": fields[0], "strength": fields[1], "reason": fields[2]}


def freshness(age_seconds: float | None) -> str:
    """fresh, late or silent."""
    if age_seconds is None or age_seconds >= LATE_SECONDS:
        return "silent"
    return "fresh" if age_seconds < FRESH_SECONDS else "late"


def model_line(facts: Facts, wall_ms: int) -> dict[str, Any]:
    """Who predicts."""
    model_id: str | None = facts.serving.get("model_id")
    made_ms = None if model_id is None else made_at_ms(model_id)
    return {
        "model_id": model_id,
        "recipe": None if model_id is None or made_ms is None else _STAMP.sub("", model_id),
        "proven": facts.serving.get("proven"),
        "age_seconds": None if made_ms is None or made_ms > wall_ms else (wall_ms - made_ms) / 1000,
    }


def made_at_ms(model_id: str) -> int | None:
    """When a model was made, by its id; None where the id does not tell."""
    found = _STAMP.search(model_id)
    if found is None:
        return None
    try:
        made = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(made.timestamp() * 1000)


def _age(facts: Facts, at: Moment) -> float:
    """Seconds since the last minute closed: by the clock, or on a simulated market since it was committed."""
    if facts.simulated:
        return at.since_minute_seconds
    return max(0.0, (at.wall_ms - facts.closed_at_ms) / 1000)


def _change(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else now / before - 1.0


def _drawdown(now: float | None, peak: float | None) -> float | None:
    """The fall from the highest equity since limits were last counted anew, as a fraction."""
    return None if now is None or not peak else max(0.0, 1.0 - now / peak)
