"""``bot backup`` and ``bot restore`` as they are typed, and older journals under the commands that read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.bot.daemon.test_backup import state_folder
from tests.older_journals import EQUITY, TRADES, VERSIONS, older_journal


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of backups is filled and thinned; its newest backup becomes a state folder that bot status reads."""
    state = state_folder(tmp_path / "state")
    out = tmp_path / "out"
    row = told(capsys, "backup", "--state-dir", str(state), "--out", str(out))
    assert Path(row["path"]).parent == out
    assert row["bytes"] == Path(row["path"]).stat().st_size
    assert "control.token" in row["left_out"]
    kept = Path(row["path"]).rename(out / "bot-backup-aa11-20200101T000000.tar.gz")
    row = told(capsys, "backup", "--state-dir", str(state), "--out", str(out), "--keep", "1")
    assert row["removed"] == [str(kept)]
    new = tmp_path / "new"
    done = told(capsys, "restore", str(out), "--state-dir", str(new))
    assert (done["run_id"], done["replaced"], done["backup"]) == ("aa11", None, row["path"])
    assert told(capsys, "status", "--state-dir", str(new))["run_id"] == "aa11"


def test_for_a_person_it_is_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is, how large, up to which minute, what is not in it; and how to go on."""
    state = state_folder(tmp_path / "state")
    assert main(["backup", "--state-dir", str(state)]) == 0
    said = capsys.readouterr().out
    assert "journal up to 2024-01-01T00:05:00Z" in said
    assert "not in it: backups, candles, control.json, control.token, logs, strange.key" in said
    assert main(["restore", str(state / "backups"), "--state-dir", str(tmp_path / "new")]) == 0
    assert f"go on with: bot run --state-dir {tmp_path / 'new'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["backup", "--state-dir", "EMPTY"], 3, "there is no journal at"),
        (["backup", "--out", "FILE"], 2, "write a folder, or a file that ends in .tar.gz"),
        (["backup", "--out", "x.tar.gz", "--keep", "3"], 2, "--keep needs a folder"),
        (["restore", "EMPTY", "--state-dir", "NEW"], 5, "there is no backup in"),
        (["restore", "ABSENT", "--state-dir", "NEW"], 5, "there is no backup at"),
        (["restore", "FILE", "--state-dir", "NEW"], 5, "no backup of a bot"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its exit code."""
    state = state_folder(tmp_path / "state")
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FILE").write_text("nothing")
    given = [str(tmp_path / word) if word.isupper() or word.endswith(".gz") else word for word in words]
    if words[0] == "backup" and "--state-dir" not in words:
        given += ["--state-dir", str(state)]
    assert main(given) == code
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_commands_read_an_older_journal(
    version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status and trades of every schema are those of today, and the file stays what it was."""
    path = older_journal(version, tmp_path)
    before = path.read_bytes()
    status = told(capsys, "status", "--state-dir", str(tmp_path))
    assert (status["equity"], status["trade_count"], status["mode"]) == (EQUITY, TRADES, "paper")
    assert [row["symbol"] for row in status["positions"]] == ["ETH/USDT:USDT"]
    assert len(told(capsys, "trades", "--state-dir", str(tmp_path))) == TRADES
    assert path.read_bytes() == before


def test_a_report_of_the_oldest_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the settings that it was traded by, which it did not keep, it has the pages of a backtest."""
    older_journal(1, tmp_path / "state")
    out = tmp_path / "report"
    words = ["report", "--state-dir", str(tmp_path / "state"), "--out", str(out)]
    told(capsys, *words, "--set", "strategy.parameter_set=aggressive")
    assert json.loads((out / "summary.json").read_text())["trades"]
    assert (out / "report.html").exists()


def test_a_newer_journal_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that read refuse it with the sentence of the daemon."""
    import sqlite3

    path = older_journal(5, tmp_path)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert main(["status", "--state-dir", str(tmp_path)]) == 1
    assert "use the newer version, or another state folder" in capsys.readouterr().err
