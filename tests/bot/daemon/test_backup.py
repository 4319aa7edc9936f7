"""A backup of a folder whose daemon goes on, and a restore that is whole or not there."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS
from bot.daemon import backup as backups
from bot.daemon.backup import Backup, Tools, back_up, default_name, own_backups, thin_out
from bot.daemon.backup_manifest import NAME, Manifest, read_manifest, safe_name
from bot.daemon.backup_parts import Choice
from bot.daemon.lock import RESTORING, RETRAINER_LOCK, state_lock
from bot.daemon.restore import Restored, backup_at, restore
from bot.errors import ConfigError, DataError, NotRunningError, StorageError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.journal.schema import SCHEMA_VERSION
from tests.bot.journal.test_journal import record
from tests.core_builders import MIDNIGHT, at
from tests.daemon_harness import Daemon, random_market, random_predictions

ROOT = Path(__file__).resolve().parents[3]
SEED = 21


def tools(pause: Callable[[float], None] = lambda _seconds: None) -> Tools:
    """No rest, no bar, one moment."""
    return Tools(pause, lambda _what, _done, _total: None, 1_700_000_000_000, "0.1.0")


def state_folder(folder: Path, minutes: int = 5) -> Path:
    """A folder with a journal and some of what lies beside it."""
    journal = SqliteJournal(folder / "journal.sqlite")
    journal.meta("run_id", "aa11")
    for minute in range(minutes):
        journal.commit(record(minute))
    journal.close()
    for name, text in {
        "models/m-1/model.onnx": "graph",
        "models/trials.jsonl": '{"a":1}\n{"b":2}\n{"c":',
        "models/.writing-9/model.onnx": "half",
        "replays/2024-01-01.json": "{}",
        "live-consent.json": "{}",
        "control.token": "s3cret",
        "control.json": "{}",
        "candles/a.parquet": "PAR1",
        "logs/bot.jsonl": "{}\n",
        "strange.key": "k3y",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "models" / "away").symlink_to("/etc/passwd")
    (folder / "control.token").chmod(0o600)
    return folder


def made(folder: Path, choice: Choice | None = None) -> Backup:
    """A backup of such a folder."""
    state = state_folder(folder / "state")
    return back_up(state, state / "models", folder / "b.tar.gz", choice or Choice(), tools())


def put_back(backup: Path, target: Path, *, force: bool = False) -> Restored:
    """Restore it."""
    return restore(backup, target, force=force, stamp="S", progress=lambda _what, _done, _total: None)


def test_what_is_in_it_and_what_never_is(tmp_path: Path) -> None:
    """Journal, models, replays and consent; no token, no unknown file, no link, no half-written model; whole lines alone."""
    made(tmp_path)
    put_back(tmp_path / "b.tar.gz", tmp_path / "new")
    files = {
        str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()
    }
    assert files - {"daemon.lock", RETRAINER_LOCK} == {
        "journal.sqlite",
        "live-consent.json",
        "models/m-1/model.onnx",
        "models/trials.jsonl",
        "replays/2024-01-01.json",
    }
    assert (tmp_path / "new/models/trials.jsonl").read_text() == '{"a":1}\n{"b":2}\n'
    assert b"s3cret" not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())
    assert b"k3y" not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o077 == 0


def test_more_is_in_it_where_it_was_chosen(tmp_path: Path) -> None:
    """Secrets, candles and logs come with their own words, a secret as private as it was."""
    backup = made(tmp_path, Choice(secrets=True, candles=True, logs=True))
    assert {"control.token", "candles/a.parquet", "logs/bot.jsonl"} <= backup.manifest.files.keys()
    assert "strange.key" in backup.manifest.left_out
    put_back(tmp_path / "b.tar.gz", tmp_path / "new")
    assert (tmp_path / "new/control.token").stat().st_mode & 0o777 == 0o600


def test_the_manifest_says_what_it_is_of(tmp_path: Path) -> None:
    """Run, schema, newest minute and version, and the file is as large as was said."""
    backup = made(tmp_path)
    assert backup.manifest.run_id == "aa11"
    assert backup.manifest.schema == SCHEMA_VERSION
    assert backup.manifest.newest_ms == at(5)
    assert backup.size_bytes == backup.path.stat().st_size
    assert read_manifest(backup.manifest.to_json(), "x") == backup.manifest


WRITER = """
import sys
from pathlib import Path
from bot.journal.journal import SqliteJournal
from tests.bot.journal.test_journal import record
journal = SqliteJournal(Path(sys.argv[1]))
minute = int(sys.argv[2])
while True:
    sys.stdin.readline()
    journal.commit(record(minute))
    journal.rest()
    minute += 1
    print(minute, flush=True)
