"""``bot retrainer`` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import main
from bot.logs import close

BOT = (sys.executable, "-P", "-m", "bot", "retrainer")
APART = ("--set", "retrain.enabled=true", "--set", "retrain.by=service")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "retrain.enabled is false"),
        (("--set", "retrain.enabled=true"), "retrain.by is daemon"),
        ((*APART, "--set", "retrain.schedule=soon"), "no crontab line"),
    ],
)
def test_settings_that_leave_it_to_others_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    says: str,
) -> None:
    """Exit code 4 and one sentence that says what to set; no daemon's lock or journal is left behind."""
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["retrainer", "--state-dir", "state", *words]) == 4
    finally:
        close()
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "state" / "journal.sqlite").exists()


def test_it_waits_for_its_hour_and_ends_by_sigterm(tmp_path: Path) -> None:
    """It says when the next one is due, keeps a log of its own, and SIGTERM ends it with exit code 0."""
    words = [*BOT, *APART, "--state-dir", "state", "--json"]
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (0, "")
    assert ready["event"] == "retrainer.ready"
    assert ready["next_ms"] > 1_700_000_000_000
    assert json.loads(said.splitlines()[-1])["event"] == "retrainer.stopped"
    logged = (tmp_path / "state" / "logs" / "retrainer.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in logged] == ["retrainer.ready", "retrainer.stopped"]
    assert not (tmp_path / "state" / "journal.sqlite").exists(), "the journal has one writer, the daemon"
