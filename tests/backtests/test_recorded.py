"""A journal as what happened in it, in order."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from backtests.decision_code import decision_code
from backtests.recorded import Between, Recording, Start, Swap, absent_of, predictions_of
from backtests.recorded_moves import Moves
from bot.core.engine_config import MODEL_FAILED, NO_PREDICTION
from bot.core.market import MINUTE_MS
from bot.core.orders import Adopted, Fill, Funding, Side
from bot.core.state import StateEvent
from bot.errors import DataError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader, StoredBatch
from bot.ports import InterimRecord
from tests.core_builders import MIDNIGHT, PERPETUAL, at
from tests.journal_rig import Life, forged, live_through, recording


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a restart, commands and a model that was swapped."""
    lives = [Life(80, {70: "pause"}), Life(100, {90: "resume", 95: "flatten"})]
    folder = asyncio.run(live_through(tmp_path_factory.mktemp("state"), lives, minutes=100))
    journal = SqliteJournal(folder / "journal.sqlite")
    journal.note("model.swapped", at(85), {"model_id": "next", "after_ms": at(85)})
    journal.close()
    return folder


def told(found: Recording, after_ms: int = -1, *, settled: bool = False) -> list[object]:
    """What happened, minutes left out."""
    return [one for one in found.happenings(after_ms, settled=settled) if not isinstance(one, StoredBatch)]


def test_everything_is_told_in_order_and_once(state: Path) -> None:
    """Starts, swaps and commands stand between the minutes that they were between."""
    found = recording(state)
    names = []
    for one in found.happenings(-1, settled=False):
        if isinstance(one, StoredBatch):
            names.append(one.closed_at_ms)
        else:
            assert one.batch_ms < 0 or one.batch_ms + MINUTE_MS == names[-1]
    assert names == [at(minute) for minute in range(1, 101)]
    kinds = [type(one) for one in told(found)]
    assert kinds == [Start, Between, Start, Swap, Between, Between]
    events = [(one.event, one.flatten) for one in told(found) if isinstance(one, Between)]
    assert events == [(StateEvent.PAUSE, False), (StateEvent.RESUME, False), (StateEvent.PAUSE, True)]
    assert all(one.is_command for one in told(found) if isinstance(one, Between))


def test_a_stretch_ends_where_it_was_told_to(state: Path, tmp_path: Path) -> None:
    """What is appended later is not of it; what belongs to a state that is at hand is not told again."""
    found = recording(state, at(70), at(90))
    assert [one.closed_at_ms for one in found.minutes()] == [at(minute) for minute in range(71, 91)]
    [first, *_] = told(found, at(69))
    assert isinstance(first, Between)
    assert not any(isinstance(one, Between) for one in told(found, at(69), settled=True))
    assert recording(state, 0, 2**62).until_ms == at(100)
    assert found.rules_row["batch_ms"] < found.since_ms


def test_an_older_interim_is_placed_by_its_time(state: Path, tmp_path: Path) -> None:
    """A journal that does not say after which minute something was settled has it after the last that had closed."""

    def age(database: object) -> None:
        execute = database.execute  # type: ignore[attr-defined]
        payload = b'{"reports":[],"approved":[],"state_changes":[["trading","halted","reconciliation",1]]}'
        execute("DELETE FROM interims")
        execute("INSERT INTO interims (at_ms, payload) VALUES (?, ?)", (at(50) + 12_000, payload))

    copy = forged(state, tmp_path / "older", age)
    [one] = [one for one in told(recording(copy)) if isinstance(one, Between)]
    assert (one.batch_ms, one.event, one.is_command) == (at(49), StateEvent.RECONCILIATION, False)
    assert one.state_changes[0].reason == "reconciliation"


def test_a_watchdog_is_no_person(tmp_path: Path) -> None:
    """The pause of a watchdog is told by its note; a halt of its own by its event."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.note("service.rules", 0, {"batch_ms": -1, "instruments": {}, "settings": {}})
    journal.note("risk.watchdog_tripped", 5_000, {"seconds": 3600, "action": "reduce"})
    for at_ms, event in ((5_001, "pause"), (9_000, "pause"), (9_500, "watchdog")):
        journal.commit_interim(
            InterimRecord(at_ms, (), (), (), (), {"batch_ms": -1}, event, event == "watchdog")
        )
    journal.close()
    found = Recording(JournalReader(tmp_path / "journal.sqlite"), 0, MINUTE_MS)
    assert [one.is_command for one in found._between()] == [False, True, False]


def test_a_journal_without_rules_needs_some(state: Path, tmp_path: Path) -> None:
    """The sentence says which flags tell them."""
    copy = forged(state, tmp_path / "older", lambda db: db.execute("DELETE FROM notes"))
    with pytest.raises(DataError, match="--config or --set"):
        recording(copy)


def test_forecasts_and_their_absence_are_read_back() -> None:
    """A forecast that was no number is one again; why there was none is the minute's reason."""
    made = {
        "symbol": PERPETUAL,
        "closed_at_ms": at(1),
        "model_id": "m",
        "horizon_minutes": 15,
        "expected_return": None,
    }
    rows: list[dict[str, Any]] = [
        {"prediction": made, "hold_reason": "prediction_not_finite"},
        {"prediction": None, "hold_reason": MODEL_FAILED},
    ]
    batch = StoredBatch(at(1), at(1), [], [], rows)
    [one] = predictions_of(batch)
    assert math.isnan(one.expected_return)
    assert absent_of(batch) == MODEL_FAILED
    assert (
        absent_of(StoredBatch(at(1), at(1), [], [], [{"prediction": None, "hold_reason": "x"}]))
        == NO_PREDICTION
    )


def test_moves_add_up_the_executions_of_an_order() -> None:
    """Parts make one order at the average price; funding is what was booked, or follows from what is held."""

    def fill(part: int, price: float, side: Side = Side.BUY) -> Fill:
        return Fill(f"t{part}", "o1", PERPETUAL, side, 1.0, price, 0.1, "USDT", MIDNIGHT + part)

    moves = Moves()
    moves.add([fill(1, 100.0), fill(2, 102.0)])
    moves.add(
        [Funding(PERPETUAL, 0.001, 100.0, MIDNIGHT + 5), Funding(PERPETUAL, 0.0, 0.0, MIDNIGHT + 7, 0.5)]
    )
    rows = moves.rows()
    order = rows["fill", "o1"]
    assert (order["quantity"], order["price"], order["fee"], order["minute_ms"]) == (
        2.0,
        101.0,
        0.2,
        MIDNIGHT,
    )
    assert rows["funding", PERPETUAL, str(MIDNIGHT)]["paid"] == pytest.approx(2.0 * 100.0 * 0.001 + 0.5)
    assert moves.add([Adopted("ETH/USDT:USDT", -3.0, 10.0, MIDNIGHT)]) == {"ETH/USDT:USDT"}
    assert moves.held("ETH/USDT:USDT") == -3.0


def test_the_code_that_decides_has_a_digest() -> None:
    """Sixteen characters, the same each time."""
    assert len(decision_code()) == 16
    assert decision_code() == decision_code()