"""


def test_commits_go_on_while_it_is_made(tmp_path: Path) -> None:
    """After every few pages another process commits; none waits or fails, and the copy is of the moment when it began."""
    state = state_folder(tmp_path / "state", 40)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", WRITER, str(state / "journal.sqlite"), "40"]
    with subprocess.Popen(
        words, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None  # noqa: PT018 - for the types
        commits = 0

        def between(_seconds: float) -> None:
            nonlocal commits
            assert writer.stdin is not None and writer.stdout is not None  # noqa: PT018
            writer.stdin.write("go\n")
            writer.stdin.flush()
            assert writer.stdout.readline()
            commits += 1

        backup = back_up(state, state / "models", tmp_path / "b.tar.gz", Choice(), tools(between))
        writer.kill()
    assert commits >= 5
    assert backup.manifest.newest_ms == at(40)
    assert len(list(JournalReader(state / "journal.sqlite").batches())) == 40 + commits
    put_back(tmp_path / "b.tar.gz", tmp_path / "new")
    assert len(list(JournalReader(tmp_path / "new/journal.sqlite").batches())) == 40


async def test_a_daemon_goes_on_from_a_backup_as_if_nothing_had_been(tmp_path: Path) -> None:
    """A backup amid a run, restored and gone on with, ends with the account, orders and trades of the run itself."""
    market = random_market(SEED, 200)
    first = Daemon(tmp_path / "state", market, random_predictions(SEED, market), now_ms=MIDNIGHT)
    await first.start()
    await first.run(until_ms=MIDNIGHT + 120 * MINUTE_MS)
    back_up(tmp_path / "state", tmp_path / "none", tmp_path / "b.tar.gz", Choice(), tools())
    then = first.engine.snapshot()
    for symbol in first.feed.symbols:
        first.feed.start_from(symbol, first.engine.last_opened_at_ms)
    await first.run(until_ms=MIDNIGHT + 200 * MINUTE_MS)
    first.close()
    put_back(tmp_path / "b.tar.gz", tmp_path / "new")
    now_ms = MIDNIGHT + 120 * MINUTE_MS
    second = Daemon(tmp_path / "new", market, random_predictions(SEED, market), now_ms=now_ms)
    assert await second.start()
    assert second.engine.snapshot()["account"] == then["account"]
    await second.run(until_ms=MIDNIGHT + 200 * MINUTE_MS)
    second.close()
    assert second.engine.snapshot() == first.engine.snapshot()
    one, two = (JournalReader(tmp_path / name / "journal.sqlite") for name in ("state", "new"))
    assert one.trades(1000) == two.trades(1000)
    assert list(one.batches()) == list(two.batches())


def test_a_full_disk_is_noticed_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names what is free and what is needed; nothing is left behind."""
    state = state_folder(tmp_path / "state")
    monkeypatch.setattr(backups.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="has 0 MB of free space, and a backup may take"):
        back_up(state, state / "models", tmp_path / "out/b.tar.gz", Choice(), tools())
    assert list((tmp_path / "out").iterdir()) == []


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file nor the folder in which it was gathered."""
    state = state_folder(tmp_path / "state")

    def fails(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(state, state / "models", tmp_path / "out/b.tar.gz", Choice(), tools(fails))
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """A gathering folder that nobody holds any more goes."""
    state = state_folder(tmp_path / "state")
    (tmp_path / "out" / ".bot-backup-1" / "content").mkdir(parents=True)
    back_up(state, state / "models", tmp_path / "out/b.tar.gz", Choice(), tools())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.tar.gz"]


def test_there_must_be_a_journal_and_no_such_file(tmp_path: Path) -> None:
    """An empty folder has nothing to back up, and nothing is written over."""
    with pytest.raises(NotRunningError, match="nothing has run"):
        back_up(tmp_path, tmp_path / "models", tmp_path / "b.tar.gz", Choice(), tools())
    made(tmp_path)
    with pytest.raises(StorageError, match="is there already"):
        back_up(tmp_path / "state", tmp_path / "none", tmp_path / "b.tar.gz", Choice(), tools())


def test_a_damaged_journal_is_not_backed_up_as_if_it_were_whole(tmp_path: Path) -> None:
    """A copy is looked through: damage is told when it can still be mended, and no file is made."""
    state = state_folder(tmp_path / "state", 200)
    path = state / "journal.sqlite"
    database = sqlite3.connect(path)
    root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'batches'").fetchone()[0]
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 512)
    with pytest.raises(StorageError, match=r"damaged|malformed"):
        back_up(state, state / "models", tmp_path / "b.tar.gz", Choice(), tools())
    assert not (tmp_path / "b.tar.gz").exists()


def test_only_the_newest_are_kept_and_others_stay(tmp_path: Path) -> None:
    """Of this bot's backups the oldest go; another bot's and any other file are left alone."""
    for day in range(1, 6):
        (tmp_path / default_name("aa11", day * 86_400_000)).touch()
    other = tmp_path / default_name("bb22", 0)
    other.touch()
    removed = thin_out(tmp_path, "aa11", 2)
    assert [path.name[16:24] for path in removed] == ["19700102", "19700103", "19700104"]
    assert [path.name[16:24] for path in own_backups(tmp_path, "aa11")] == ["19700105", "19700106"]
    assert other.exists()
    assert backup_at(tmp_path) == own_backups(tmp_path, "aa11")[-1]


# --- restore --------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_moved_aside_only_by_force(tmp_path: Path) -> None:
    """Without --force it is refused and untouched; with it all that was there lies in one folder."""
    made(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    (new / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty"):
        put_back(tmp_path / "b.tar.gz", new)
    assert (new / "mine.txt").read_text() == "mine"
    done = put_back(tmp_path / "b.tar.gz", new, force=True)
    assert done.replaced == new / "replaced-S"
    assert (new / "replaced-S/mine.txt").read_text() == "mine"
    assert not (new / "mine.txt").exists()
    assert JournalReader(new / "journal.sqlite").meta()["run_id"] == "aa11"


@pytest.mark.parametrize("name", ["daemon.lock", RETRAINER_LOCK])
def test_a_running_daemons_folder_is_refused(tmp_path: Path, name: str) -> None:
    """Even by force: nothing is put under a daemon or a retrainer."""
    made(tmp_path)
    with state_lock(tmp_path / "new", name), pytest.raises(ConfigError, match="already running"):
        put_back(tmp_path / "b.tar.gz", tmp_path / "new", force=True)


def altered(
    backup: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> Path:
    """A copy of a backup in which something was changed."""
    target = backup.with_name("altered.tar.gz")
    with tarfile.open(backup) as old, tarfile.open(target, "w:gz") as new:
        for member in old:
            file = old.extractfile(member)
            found = change(member, b"" if file is None else file.read())
            if found is not None:
                found[0].size = len(found[1])
                new.addfile(found[0], io.BytesIO(found[1]))
    return target


def renamed(old: str, new: str) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    """A file under another name, in the manifest too."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == NAME:
            content = content.replace(json.dumps(old).encode(), json.dumps(new).encode())
        elif member.name == old:
            member.name = new
        return member, content

    return change


