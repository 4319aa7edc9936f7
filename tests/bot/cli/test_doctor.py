"""`bot doctor` by its words: what it prints, in which form, and how it ends. The exchange's side is tested over sockets elsewhere."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.cli import main
from bot.daemon import asking
from bot.daemon.lock import state_lock
from bot.journal.journal import SqliteJournal
from bot.redaction import forget_secrets
from bot.simexchange.tls import server_context
from tests import canary
from tests.feed_rig import Line, sim, walk


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A failed question is asked again at once, and keys are forgotten."""
    monkeypatch.setattr(asking, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("bot.daemon.hardening.forbid_core_dumps", list)  # the tests' own process may dump
    for variable in ("BOT_STATE_DIR", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)
    yield
    forget_secrets()


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run it with --json: exit code, and the worst row by check."""
    code = main(["doctor", "--json", *words])
    told = json.loads(capsys.readouterr().out)
    levels = ["ok", "warning", "failed"]
    rows = sorted(told["checks"], key=lambda row: levels.index(row["level"]))
    assert told["ok"] is (rows[-1]["level"] != "failed")
    assert set(rows[0]) == {"check", "level", "says", "todo"}
    return code, {row["check"]: row for row in rows}


@pytest.fixture
def nowhere(tmp_path: Path) -> list[str]:
    """Words that lead to a port where nobody listens, and a state folder of its own."""
    ca_file = tmp_path / "tls" / "ca.pem"
    ca_file.parent.mkdir()
    server_context(ca_file)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--set", f"exchange.connect_to=127.0.0.1:{port}", "--set", f"exchange.ca_file={ca_file}")
    return ["--state-dir", str(tmp_path / "state"), *words, "--set", "model.id=no-trade"]


def test_an_exchange_that_is_gone(
    capsys: pytest.CaptureFixture[str], nowhere: list[str], tmp_path: Path
) -> None:
    """Without an answer the exchange's checks fail with exit code 4; this machine's are told all the same."""
    code, rows = doctor(capsys, *nowhere)
    assert code == 4
    assert {name for name, row in rows.items() if row["level"] == "failed"} == {"exchange", "clock"}
    assert {"settings", "python", "packages", "state folder", "disk", "journal", "last candle"} <= set(rows)
    assert rows["model"]["level"] == "warning"
    assert not (tmp_path / "state").exists()


def test_the_table(capsys: pytest.CaptureFixture[str], nowhere: list[str]) -> None:
    """One line a check, what to do below it, and a line that counts."""
    assert main(["doctor", *nowhere]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["ok", "settings", "right"]
    failed = next(number for number, line in enumerate(lines) if line.startswith("failed"))
    assert lines[failed + 1].lstrip().startswith("->")
    assert lines[-1].endswith("2 failed")


def test_wrong_settings_are_the_only_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the settings are wrong nothing else can be looked at; the sentence is that of every command."""
    code, rows = doctor(capsys, "--set", "sizing.equity_fraction=9")
    assert code == 4
    assert list(rows) == ["settings"]
    assert "sizing.equity_fraction" in rows["settings"]["says"]
    code, rows = doctor(capsys, "--live")
    assert (code, list(rows)) == (4, ["settings"])
    assert "mode live needs it" in rows["settings"]["says"]


def test_fix_belongs_to_live(capsys: pytest.CaptureFixture[str]) -> None:
    """--fix alone is a misuse of words."""
    assert main(["doctor", "--fix"]) == 2
    assert "--live" in capsys.readouterr().err


def test_fix_leaves_a_running_daemon_alone(
    capsys: pytest.CaptureFixture[str], nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is not changed under a daemon that runs in the same state folder."""
    for name, value in canary.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with state_lock(tmp_path / "state"):
        code, rows = doctor(capsys, "--live", "--fix", *nowhere)
    assert code == 4
    assert "under a running daemon" in rows["exchange"]["says"]
    assert "process" in rows["state folder"]["says"]


def test_a_journal_and_a_model_are_looked_at(
    capsys: pytest.CaptureFixture[str], nowhere: list[str], tmp_path: Path
) -> None:
    """A journal of this version is fine, one that is none fails; a model that is not there fails."""
    path = tmp_path / "state" / "journal.sqlite"
    SqliteJournal(path).close()
    _, rows = doctor(capsys, *nowhere)
    assert rows["journal"]["level"] == "ok"
    path.write_bytes(b"this is no database, and longer than a header of one would be: " * 9)
    for beside in path.parent.glob("journal.sqlite-*"):
        beside.unlink()
    _, rows = doctor(capsys, *nowhere, "--set", "model.id=lstm-nowhere")
    assert rows["journal"]["level"] == "failed"
    assert rows["model"]["level"] == "failed"


@contextmanager
def played(folder: Path) -> Iterator[Line]:
    """A simulated exchange in a thread: the command has an event loop of its own."""
    ready, done = threading.Event(), threading.Event()
    lines: list[Line] = []

    async def play() -> None:
        keys = {"api_key": canary.KEY, "api_secret": canary.SECRET}
        async with sim(folder, {"BTCUSDT": walk("BTCUSDT", 30)}, start_at="+20m", **keys) as line:
            lines.append(line)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=asyncio.run, args=(play(),))
    thread.start()
    try:
        assert ready.wait(60)
        yield lines[0]
    finally:
        done.set()
        thread.join(60)


def test_an_account_is_looked_at_and_fixed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --live the account is asked; leverage that is not as set fails, and --fix sets it."""
    for name, value in canary.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with played(tmp_path) as line:
        words = ["--state-dir", str(tmp_path / "state"), "--set", "model.id=no-trade", "--live"]
        for change in (
            f"exchange.connect_to={line.address[0]}:{line.address[1]}",
            f"exchange.ca_file={line.ca_file}",
            "exchange.simulated=true",
            "exchange.clock=market",
            "exchange.symbols=BTC/USDT:USDT",
        ):
            words += ["--set", change]
        code, rows = doctor(capsys, *words)
        assert code == 4
        failed = {name for name, row in rows.items() if row["level"] == "failed"}
        assert failed == {"leverage", "margin mode"}
        assert rows["consent"]["level"] == "warning"
        assert "clock" not in rows
        code, rows = doctor(capsys, *words, "--fix")
        assert (code, rows["leverage"]["level"], rows["set"]["level"]) == (0, "ok", "ok")
