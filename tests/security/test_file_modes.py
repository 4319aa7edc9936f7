"""What the daemon leaves on the disk can be read by its owner alone, and no link in the state folder leads it elsewhere."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.daemon.control_files import keep_token
from bot.daemon.doctor import Level, judge_state
from bot.daemon.doctor_probes import look_at_state
from bot.daemon.hardening import keep_private
from bot.daemon.lock import LOCK_NAME, state_lock
from bot.daemon.telegram_mark import keep_mark, kept_mark
from bot.daemon.telegram_updates import Mark
from bot.errors import StorageError
from bot.logs import RotatingFile
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, random_market, random_predictions


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """As it was before, whatever a test does."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The mode of each file below a folder."""
    return {
        str(file.relative_to(folder)): stat.S_IMODE(file.stat().st_mode)
        for file in folder.rglob("*")
        if file.is_file()
    }


def traces(folder: Path) -> dict[str, int]:
    """What a daemon writes: journal, log, lock, token, and how far Telegram was heard."""
    keep_private(folder)
    with state_lock(folder):
        candles = random_market(61, 5)
        daemon = Daemon(folder, candles, random_predictions(61, candles), now_ms=MIDNIGHT)
        keep_token(folder)
        keep_mark(folder, 7, Mark(1, 1))
        log = RotatingFile(folder / "logs" / "bot.jsonl", 10_000, 3)
        log.write(b"{}\n" * 4000)
        log.write(b"{}\n" * 4000)
        log.close()
        found = modes(folder)
        daemon.close()
    return found


def test_a_new_state_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The folder is 0700; journal, its log of changes, logs and their older files, lock, token and mark are 0600."""
    folder = tmp_path / "deep" / "state"
    found = traces(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    wanted = {"journal.sqlite", "journal.sqlite-wal", "logs/bot.jsonl", "logs/bot.jsonl.1", "control.token"}
    assert wanted | {LOCK_NAME, "telegram.json"} <= set(found)
    assert set(found.values()) == {0o600}


def test_a_folder_that_was_opened_to_a_group_stays_so_and_secrets_do_not(tmp_path: Path) -> None:
    """Who made it 0750 lets a collector read the logs; token and mark are 0600 all the same, and nothing is for others."""
    tmp_path.chmod(0o750)
    found = traces(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750
    assert found["logs/bot.jsonl"] == 0o640
    assert {found["control.token"], found["telegram.json"], found[LOCK_NAME]} == {0o600}
    assert not any(mode & stat.S_IRWXO for mode in found.values())


def test_a_real_daemon_keeps_to_it(tmp_path: Path) -> None:
    """`bot run` itself, though the umask of its shell is wide open: nothing in its state folder is for others."""
    state = tmp_path / "state"
    words: tuple[str, ...] = (
        "run",
        "--state-dir",
        str(state),
        "--set",
        "model.id=no-trade",
        "--set",
        "exchange.connect_to=127.0.0.1:9",
    )
    words += ("--set", f"exchange.ca_file={tmp_path / 'ca.pem'}", "--set", "exchange.simulated=true")
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os; os.umask(0); from bot.cli import main; raise SystemExit(main({list(words)!r}))",
        ],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    found = modes(state)
    assert "journal.sqlite" in found
    assert not any(mode & 0o077 for mode in found.values()), found


def test_a_lock_that_is_a_link_harms_nothing(tmp_path: Path) -> None:
    """What it leads to is not cut to nothing, and the start is refused with a sentence."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / "state"
    state.mkdir()
    (state / LOCK_NAME).symlink_to(victim)
    with pytest.raises(StorageError, match="can't be written"), state_lock(state):
        pytest.fail("it was locked")
    assert victim.read_text() == "precious"


def test_a_token_or_a_mark_that_is_a_link_is_replaced_and_harms_nothing(tmp_path: Path) -> None:
    """A token that somebody else can choose is not used; what the link led to is as it was."""
    victim = tmp_path / "victim"
    victim.write_text("A" * 43)
    state = tmp_path / "state"
    state.mkdir()
    for name in ("control.token", "telegram.json"):
        (state / name).symlink_to(victim)
    token, why = keep_token(state)
    keep_mark(state, 7, Mark(5, 1))
    assert token != "A" * 43
    assert why is not None
    assert victim.read_text() == "A" * 43
    assert not (state / "control.token").is_symlink()
    assert not (state / "telegram.json").is_symlink()
    assert kept_mark(state, 7) == Mark(5, 1)


def test_a_draft_that_lies_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    """The file that a token is drafted in may be a link that somebody laid there: it is removed, and not followed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".control.token.{os.getpid()}").symlink_to(victim)
    keep_token(tmp_path)
    assert victim.read_text() == "precious"


def test_a_folder_that_all_can_write_is_told_by_the_check_up(tmp_path: Path) -> None:
    """`bot doctor` warns of it, and says which mode to give it; a private one is fine."""
    tmp_path.chmod(0o777)
    (finding, _disk) = judge_state(look_at_state(tmp_path))
    assert finding.level is Level.WARNING
    assert f"chmod go-w {tmp_path}" in finding.todo
    tmp_path.chmod(0o700)
    assert judge_state(look_at_state(tmp_path))[0].level is Level.OK
