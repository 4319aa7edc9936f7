"""`bot sim`: the simulated exchange as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.cli import main
from bot.simexchange import server
from bot.simexchange.config import Market, SimConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def served(monkeypatch) -> list[SimConfig]:
    """What the server was asked to play, instead of playing it."""
    asked: list[SimConfig] = []
    monkeypatch.setattr(server, "serve", lambda config, _opened: asked.append(config))
    return asked


def test_flags_become_the_exchanges_configuration(served, tmp_path):
    """Every flag reaches the field that it names."""
    words = (
        "sim --tape A=a.parquet --tape b.parquet --funding f.parquet --symbol X --symbol Y --market spot --speed 0 "
        f"--seed 7 --start-at +3d --history-days 2 --port 8443 --state-dir {tmp_path} --resume --parent-pid 1 "
        "--hold-without-clients --wait-for-symbols 2 --faults plan.yaml"
    )
    assert main(words.split()) == 0
    assert served == [
        SimConfig(
            state_dir=tmp_path,
            tapes=("A=a.parquet", "b.parquet"),
            funding=("f.parquet",),
            seed=7,
            symbols=("X", "Y"),
            market=Market.SPOT,
            speed=0.0,
            start_at="+3d",
            history_days=2,
            port=8443,
            resume=True,
            parent_pid=1,
            hold_without_clients=True,
            wait_for_symbols=2,
            faults=Path("plan.yaml"),
        )
    ]


def test_without_flags_the_exchange_has_its_own_defaults(served, monkeypatch):
    """No flag means what SimConfig means by it; the state folder is BOT_STATE_DIR, or var."""
    monkeypatch.setenv("BOT_STATE_DIR", "/somewhere")
    assert main(["sim"]) == 0
    monkeypatch.delenv("BOT_STATE_DIR")
    assert main(["sim"]) == 0
    assert served == [SimConfig(state_dir=Path("/somewhere")), SimConfig(state_dir=Path("var"))]


def test_what_cannot_be_played_is_one_sentence(capsys, tmp_path):
    """A tape that is not there ends in a sentence that names it, and no server is started."""
    code = main(["sim", "--tape", "gone-BTCUSDT-1m.parquet", "--state-dir", str(tmp_path)])
    assert code in {4, 5}
    assert "gone-BTCUSDT-1m.parquet" in capsys.readouterr().err


def test_it_serves_until_it_is_interrupted(tmp_path):
    """It says where it listens, to a service manager too, and Ctrl-C ends it without a traceback."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(20)
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "sim", "--state-dir", str(tmp_path), "--history-days", "1"],
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        endpoint = tmp_path / "sim" / "endpoint.json"
        for _ in range(600):
            if endpoint.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        assert json.loads(endpoint.read_text())["pid"] == process.pid
        port = json.loads(endpoint.read_text())["port"]
        assert manager.recv(4096).decode() == f"READY=1\nSTATUS=SIMULATED market at 127.0.0.1:{port}"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert b"STOPPING=1" in manager.recv(4096)
    finally:
        manager.close()
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in err
