"""What ``bot status`` says of live execution: what is in doubt, what is unprotected, and whether the books agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.journal.reader import JournalReader

SHOWN_ALARMS = 5
ALARM_PREFIXES = (
    "order.",
    "target.",
    "position.",
    "account.",
    "reconciliation.",
    "feed.quotes_",
    "funding.",
)
"""Of the journal's notes, those that live execution and what it depends on write."""

_TOLD = {
    "agreed": "the books agree",
    "differs": "the books DIFFER",
    "unsettled": "orders were on their way",
}


def live_status(reader: JournalReader, snapshot: Mapping[str, Any]) -> dict[str, Any] | None:
    """What live execution held at the last commit, as JSON values; None where orders go to no exchange.

    Args:
        reader: Of the journal.
        snapshot: The engine's last one, with execution's beside it.
    """
    execution = (snapshot.get("broker") or {}) if snapshot else {}
    if "ledger" not in execution:
        return None
    held = {row[0] for row in execution["ledger"]["positions"]}
    return {
        "in_doubt": [
            _doubt(row) for row in execution["ledger"]["orders"] if row["phase"] in {"sent", "uncertain"}
        ],
        "unprotected": [
            {
                "symbol": row["entry"]["symbol"],
                "since_ms": row["exposed_ms"],
                "reason": row["fault"] or ("too_small" if row["too_small"] else "not_confirmed_yet"),
            }
            for row in execution["guards"]
            if row["exposed_ms"] is not None and row["entry"]["symbol"] in held
        ],
        "reconciled": execution["reconciler"].get("last"),
        "alarms": reader.notes_of_run(ALARM_PREFIXES, SHOWN_ALARMS),
    }


def live_lines(live: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    if (last := live["reconciled"]) is None:
        yield "not yet compared with the exchange"
    else:
        names = f": {', '.join(last['symbols'])}" if last["symbols"] else ""
        yield f"compared with the exchange {_iso(last['at_ms'])}: {_TOLD[last['outcome']]}{names}"
    for order in live["in_doubt"]:
        yield (
            f"IN DOUBT ({order['phase']}) since {_iso(order['since_ms'])}: {order['side']} {order['quantity']:g} "
            f"{order['symbol']} ({order['leg']}), {order['client_order_id']}"
        )
    for position in live["unprotected"]:
        yield f"UNPROTECTED since {_iso(position['since_ms'])}: {position['symbol']} ({position['reason']})"
    for alarm in live["alarms"]:
        words = "  ".join(f"{key}={value}" for key, value in alarm.items() if key not in {"kind", "at_ms"})
        yield f"{_iso(alarm['at_ms'])}  {alarm['kind']}  {words}"


def _doubt(row: Mapping[str, Any]) -> dict[str, Any]:
    intent = row["intent"]
    return {
        "client_order_id": intent["client_order_id"],
        "symbol": intent["symbol"],
        "leg": intent["leg"],
        "side": intent["side"],
        "quantity": intent["quantity"],
        "phase": row["phase"],
        "since_ms": row["asked_ms"],
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
