"""The walk-forward's part of a page: who served, what the gate said, and loud words where it was not asked."""

from __future__ import annotations

import pytest

from backtests.report_html import section_html
from backtests.report_walk import walk_section

ROW = {
    "fire": "2023-07-02T00:00:00Z",
    "began": "2023-07-02T00:00:00Z",
    "ready": "2023-07-02T00:05:00Z",
    "model_id": "scalping-20230702T000000-abc123",
    "judged_as": "recipe",
    "promoted": False,
    "refused_because": "0.01 millinats gained over <b>logistic</b>, at least 0.1 is needed (and 3 other tests)",
    "objections": ["a", "b"],
    "champion_before": "no-trade",
    "champion_after": "no-trade",
    "served_from": None,
    "served_until": None,
    "served_minutes": 0,
    "trades": 0,
    "pnl": 0,
    "gain_millinats": -0.25,
}
SERVED = ROW | {
    "promoted": True,
    "refused_because": None,
    "served_from": "2023-07-03T00:05:00Z",
    "served_until": "2023-07-09T00:05:00Z",
    "served_minutes": 8640,
    "trades": 12,
    "pnl": 34.5,
    "gain_millinats": None,
}
WALK = {
    "gate": "on",
    "sentence": "the gate refused all 2 models: nobody served, and nothing was traded",
    "recipe": "scalping",
    "schedule": "0 0 * * sun",
    "time_zone": "UTC",
    "train_days": 112,
    "max_minutes": 2.5,
    "fit_minutes": 5.0,
    "shadow_hours": 24.0,
    "retrainings": [ROW, SERVED],
    "events": [
        {"at": "2023-07-03T00:05:00Z", "what": "rolled_back", "model_id": "m", "why": "drawdown: it fell"}
    ],
    "totals": {"proven_share": 0.25, "unproven_share": 0.0, "no_model_share": 0.75},
}


def test_every_retraining_has_a_row_and_is_escaped():
    """Verdict, reason, time served, trades, profit and gain stand in the table; words from outside are escaped."""
    section = walk_section(WALK)
    page = section_html(section)
    assert section.near_top
    assert section.title == "Walk-forward, gate on"
    assert "The gate refused all 2 models" in page
    assert "25.0% a proven model" in page
    assert "refused: 0.01 millinats gained over &lt;b&gt;logistic&lt;/b&gt;" in page
    assert "2023-07-03 00:05 to 2023-07-09 00:05 (144 hours)" in page
    assert "+34.50" in page
    assert "-0.250" in page
    assert ">never<" in page
    assert "rolled back" in page
    assert "drawdown: it fell" in page
    assert "<b>logistic" not in page


def test_ungated_is_in_the_heading():
    """The heading says UNGATED and unproven, and no verdict is claimed."""
    rows = [row | {"promoted": None, "refused_because": None} for row in (ROW, SERVED)]
    page = section_html(walk_section(WALK | {"gate": "off", "retrainings": rows, "events": []}))
    assert "Walk-forward, UNGATED: unproven" in page
    assert "not asked" in page
    assert "refused:" not in page
    assert "beside the champion" not in page


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>"])
def test_no_text_ends_a_block_of_figures(text):
    """A model's name cannot leave the table, nor a sentence the paragraph."""
    page = section_html(walk_section(WALK | {"sentence": text, "retrainings": [ROW | {"model_id": text}]}))
    assert "<script>alert" not in page
