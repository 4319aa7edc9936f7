"""`bot status`, `bot trades` and `bot logs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, random_market, random_predictions


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """The state folder of a daemon that traded and ended, with a log."""
    candles = random_market(21, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(21, candles), now_ms=MIDNIGHT)
    daemon.journal.meta("run_id", "abc")
    daemon.journal.meta("simulated", "true")
    await daemon.start()
    await daemon.run()
    daemon.close()
    (tmp_path / "logs").mkdir()
    rows = [
        {"ts": "t1", "level": "info", "event": "order.filled", "symbol": "BTC/USDT:USDT"},
        {"ts": "t2", "level": "warning", "event": "candle.late", "symbol": "ETH/USDT:USDT"},
        {"ts": "t3", "level": "info", "event": "order.canceled", "symbol": "ETH/USDT:USDT"},
    ]
    (tmp_path / "logs" / "bot.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{half")
    return tmp_path


def test_status_tells_the_account_and_that_nobody_runs(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has every figure of the journal; the table says that the market was simulated."""
    assert main(["status", "--state-dir", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["running"] is False
    assert told["run_id"] == "abc"
    assert told["trade_count"] > 10
    assert told["equity"] == pytest.approx(10_000, rel=0.2)
    assert main(["status", "--state-dir", str(state)]) == 0
    assert "SIMULATED" in capsys.readouterr().out


def test_trades_are_listed_newest_first(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many as asked for, with every column of the contract."""
    assert main(["trades", "--state-dir", str(state), "--limit", "5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 5
    assert {"symbol", "direction", "entry_price", "exit_price", "fees", "pnl", "exit_reason"} <= set(rows[0])
    assert main(["trades", "--state-dir", str(state)]) == 0
    assert "SIMULATED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "times"),
    [
        ([], ["t1", "t2", "t3"]),
        (["--event", "order."], ["t1", "t3"]),
        (["--symbol", "ETH/USDT:USDT"], ["t2", "t3"]),
        (["--level", "warning"], ["t2"]),
        (["--lines", "1", "--event", "order."], ["t3"]),
        (["--lines", "0"], []),
    ],
)
def test_logs_are_filtered(
    state: Path, capsys: pytest.CaptureFixture[str], flags: list[str], times: list[str]
) -> None:
    """Event prefix, symbol, level and count each do what they say; half a line does not stop it."""
    assert main(["logs", "--state-dir", str(state), "--json", *flags]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["ts"] for row in rows if "ts" in row] == times


def test_without_a_bot_each_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and one sentence."""
    for command in ("status", "trades", "logs"):
        assert main([command, "--state-dir", str(tmp_path)]) == 3
        assert "make run" in capsys.readouterr().err
