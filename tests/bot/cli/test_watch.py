"""`bot status`, `bot trades` and `bot logs`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.cli import main
from bot.inference import OnnxPredictor
from bot.journal.journal import SqliteJournal
from models.features import feature_set
from models.scaling import fit_scaler
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions
from tests.tiny_model import write_tiny_model


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
    assert told["inputs"] == {}
    assert main(["status", "--state-dir", str(state)]) == 0
    assert "SIMULATED" in capsys.readouterr().out


def test_status_tells_of_the_last_nightly_replay(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line: the same, diverged with the first difference, or failed with the reason."""

    def line(kind: str, **fields: object) -> str:
        journal = SqliteJournal(state / "journal.sqlite")
        journal.note(kind, MIDNIGHT, {"date": "2024-01-01", **fields})
        journal.close()
        assert main(["status", "--state-dir", str(state)]) == 0
        return capsys.readouterr().out

    compared = {"decisions": 2880, "orders": 12, "forecasts": 2800, "explained": 3}
    assert main(["status", "--state-dir", str(state), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shadow_replay"] is None
    told = line("replay.finished", **compared)
    assert "2024-01-01: 2,880 decisions, 12 orders, 2,800 forecasts the same, 3 differences explained" in told
    assert "DIVERGED: 2 of" in line("replay.diverged", **compared, unexplained=2, first="decision x")
    assert "FAILED: no room" in line("replay.failed", reason="no room")
    assert main(["status", "--state-dir", str(state), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shadow_replay"]["outcome"] == "failed"


async def test_status_tells_where_the_model_abstains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By symbol: how many minutes had no forecast, whether the last one had, and the shares beyond the training."""
    columns = feature_set("scalping-v1").columns
    seen = np.array([[-1.0] * len(columns), [1.0] * len(columns)])
    candles = random_market(22, 340)
    model = OnnxPredictor.load(write_tiny_model(tmp_path, scaler=fit_scaler("standard", columns, seen)))
    daemon = Daemon(tmp_path, candles, model, now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    assert main(["status", "--state-dir", str(tmp_path), "--json"]) == 0
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert sorted(inputs) == sorted(SYMBOLS)
    for symbol, row in inputs.items():
        count = model.inputs[symbol]
        assert row == {
            "since": "2024-01-01 00:01",
            "windows": 41,
            "abstained_count": 41,
            "abstains": True,
            "outside_share": round(count.outside / (41 * len(columns)), 6),
            "window_outside_share": round(count.window_outside / (60 * len(columns)), 6),
        }
        assert 0.01 < row["outside_share"] < 1.0
    assert main(["status", "--state-dir", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "41 of 41 min" in text
    assert "abstains" in text


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


def keep(state: Path, kind: str, **fields: object) -> None:
    """A note of the daemon."""
    journal = SqliteJournal(state / "journal.sqlite")
    journal.note(kind, MIDNIGHT, fields)
    journal.close()


def text_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints for people."""
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_an_unproven_model_is_called_so_everywhere(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status, trades and the head of the log say UNPROVEN, and no more once a proven one trades."""
    line = {"ts": "t4", "level": "info", "event": "service.ready", "run_id": "r", "unproven": True}
    log = state / "logs" / "bot.jsonl"
    log.write_text(json.dumps(line) + "\n")
    keep(state, "service.ready", model_id="tiny", proven=False)
    for command in ("status", "trades", "logs"):
        assert "UNPROVEN" in text_of(capsys, command, "--state-dir", str(state)), command
    keep(state, "model.swapped", model_id="other", previous="tiny", why="promoted by the gate", proven=True)
    log.write_text(json.dumps({**line, "unproven": False}) + "\n")
    for command in ("status", "trades", "logs"):
        assert "UNPROVEN" not in text_of(capsys, command, "--state-dir", str(state)), command
    status = text_of(capsys, "status", "--state-dir", str(state))
    assert "proven: the gate has promoted other" in status
    assert "promoted by the gate" in status


def test_status_tells_of_retraining_shadow_and_rollback(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No-trade, the model taken back, the challenger that was refused, the last verdict: each with its reasons."""
    keep(state, "service.ready", model_id="tiny", proven=True)
    keep(
        state,
        "model.rolled_back",
        model_id="no-trade",
        previous="tiny",
        reason="log_loss: worse",
        refused=None,
    )
    keep(state, "model.swapped", model_id="no-trade", previous="tiny", why="tiny was taken back", proven=None)
    keep(state, "model.shadow_refused", model_id="next", reasons=["it failed"])
    keep(
        state,
        "retrain.finished",
        began_ms=MIDNIGHT,
        model_id="next",
        promote=False,
        reasons=["fails: 3 weeks out of sample"],
    )
    text = text_of(capsys, "status", "--state-dir", str(state))
    for words in (
        "no-trade: nothing has beaten the baselines",
        "taken back on 2024-01-01 00:00: tiny (log_loss: worse)",
        "refused: next on 2024-01-01 00:00: it failed",
        "next was refused by the gate",
        "fails: 3 weeks out of sample",
    ):
        assert words in text
    assert main(["status", "--state-dir", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"]["no_trade"] is True
    assert told["model"]["last_retrain"]["promote"] is False
