"""The whole daemon as a process, on a tape, over real sockets."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.clock import SystemClock, wall_ms
from bot.daemon.starting import synchronize
from bot.simexchange.tls import server_context
from tests.daemon_harness import ListFeed
from tests.tiny_model import write_tiny_model

RUN = """
import json, sys
from bot.cli import main
code = main(sys.argv[1:])
heavy = sorted({"tensorflow", "keras", "pandas", "sklearn", "backtrader", "plotly"} & set(sys.modules))
print(json.dumps({"code": code, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of a run on a quarter of a day of a random market with a tiny model."""
    folder = tmp_path_factory.mktemp("market")
    generator = np.random.default_rng(4)
    close = np.round(100.0 * np.exp(np.cumsum(generator.normal(0, 0.001, 360))), 2)
    open_ = np.concatenate([close[:1], close[:-1]])
    tape = folder / "binanceusdm-BTCUSDT-1m-random.parquet"
    columns = {
        "ts": 1_704_067_200_000 + np.arange(360, dtype=np.int64) * 60_000,
        "open": open_,
        "high": np.maximum(open_, close),
        "low": np.minimum(open_, close),
        "close": close,
        "volume": np.ones(360),
    }
    pq.write_table(pa.table(columns), tape)
    model = write_tiny_model(folder / "models")
    return [
        "run",
        "--tape",
        str(tape),
        "--model",
        model.name,
        "--unproven",
        "--set",
        f"model.root={folder / 'models'}",
    ]


def rows(text: str) -> list[dict[str, Any]]:
    """The JSON lines of an output."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_it_trades_a_tape_to_its_end_without_heavy_libraries(words: list[str], tmp_path: Path) -> None:
    """Ready before the first decision, one decision a candle, stopped in order; TensorFlow is never imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words, "--speed", "0", "--until-tape-end", "--state-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = rows(done.stdout)
    assert lines.pop() == {"code": 0, "heavy": []}
    events = [line["event"] for line in lines]
    assert events[0] == "service.starting"
    assert events.index("service.ready") < events.index("decision.made")
    assert events[-1] == "service.stopped"
    assert events.count("decision.made") == 360
    assert events.count("prediction.made") > 0
    for line in lines:
        assert line["run_id"]
        assert line["mode"] == "paper"
        assert line["simulated"] is True
        assert line["unproven"] is True
    assert (tmp_path / "logs" / "bot.jsonl").read_text() == "".join(
        line for line in done.stdout.splitlines(keepends=True) if '"event"' in line
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_start_that_finds_no_exchange(
    words: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    """Each failed request is a line of the log, and a signal does not wait for the retries to be used up."""
    server_context(tmp_path / "ca.pem")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        command = [sys.executable, "-m", "bot", "run", *words[3:], "--state-dir", str(tmp_path / "state")]
        command += ["--exchange", "binanceusdm", "--symbol", "BTC/USDT:USDT"]
        command += ["--set", f"exchange.connect_to=127.0.0.1:{deaf.getsockname()[1]}"]
        command += ["--set", f"exchange.ca_file={tmp_path / 'ca.pem'}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if '"feed.request_failed"' in line:
                    break
            process.send_signal(number)
            assert '"service.stopped"' in process.stdout.read().splitlines()[-1]
            assert process.wait(timeout=5) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_and_the_next_start_goes_on(
    words: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    """Exit code 0 within seconds, and the second life says that it recovered."""
    command = [sys.executable, "-m", "bot", *words, "--state-dir", str(tmp_path), "--resume-tape"]
    with subprocess.Popen([*command, "--speed", "600"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if '"decision.made"' in line:
                break
        first.send_signal(number)
        assert '"service.stopped"' in first.stdout.read().splitlines()[-1]
        assert first.wait(timeout=5) == 0
    second = subprocess.run(
        [*command, "--speed", "0", "--until-tape-end"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    ready = next(line for line in rows(second.stdout) if line["event"] == "service.ready")
    assert ready["recovered"] is True


def test_a_fallback_predicts_where_the_model_is_refused(words: list[str], tmp_path: Path) -> None:
    """A damaged model stops the start, unless another one was named for that: it predicts, and log and status say so."""
    damaged = write_tiny_model(tmp_path / "models")
    fallback = write_tiny_model(tmp_path / "models", recipe="forest", seed=8)
    (damaged / "scaler.json").write_bytes(b"{}")
    command = [
        sys.executable,
        "-m",
        "bot",
        *words[:3],
        "--state-dir",
        str(tmp_path / "state"),
        "--speed",
        "0",
    ]
    command += [
        "--unproven",
        "--until-tape-end",
        "--model",
        damaged.name,
        "--set",
        f"model.root={tmp_path / 'models'}",
    ]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 6
    command += ["--set", f"model.fallback={fallback.name}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = [line for line in rows(done.stdout) if line["event"] in {"model.refused", "service.ready"}]
    assert [line["event"] for line in told] == ["model.refused", "service.ready"]
    assert "scaler.json" in told[0]["reason"]
    assert told[0]["instead"] == told[1]["model_id"] == fallback.name
    status = [sys.executable, "-m", "bot", "status", "--json", "--state-dir", str(tmp_path / "state")]
    shown = json.loads(subprocess.run(status, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert shown["model_id"] == fallback.name
    assert "scaler.json" in shown["model_refused"]


def test_a_model_that_is_not_proven_does_not_trade(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 6 and one sentence that says what the gate said and how to trade it knowingly; no journal is made."""
    strict = [word for word in words if word != "--unproven"]
    assert main([*strict, "--state-dir", str(tmp_path), "--json"]) == 6
    said = json.loads(capsys.readouterr().out)["error"]
    assert "is not proven: the gate has never judged it; --unproven" in said
    assert not (tmp_path / "journal.sqlite").exists()


def test_nobody_trades_where_nobody_is_champion(words: list[str], tmp_path: Path) -> None:
    """With no-trade every minute is journaled and held for want of a model, and nothing is called unproven."""
    command = [sys.executable, "-m", "bot", *words[:3], "--state-dir", str(tmp_path), "--model", "no-trade"]
    command += ["--speed", "0", "--until-tape-end"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = rows(done.stdout)
    made = [line for line in lines if line["event"] == "decision.made"]
    assert len(made) == 360
    assert {line["reason"] for line in made} == {"warming_up", "no_model"}
    assert not any("unproven" in line for line in lines)
    status = [sys.executable, "-m", "bot", "status", "--state-dir", str(tmp_path)]
    shown = subprocess.run(status, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "no-trade: nothing has beaten the baselines" in shown


async def test_the_clock_of_this_machine_is_set_by_the_exchanges() -> None:
    """Five seconds of skew are taken up at the start, give or take the round trip."""
    clock = SystemClock()
    feed = ListFeed([], now_ms=wall_ms() + 5_000)
    await synchronize(clock, feed)
    assert abs(clock.offset_ms - 5_000) < 1_000
