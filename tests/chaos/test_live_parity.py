"""Live trading on the simulated exchange gives what paper gives: the same executions, trades and money, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.costs import FUNDING_INTERVAL_MS
from bot.journal.reader import JournalReader
from tests.live_rig import LiveTape, assert_agreement, fills, make_tape, outcome, prepare, run


def booked(state: Path, before_ms: int) -> dict[str, Any]:
    """Executions before a time, trades that ended before it, and decisions up to it."""
    reader = JournalReader(state / "journal.sqlite")
    return {
        "fills": sorted(
            (row["client_order_id"], row["side"], row["quantity"], row["price"], row["fee"])
            for row in fills(state)
            if row["filled_at_ms"] < before_ms
        ),
        "trades": [trade for trade in outcome(state)["trades"] if trade.exit_at_ms < before_ms],
        "decisions": [batch.decisions for batch in reader.batches() if batch.closed_at_ms <= before_ms],
        # Funding of a minute's first moment is booked when the exchange tells it, on paper with that minute's candle.
        "equity": [
            point
            for point in reader.equity()
            if point.at_ms < before_ms and point.at_ms % FUNDING_INTERVAL_MS
        ],
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("where", "bases", "extra"),
    [
        ("perpetuals", ("BTC", "ETH"), {}),
        ("spot", ("BTC",), {}),
        ("okx", ("BTC", "ETH"), {}),
        ("perpetuals", ("BTC",), {"entry.style": "maker", "entry.fallback": "taker"}),
        ("okx", ("BTC",), {"entry.style": "maker", "entry.fallback": "taker"}),
    ],
    ids=["perpetuals", "spot", "okx", "maker", "maker on okx"],
)
def test_live_trades_what_paper_trades(
    where: str, bases: tuple[str, ...], extra: dict[str, Any], tmp_path: Path
) -> None:
    """Decisions, executions, fees, trades and equity of each minute are equal, funding included."""
    spot, okx = where == "spot", where == "okx"
    tape: LiveTape = make_tape(tmp_path / "tape", seed=11, minutes=150, bases=bases, spot=spot, okx=okx)
    paper, live = prepare(tmp_path / "paper"), prepare(tmp_path / "live")
    run(paper, tape, mode="paper", settings=extra)
    run(live, tape, settings=extra)
    assert_agreement(live, tape)
    last_ms = JournalReader(paper / "journal.sqlite").equity()[-1].at_ms
    expected, found = booked(paper, last_ms), booked(live, last_ms)
    assert len(expected["trades"]) >= 5
    for name, value in expected.items():
        assert found[name] == value, name
