"""What a run was beside its trades: who predicted when, when it stood still, and what became of its orders."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

from backtests.overlay_words import leg_words
from backtests.recorded import RULES_NOTE, Recording
from backtests.recorded_result import CARRIED, RecordedRun
from backtests.report_costs import BPS, levels_of, reference_prices
from bot.candles.columns import iso_utc
from bot.core.market import MINUTE_MS
from bot.core.orders import Canceled, Leg, Rejected, Unknown

MOST_LISTED: Final = 50
"""Of stretches and orders; how many there were in all is told beside."""

_LEGS: Final = {leg.value: leg.name.lower() for leg in Leg} | {"m": "entry"}


def facts_of(recording: Recording, run: RecordedRun) -> dict[str, Any]:
    """Everything as JSON values; times in ISO 8601."""
    opened = run.result.equity.ts - MINUTE_MS
    standing = _standing_still(opened)
    commands = [
        row
        for row in recording.reader.notes_in_order(["control.commanded"])
        if recording.since_ms <= row["at_ms"] <= recording.until_ms
    ]
    models = _models(recording)
    unproven = _unproven(recording) & {row["model_id"] for row in models}
    return {
        "mode": recording.mode,
        "simulated": recording.is_simulated,
        "unproven": sorted(unproven),
        "run_id": recording.run_id,
        "models": models,
        "minutes": len(opened),
        "starts": _starts(recording),
        "stood_still": standing[:MOST_LISTED],
        "stood_still_count": len(standing),
        "minutes_missing": sum(row["minutes"] for row in standing),
        "candles_missing": _missing(run),
        "candles_revised": len(recording.revisions()),
        "minutes_late": run.result.hold_reasons["late_candle"],
        "commands": [
            {"at": iso_utc(row["at_ms"]), "command": row["command"], "reason": row["reason"]}
            for row in commands
        ][:MOST_LISTED],
        "orders": _orders(recording, run),
        "slippage": _slippage(run),
        "carried": list(run.carried),
    }


def _models(recording: Recording) -> list[dict[str, Any]]:
    """Who predicted from when to when, one row a stretch."""
    found: list[dict[str, Any]] = []
    for batch in recording.minutes():
        for row in batch.decisions:
            made = row["prediction"]
            if made is None:
                continue
            if not found or found[-1]["model_id"] != made["model_id"]:
                since = iso_utc(batch.closed_at_ms)
                found.append({"model_id": made["model_id"], "since": since, "until": since, "forecasts": 0})
            found[-1]["until"] = iso_utc(batch.closed_at_ms)
            found[-1]["forecasts"] += 1
    return found


def _unproven(recording: Recording) -> set[str]:
    """Models that no gate has promoted when they began to predict."""
    told = recording.reader.notes_in_order(["service.ready", "model.swapped"])
    return {str(row["model_id"]) for row in told if row.get("proven") is False}


def _starts(recording: Recording) -> list[str]:
    """After which minutes the daemon began, or began again."""
    rows = recording.reader.notes_in_order([RULES_NOTE])
    times = [int(row["batch_ms"]) + MINUTE_MS for row in rows]
    return [
        iso_utc(max(at_ms, recording.since_ms))
        for at_ms in times
        if recording.since_ms <= at_ms <= recording.until_ms or at_ms < MINUTE_MS
    ][-MOST_LISTED:]


def _standing_still(opened: np.ndarray[Any, np.dtype[np.int64]]) -> list[dict[str, Any]]:
    """Stretches of minutes that nobody decided."""
    steps = np.diff(opened)
    return [
        {
            "since": iso_utc(int(opened[place]) + MINUTE_MS),
            "until": iso_utc(int(opened[place + 1])),
            "minutes": int(steps[place]) // MINUTE_MS - 1,
        }
        for place in np.flatnonzero(steps > MINUTE_MS).tolist()
    ]


def _missing(run: RecordedRun) -> dict[str, int]:
    """Of each symbol the minutes that were decided without it, from its first candle on."""
    opened = run.result.equity.ts - MINUTE_MS
    return {
        symbol: missed
        for symbol, arrays in run.data.candles.items()
        if (missed := int((opened >= arrays.ts[0]).sum()) - len(arrays))
    }


def _orders(recording: Recording, run: RecordedRun) -> dict[str, Any]:
    """What became of the orders, and those that a person should know of."""
    rows = recording.reader.orders_between(recording.since_ms, recording.until_ms)
    reasons = {
        report.client_order_id: report for report in run.reports if isinstance(report, Rejected | Unknown)
    }
    canceled = Counter(report.reason for report in run.reports if isinstance(report, Canceled))
    troubled = [row for row in rows if row["client_order_id"] in reasons]
    return {
        "by_state": dict(sorted(Counter(row["state"] for row in rows).items())),
        "canceled_because": dict(canceled.most_common()),
        "rejected": sum(isinstance(one, Rejected) for one in reasons.values()),
        "unknown": sum(isinstance(one, Unknown) for one in run.reports),
        "troubled": [
            {
                **{name: row[name] for name in ("client_order_id", "symbol", "side", "quantity", "state")},
                "leg": leg_words(row["leg"]),
                "at": iso_utc(row["decided_at_ms"]),
                "reason": reasons[row["client_order_id"]].reason,
            }
            for row in troubled[:MOST_LISTED]
        ],
    }


def _slippage(run: RecordedRun) -> dict[str, dict[str, float | int]]:
    """By what orders were for: how much worse they filled than the costs say, basis points."""
    costs = run.data.config.costs
    levels = levels_of(run.reports)
    fills = run.result.fills
    by_leg: dict[str, list[float]] = {}
    for fill, reference in zip(fills, reference_prices(fills, run.data, levels), strict=True):
        if fill.client_order_id == CARRIED:
            continue
        leg = _LEGS.get(fill.client_order_id.rstrip("0123456789")[-1:], "other")
        modelled = 0.0 if fill.price == reference else costs.half_spread_bps + costs.slippage_bps
        worse = fill.side.sign * (fill.price / reference - 1) * BPS - modelled
        by_leg.setdefault(leg, []).append(worse)
    return {leg: _spread(by_leg[leg]) for leg in sorted(by_leg)}


def _spread(values: Sequence[float]) -> dict[str, float | int]:
    return {
        "fills": len(values),
        "mean_bps": math.fsum(values) / len(values),
        "median_bps": median(values),
        "worst_bps": max(values),
    }


def unproven_words(models: Iterable[str]) -> str:
    """Which models traded without a gate's word; empty for none."""
    names = ", ".join(models)
    return f"No gate had promoted {names} when it traded." if names else ""
