"""A daemon as a service: it answers, obeys and tells while it trades."""

from __future__ import annotations

import asyncio
import importlib
import sys
from datetime import UTC
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot import log_taps
from bot.clock import FixedClock
from bot.core.market import MINUTE_MS
from bot.daemon.control_client import ask, find_daemon, give_command, read_health
from bot.daemon.control_files import ADDRESS_FILE, TOKEN_FILE, read_token
from bot.daemon.operator import LoopOperator
from bot.daemon.retrainer import Retrainer, RetrainPlan
from bot.daemon.service import Service
from bot.daemon.service_rules import ServiceRules
from bot.daemon.telling import Teller
from bot.errors import StorageError
from bot.journal.reader import JournalReader
from bot.logs import get_logger
from bot.redaction import forget_secrets
from tests.bot.daemon.test_metrics import batch
from tests.daemon_harness import SYMBOLS, Silent
from tests.notice_board import NoticeBoard
from tests.service_rig import Running, running, service_rules


async def figures(one: Running) -> dict[str, float]:
    """The samples of a running daemon's /metrics without labels."""
    client = await asyncio.to_thread(_page, one.folder)
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(client)
        for sample in family.samples
        if not sample.labels
    }


def _page(folder: Path) -> str:
    import http.client

    address = find_daemon(folder)
    connection = http.client.HTTPConnection(address.host, address.port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


async def test_a_running_daemon_tells_how_it_stands(tmp_path: Path) -> None:
    """Health, status and metrics are those of the account that trades, while it trades."""
    async with running(tmp_path) as one:
        await one.minutes(200)
        health = await asyncio.to_thread(read_health, tmp_path)
        assert (health.status, health.body["state"]) == (200, "trading")
        status = (
            await asyncio.to_thread(ask, find_daemon(tmp_path), "GET", "/v1/status", read_token(tmp_path))
        ).body
        account = one.daemon.engine.account
        assert status["equity"] == account.equity()
        assert status["minutes_decided"] == 200
        assert len(status["positions"]) == len(account.positions())
        assert {order["symbol"] for order in status["open_orders"]} == {
            position.symbol for position in account.positions()
        }
        found = await figures(one)
        assert found["bot_minutes_decided_total"] == 200
        assert found["bot_equity"] == account.equity()
        assert found["bot_close_to_decision_seconds_count"] == 200


async def test_its_commands_act_at_once_and_are_in_the_journal(tmp_path: Path) -> None:
    """Flatten closes what is held or on its way and opens nothing, halt lasts over a pause, resume trades again."""
    async with running(tmp_path) as one:
        await one.minutes(150)
        account, risk = one.daemon.engine.account, one.daemon.engine.risk
        while not account.positions():
            await one.minutes(1)
        after = await asyncio.to_thread(give_command, tmp_path, "flatten", "going away")
        assert after["state"] == risk.state.value == "reducing"
        assert after["state_reason"] == "pause"
        await one.minutes(3)
        assert account.positions() == []
        trades = account.trade_count
        await one.minutes(50)
        assert (account.positions(), account.trade_count) == ([], trades)
        after = await asyncio.to_thread(give_command, tmp_path, "resume", "back")
        assert after["state"] == "trading"
        await one.minutes(100)
        assert account.trade_count > trades
        after = await asyncio.to_thread(give_command, tmp_path, "halt", "line\nbreak")
        assert after["state"] == "halted"
        after = await asyncio.to_thread(give_command, tmp_path, "pause", "x")
        assert after["state"] == "halted"
    text = one.text.getvalue().decode()
    assert '"reason":"line\\nbreak"' in text
    reader = JournalReader(one.daemon.journal.path)
    commands = [row["command"] for row in reversed(reader.notes("control.commanded"))]
    assert commands == ["flatten", "resume", "halt", "pause"]
    snapshot = reader.snapshot()
    assert snapshot is not None
    assert snapshot["risk"]["state"] == "halted"


async def test_a_daemon_that_stands_still_is_not_healthy(tmp_path: Path) -> None:
    """The port answers, and says 503 once no minute was decided for too long."""
    async with running(tmp_path, service_rules(unhealthy_seconds=0.05)) as one:
        await one.minutes(3)
        await asyncio.sleep(0.1)
        health = await asyncio.to_thread(read_health, tmp_path)
        assert (health.status, health.body["stalled"]) == (503, True)
        await one.minutes(1)
        one.service.progress.expected_seconds = 60.0
        assert (await asyncio.to_thread(read_health, tmp_path)).status == 200


async def test_an_end_that_nobody_asked_for_is_told(tmp_path: Path) -> None:
    """A failure is an error in the log and reaches people before the process is gone."""

    async def full(address: str) -> None:
        async with running(tmp_path, service_rules(address)):
            # As after any start but the shortest: on a busy machine the import takes as long as a notice may wait.
            await asyncio.to_thread(importlib.import_module, "apprise.plugins")
            raise StorageError("the disk is full")

    with NoticeBoard() as board:
        with pytest.raises(StorageError):
            await full(board.url)
        board.wait(notices=1)
    forget_secrets()
    assert board.notices[0]["title"] == "service.failed (paper, SIMULATED market)"
    assert "the disk is full" in board.notices[0]["message"]


async def test_a_start_after_such_an_end_is_told(tmp_path: Path) -> None:
    """A life that was never stopped in order is seen by the next one; one that was is not."""
    async with running(tmp_path):
        pass
    with NoticeBoard() as board:
        async with running(tmp_path, service_rules(board.url)) as again:
            board.wait(notices=1)
            again.daemon.journal.note("service.stopped", 0, {})
        assert board.notices[0]["title"].startswith("service.interrupted")
        async with running(tmp_path, service_rules(board.url)):
            pass
        assert len(board.notices) == 1
    forget_secrets()


async def test_missed_and_failed_retrainings_are_logged_and_notified(tmp_path: Path) -> None:
    """A retraining that was due while nobody ran, and one that fails, reach log, journal, metrics and people."""
    with NoticeBoard() as board:
        async with running(tmp_path, service_rules(board.url)) as one:
            journal = one.daemon.journal
            journal.note("retrain.planned", 0, {"since_ms": 0})
            now_ms = 90 * MINUTE_MS
            plan = RetrainPlan(
                (sys.executable, "-c", "raise SystemExit(7)"), "0 * * * *", UTC, 30.0, tmp_path
            )
            past = JournalReader(journal.path)
            teller = Teller(get_logger("test"), journal, lambda: now_ms)
            retrainer = Retrainer(plan, past, teller, lambda: now_ms, by_alarm=False)
            past.close()
            serving = asyncio.create_task(retrainer.serve())
            async with asyncio.timeout(60):
                while not JournalReader(journal.path).notes("retrain.failed"):
                    await asyncio.sleep(0.02)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await asyncio.to_thread(board.wait, notices=1)
            found = await figures(one)
        text = "\n".join(notice["title"] + "\n" + notice["message"] for notice in board.notices)
    forget_secrets()
    assert "retrain.missed" in text
    assert "retrain.failed" in text
    assert found["bot_retrain_last_failure_timestamp_seconds"] == now_ms / 1000
    assert one.text.getvalue().count(b'"event":"retrain.missed"') == 1


async def test_a_daily_summary_is_told(tmp_path: Path) -> None:
    """At the set hour of the market's day, to the log and to people."""
    with NoticeBoard() as board:
        async with running(tmp_path, service_rules(board.url)) as one:
            await one.minutes(361)
            await asyncio.to_thread(board.wait, notices=1)
    forget_secrets()
    told = next(notice for notice in board.notices if "summary.daily" in notice["title"] + notice["message"])
    assert "trades: " in told["message"]


async def test_all_of_it_can_be_left_out(tmp_path: Path) -> None:
    """Without metrics, control and notifications there is a pulse and nothing else: no file, no port, no tap."""
    rules = ServiceRules(None, 180.0, False, 0.1, None, 300.0, None)
    clock = FixedClock()
    with Service(rules, tmp_path, SYMBOLS, 1.5, clock, Silent()) as service:
        operator = LoopOperator.__new__(LoopOperator)  # never asked
        service.open(operator)
        beside = service.beside(asyncio.Event())
        assert len(beside) == 1
        assert log_taps.least_level("error") == "error"
        service.on_batch(batch(0), None, None)
        assert service.progress.health("trading").healthy
        for work in beside:
            work.close()
    assert not any((tmp_path / name).exists() for name in (TOKEN_FILE, ADDRESS_FILE))
