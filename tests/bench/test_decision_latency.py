"""The bench of the daemon's latency tells whether the daemon traded while it was measured."""

from __future__ import annotations

import json
from pathlib import Path

from bench.decision_latency import activity


def test_orders_are_counted_and_what_held_the_others_back_is_named(tmp_path: Path):
    """Of a log, fills are counted, and the commonest reasons of decisions are given; other lines are passed over."""
    said = tmp_path / "daemon.txt"
    rows = [{"event": "order.filled"}] * 2 + [{"event": "service.ready", "reason": "x"}]
    for reason, count in (("late_candle", 5), ("holding", 3), ("macd_disagrees", 2), ("forecast_up", 1)):
        rows += [{"event": "decision.made", "reason": reason}] * count
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    said.write_text("\n".join(["no JSON at all", *lines]))
    assert activity(said) == (2, {"late_candle": 5, "holding": 3, "macd_disagrees": 2})
