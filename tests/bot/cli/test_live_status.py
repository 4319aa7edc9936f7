"""What ``bot status`` and ``bot trades`` say of live trading: doubt, missing protection, the last comparison, alarms."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.core.execution import LiveExecution
from bot.core.execution_rules import ExecutionRules
from bot.core.orders import Fill, OrderRecord, OrderType, Side
from bot.core.records import order_to_json
from bot.core.venue import OrderUncertain, TradeSeen, VenueState
from bot.daemon.recovery import BROKER_KEY
from bot.journal.journal import SqliteJournal
from bot.ports import InterimRecord
from tests.core_builders import MIDNIGHT, PERPETUAL, approved, at, instrument, order
from tests.daemon_harness import Daemon, random_market, random_predictions


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """The state folder of a daemon that traded."""
    candles = random_market(21, 120)
    daemon = Daemon(tmp_path, candles, random_predictions(21, candles), now_ms=MIDNIGHT)
    daemon.journal.meta("run_id", "abc")
    daemon.journal.note("service.ready", at(1), {"model_id": "tiny", "proven": True, "mode": "live"})
    await daemon.start()
    await daemon.run()
    daemon.close()
    return tmp_path


def keep(state: Path, execution: LiveExecution) -> None:
    """Commit what execution holds, as the daemon does."""
    journal = SqliteJournal(state / "journal.sqlite")
    snapshot = {**(journal.snapshot() or {}), BROKER_KEY: execution.snapshot()}
    journal.commit_interim(InterimRecord(at(200), (), (), (), (), snapshot))
    journal.close()


def status_of(capsys: pytest.CaptureFixture[str], state: Path) -> tuple[dict[str, Any], str]:
    """As JSON, and as text."""
    assert main(["status", "--state-dir", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["status", "--state-dir", str(state)]) == 0
    return told, capsys.readouterr().out


def traded() -> LiveExecution:
    """An entry that was executed, whose stop no answer has come for."""
    execution = LiveExecution({PERPETUAL: instrument()}, ExecutionRules())
    execution.restore(None, [], [], at(1))
    execution.on_event(VenueState(at(1), (), (), (), {}, 10_000.0), at(1))
    intent = order(minute=1, quantity=1.0)
    execution.submit([approved(intent)], at(2))
    name = intent.client_order_id
    fill = Fill("t-1", name, PERPETUAL, Side.BUY, 1.0, 100.0, 0.04, "USDT", at(2))
    execution.on_event(TradeSeen(fill, "7"), at(2))
    execution.on_time(at(2) + 1000)
    execution.take_reports(), execution.take_alarms(), execution.take_commands()
    return execution


async def test_what_is_in_doubt_and_what_is_unprotected_is_told(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stop without an answer is named with its id, its position is called unprotected, and the books' last look is told."""
    execution = traded()
    stop = next(row for row in execution.snapshot()["ledger"]["orders"] if row["intent"]["leg"] == "s")
    name = stop["intent"]["client_order_id"]
    execution.on_event(OrderUncertain(name, PERPETUAL, at(2) + 1500, "timeout"), at(2) + 1500)
    keep(state, execution)
    told, text = status_of(capsys, state)
    live = told["live"]
    assert told["mode"] == "live"
    doubted = {row["client_order_id"]: row for row in live["in_doubt"]}
    assert (doubted[name]["phase"], doubted[name]["leg"], doubted[name]["side"]) == ("uncertain", "s", "sell")
    assert live["unprotected"] == [{"symbol": PERPETUAL, "since_ms": at(2), "reason": "not_confirmed_yet"}]
    assert live["reconciled"] == {"at_ms": at(1), "outcome": "agreed", "symbols": []}
    for words in ("LIVE", "the books agree", "IN DOUBT (uncertain)", name, "UNPROTECTED since", "00:02:00"):
        assert words in text
    assert main(["trades", "--state-dir", str(state)]) == 0
    assert "LIVE trades" in capsys.readouterr().out


async def test_how_the_last_comparison_ended_outlives_a_restart(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference is named with its symbol, before a restart and after."""
    execution = LiveExecution({PERPETUAL: instrument()}, ExecutionRules())
    execution.restore(None, [], [], at(1))
    keep(state, execution)
    assert "not yet compared" in status_of(capsys, state)[1]
    execution.on_event(VenueState(at(3), (), (), (), {PERPETUAL: 2.0}, 10_000.0), at(3))
    again = LiveExecution({PERPETUAL: instrument()}, ExecutionRules())
    again.restore(json.loads(json.dumps(execution.snapshot())), [], [], at(4))
    keep(state, again)
    told, text = status_of(capsys, state)
    assert told["live"]["reconciled"] == {"at_ms": at(3), "outcome": "differs", "symbols": [PERPETUAL]}
    assert f"the books DIFFER: {PERPETUAL}" in text


async def test_the_newest_alarms_of_this_run_are_told(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five at most, the newest first, none of an earlier run and nothing that is no alarm."""
    keep(state, traded())
    journal = SqliteJournal(state / "journal.sqlite")
    journal.note("order.uncertain", at(1), {"symbol": "old"})
    journal.note("service.stopped", at(2), {})
    journal.note("account.foreign_order", at(3), {"symbol": "at the start"})
    journal.note("service.ready", at(4), {"model_id": "tiny", "mode": "live"})
    assert [one["symbol"] for one in status_of(capsys, state)[0]["live"]["alarms"]] == ["at the start"]
    for number in range(6):
        journal.note("order.uncertain", at(5 + number), {"symbol": f"s{number}"})
    journal.note(
        "model.swapped", at(20), {"model_id": "tiny", "previous": "tiny", "why": "asked for", "proven": True}
    )
    journal.note("service.stopped", at(21), {})
    journal.close()
    told, text = status_of(capsys, state)
    assert [one["symbol"] for one in told["live"]["alarms"]] == ["s5", "s4", "s3", "s2", "s1"]
    assert "order.uncertain  symbol=s5" in text


async def test_on_paper_nothing_of_it_is_shown(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without orders at an exchange there is no doubt about them; a resting entry shows its price."""
    journal = SqliteJournal(state / "journal.sqlite")
    journal.note("service.ready", at(4), {"model_id": "tiny", "mode": "paper"})
    resting = replace(order(minute=150), type=OrderType.LIMIT, limit_price=99.5)
    snapshot = {**(journal.snapshot() or {}), "orders": [order_to_json(OrderRecord(resting))]}
    journal.commit_interim(InterimRecord(at(200), (), (approved(resting),), (), (), snapshot))
    journal.close()
    told, text = status_of(capsys, state)
    assert (told["mode"], told["live"]) == ("paper", None)
    assert "LIVE" not in text
    shown = {row["client_order_id"]: row["limit_price"] for row in told["open_orders"]}
    assert shown[resting.client_order_id] == 99.5
    assert "99.5" in text
