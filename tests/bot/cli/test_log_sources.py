"""Where lines of the log come from: rotated files, files that are being written, systemd's journal."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cli.log_sources import Journald, LogFiles, journald_row, log_files
from bot.errors import ConfigError, NotRunningError, StorageError
from bot.logs import RotatingFile


class EnoughError(Exception):
    """Ends a follower that waits."""


def numbers(lines: Iterator[bytes]) -> list[int]:
    """What the lines say."""
    return [int(line) for line in lines]


def all_of(files: LogFiles) -> list[int]:
    """Every line, oldest first."""
    return [number for place in reversed(range(files.count)) for number in numbers(files.lines(place))]


def enough() -> None:
    """Nothing new: stop."""
    raise EnoughError


def followed(files: LogFiles) -> list[int]:
    """What there is now for a follower."""
    found = []
    try:
        for line in files.follow(enough):
            found.append(int(line))  # noqa: PERF401 - what came before the end counts
    except EnoughError:
        pass
    return found


def test_files_are_found_by_their_numbers(tmp_path: Path) -> None:
    """Newest first, ten after nine; what only looks like one is none."""
    for name in (
        "bot.jsonl",
        "bot.jsonl.1",
        "bot.jsonl.10",
        "bot.jsonl.9",
        "bot.jsonl.gz",
        "bot.jsonl.1x",
        "x.1",
    ):
        (tmp_path / name).write_text("")
    names = [file.name for file in log_files(tmp_path / "bot.jsonl")]
    assert names == ["bot.jsonl", "bot.jsonl.1", "bot.jsonl.9", "bot.jsonl.10"]


def test_without_a_log_it_says_how_to_start(tmp_path: Path) -> None:
    """No file, no folder: one sentence."""
    with pytest.raises(NotRunningError, match="make run"):
        LogFiles(tmp_path / "none" / "bot.jsonl")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(20, 60))
def test_a_follower_misses_nothing_over_rotations(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], size: int
) -> None:
    """Whatever is written between two looks, and however often the file is rotated meanwhile: each line comes once, in order."""
    path = tmp_path_factory.mktemp("log") / "bot.jsonl"
    writer = RotatingFile(path, size, 40)
    written = 0

    def write(count: int) -> None:
        nonlocal written
        for _ in range(count):
            writer.write(b"%d\n" % (1000 + written))
            written += 1

    write(steps[0])
    with LogFiles(path) as files:
        found = all_of(files)
        for count in steps[1:]:
            write(count)
            found += followed(files)
    writer.close()
    assert found == [1000 + place for place in range(written)]


def test_a_rotation_between_opening_and_reading_shows_no_line_twice(tmp_path: Path) -> None:
    """Files are held open: what was there at the beginning is read once."""
    path = tmp_path / "bot.jsonl"
    writer = RotatingFile(path, 30, 5)
    for number in range(10):
        writer.write(b"%d\n" % (1000 + number))
    with LogFiles(path) as files:
        for number in range(10, 20):
            writer.write(b"%d\n" % (1000 + number))
        assert all_of(files) + followed(files) == list(range(1000, 1020))
    writer.close()


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    """A line is given when its end is written, whole."""
    path = tmp_path / "bot.jsonl"
    path.write_bytes(b"1\n2")
    with LogFiles(path) as files:
        assert all_of(files) == [1]
        assert followed(files) == []
        with path.open("ab") as file:
            file.write(b"3\n4\n")
        assert followed(files) == [23, 4]


def test_a_file_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As by a log rotation of somebody else's that copies and truncates."""
    path = tmp_path / "bot.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    with LogFiles(path) as files:
        assert all_of(files) == [1, 2, 3]
        path.write_bytes(b"4\n")
        assert followed(files) == [4]


OURS = {"ts": "2024-01-31T00:01:00.123Z", "level": "warning", "event": "candle.late", "symbol": "BTC/USDT"}
COMMON = {
    "__CURSOR": "s=ab;i=1",
    "__REALTIME_TIMESTAMP": "1706659260123456",
    "PRIORITY": "4",
    "_SYSTEMD_UNIT": "bot.service",
    "_TRANSPORT": "stdout",
    "SYSLOG_IDENTIFIER": "bot",
}


@pytest.mark.parametrize(
    ("message", "row"),
    [
        (json.dumps(OURS), OURS),
        (list(json.dumps(OURS).encode()), OURS),
        ([json.dumps(OURS), "again"], OURS),
        (
            "Started bot.service - LSTM scalping bot.",
            {
                "ts": "2024-01-31T00:01:00.123Z",
                "level": "warning",
                "event": "Started bot.service - LSTM scalping bot.",
            },
        ),
        ('["no", "line"]', {"ts": "2024-01-31T00:01:00.123Z", "level": "warning", "event": '["no", "line"]'}),
        ([255, 104, 105], {"ts": "2024-01-31T00:01:00.123Z", "level": "warning", "event": "\ufffdhi"}),
        (
            None,
            {
                "ts": "2024-01-31T00:01:00.123Z",
                "level": "warning",
                "event": "(a message that systemd's journal did not give)",
            },
        ),
    ],
)
def test_an_entry_of_the_journal_is_a_line_of_ours(message: object, row: dict[str, object]) -> None:
    """Text, bytes, several values, a text of systemd itself, and a message that was too large."""
    assert journald_row(json.dumps({**COMMON, "MESSAGE": message}).encode()) == row


@pytest.mark.parametrize("line", [b"", b"-- No entries --\n", b"[1]\n", b"\xff\n"])
def test_what_is_no_entry_is_passed_over(line: bytes) -> None:
    """Notices of journalctl between the entries."""
    assert journald_row(line) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*COMMON, "MESSAGE"]), JSON, max_size=4))
def test_no_entry_ends_the_reading(entry: dict[str, object]) -> None:
    """Whatever the fields hold, there is a row with an event and a level."""
    row = journald_row(json.dumps(entry).encode())
    assert row is not None
    assert "event" in row


def program(folder: Path, body: str) -> str:
    """A stand-in for journalctl that writes down how it was called."""
    path = folder / "journalctl"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/words\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_journal_is_asked_for_the_unit_and_the_time(tmp_path: Path) -> None:
    """The words of journalctl, and that a follower goes on after the last entry that was given."""
    entries = "\n".join(json.dumps({**COMMON, "MESSAGE": json.dumps({**OURS, "number": n})}) for n in (1, 2))
    source = Journald("bot", program(tmp_path, f"cat <<'END'\n{entries}\nEND"))
    assert [row["number"] for row in source.rows(1_706_659_260_123, None)] == [1, 2]
    assert next(source.follow())["number"] == 1
    first, second = (tmp_path / "words").read_text().splitlines()
    assert first == "--output=json --unit=bot --no-pager --quiet --since=@1706659260.123"
    assert second == "--output=json --unit=bot --no-pager --quiet --follow --after-cursor=s=ab;i=1"


def test_a_journal_that_fails_or_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """What journalctl says, and how to do without it."""
    broken = Journald("bot", program(tmp_path, "echo 'no permission' >&2; exit 1"))
    with pytest.raises(StorageError, match="exit code 1: no permission"):
        list(broken.rows(None, None))
    with pytest.raises(ConfigError, match="leave --journald out"):
        Journald("bot", "no-such-journalctl")