def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """A link instead of a file."""
    if member.name == "live-consent.json":
        member.type, member.linkname, content = tarfile.SYMTYPE, "/etc/passwd", b""
    return member, content


def flipped(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """A bit of the journal turned over."""
    if member.name == "journal.sqlite":
        content = content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
    return member, content


def without(name: str) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]:
    """A file left out."""
    return lambda member, content: None if member.name == name else (member, content)


def told(**changes: Any) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    """A manifest that says something else."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == NAME:
            content = json.dumps({**json.loads(content), **changes}).encode()
        return member, content

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (renamed("live-consent.json", "../outside"), "no sound manifest"),
        (renamed("live-consent.json", "/tmp/outside"), "no sound manifest"),
        (renamed("live-consent.json", "models/../../x"), "no sound manifest"),
        (linked, "which its manifest does not tell of"),
        (flipped, "journal.sqlite is damaged"),
        (without("live-consent.json"), "lacks live-consent.json"),
        (without("journal.sqlite"), "lacks journal.sqlite"),
        (without(NAME), "does not begin with manifest.json"),
        (told(format=2), "which is newer"),
        (
            told(schema=SCHEMA_VERSION + 1),
            f"schema {SCHEMA_VERSION + 1}, and this version knows {SCHEMA_VERSION}",
        ),
        (told(files={}), "which its manifest does not tell of"),
        (told(files="all"), "no sound manifest"),
        (told(made_ms=-1), "no sound manifest"),
    ],
)
def test_an_altered_backup_is_refused_and_nothing_is_touched(
    change: Any, sentence: str, tmp_path: Path
) -> None:
    """Whatever was changed in it, one sentence says so, and the folder is as it was, files outside too."""
    made(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    (new / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=sentence):
        put_back(altered(tmp_path / "b.tar.gz", change), new, force=True)
    left = {path.name for path in new.iterdir()}
    assert left - {"daemon.lock", RETRAINER_LOCK} == {"mine.txt"}
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar", mtime=0), b"\x1f\x8b\x08" + b"x" * 90],
    ids=["empty", "text", "no tar", "no gzip"],
)
def test_what_is_no_backup_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    """Whatever the bytes are."""
    (tmp_path / "b.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="no backup of a bot"):
        put_back(tmp_path / "b.tar.gz", tmp_path / "new")


def test_a_backup_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """At any length: half a file is none."""
    whole = made(tmp_path).path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut.tar.gz").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError):
            put_back(tmp_path / "cut.tar.gz", tmp_path / "new")


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_safe_name_stays_inside(one: str, two: str) -> None:
    """Whatever is called safe lies below a folder when it is put into it."""
    for name in (one, f"{one}/{two}", f"../{one}", f"{one}/../{two}", f"/{one}"):
        if safe_name(name):
            assert os.path.normpath(f"/root/{name}") == f"/root/{name}"


def _dying(backup: Path, target: Path, step: int) -> None:
    """Restore, and die at the given renaming."""
    calls = 0
    rename = Path.rename

    def counted(self: Path, to: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, to)

    Path.rename = counted  # type: ignore[method-assign,assignment]
    put_back(backup, target, force=True)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])
def test_kill_9_amid_a_restore_never_leaves_what_looks_whole(step: int, tmp_path: Path) -> None:
    """The folder is as it was, or no daemon starts on it; the same command ends it, and nothing of before is lost."""
    made(tmp_path)
    new = state_folder(tmp_path / "new", 2)
    child = multiprocessing.get_context("fork").Process(
        target=_dying, args=(tmp_path / "b.tar.gz", new, step)
    )
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    if step == 1:
        with state_lock(new):
            assert len(list(JournalReader(new / "journal.sqlite").batches())) == 2
    else:
        with pytest.raises(ConfigError, match=r"a restore into .* did not end"), state_lock(new):
            pass
    restore(tmp_path / "b.tar.gz", new, force=True, stamp="T", progress=lambda *_words: None)
    with state_lock(new):
        assert len(list(JournalReader(new / "journal.sqlite").batches())) == 5
    assert not (new / RESTORING).exists()
    aside = list(new.glob("replaced-*/strange.key"))
    assert len(aside) == 1


def test_a_manifest_of_other_files_is_another_manifest() -> None:
    """Sizes add up to what is unpacked."""
    manifest = Manifest("0.1.0", 1, None, 5, None, {})
    assert manifest.total_bytes == 0
    assert replace(manifest, run_id="x") != manifest
