"""The daemon's guards see spread and funding of the market that it trades on, on paper and live, spot and perpetuals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.limits import MarketFacts
from bot.journal.reader import JournalReader
from tests.live_rig import LiveTape, assert_agreement, events, make_tape, prepare, run

pytestmark = pytest.mark.timeout(170)

WIDE = {"risk.max_spread_bps": 50.0, "risk.max_funding_rate": 0.03}


def played(folder: Path, tape: LiveTape, **choices: Any) -> tuple[Path, JournalReader]:
    """A run of the bot on the tape, and its journal."""
    state = prepare(folder)
    run(state, tape, **choices)
    return state, JournalReader(state / "journal.sqlite")


def reasons(reader: JournalReader) -> set[str]:
    """Why entries were refused."""
    return {
        refused[-1]
        for batch in reader.batches()
        for decision in batch.decisions
        for refused in decision["refused"]
    }


def test_every_minute_is_decided_on_its_own_quotes(tmp_path: Path) -> None:
    """Live, on spot: each batch of the journal has the spread, and limits that nothing breaks refuse nothing."""
    tape = make_tape(tmp_path / "tape", seed=7, minutes=68, spot=True)
    state, reader = played(tmp_path / "guarded", tape, settings=WIDE)
    facts = [fact for batch in reader.batches() for fact in batch.facts]
    assert len(facts) == reader.counts()["batches"]
    assert all(fact.spread_bps is not None and 1.0 <= fact.spread_bps < 3.0 for fact in facts)
    assert {(fact.symbol, fact.funding_rate) for fact in facts} == {(tape.symbols[0], None)}
    assert reader.counts()["fills"] >= 1
    assert reasons(reader) <= {"spot_cannot_go_short"}
    assert events(state)["feed.quotes_unknown"] == 0
    assert_agreement(state, tape)


def test_without_quotes_nothing_is_entered(tmp_path: Path) -> None:
    """On paper, of perpetuals: an exchange that tells no bid and ask is not entered on, which is told once; rates are known."""
    tape = make_tape(tmp_path / "tape", seed=7, minutes=68)
    silent = {"match": {"route": "GET /fapi/v1/ticker/bookTicker", "count": "every"}, "action": "drop_before"}
    state, reader = played(tmp_path / "silent", tape, mode="paper", settings=WIDE, faults=[silent])
    assert reader.counts()["fills"] == 0
    assert reasons(reader) == {"spread_unknown"}
    facts = {fact for batch in reader.batches() for fact in batch.facts}
    assert facts == {MarketFacts(tape.symbols[0], None, 0.0001)}
    assert events(state)["feed.quotes_unknown"] == 1
