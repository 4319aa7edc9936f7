"""The log of a page: every whole line once, backwards and forwards, over rotations."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.dashboard import log_lines
from bot.dashboard.contracts import NotFoundError
from bot.dashboard.log_lines import LineFilter, LogFollower, backwards, parsed, read_back, rotated
from bot.logs import RotatingFile

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ")), max_size=30)


@settings(max_examples=60, deadline=None)
@given(lines=LINES, tail=st.binary(max_size=20), block=st.integers(1, 50))
def test_backwards_gives_each_whole_line_with_its_place(lines: list[bytes], tail: bytes, block: int) -> None:
    """Whatever the size of a block: the lines in reverse, none that has no end yet, each found at its offset."""
    tail = tail.replace(b"\n", b" ")
    content = b"".join(line + b"\n" for line in lines) + tail
    kept, log_lines.BLOCK = log_lines.BLOCK, block  # type: ignore[misc]
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x"
            path.write_bytes(content)
            with path.open("rb") as file:
                found = list(backwards(file, len(content)))
    finally:
        log_lines.BLOCK = kept  # type: ignore[misc]
    assert [line for _, line in found] == [line for line in reversed(lines) if line]
    for offset, line in found:
        assert content[offset : offset + len(line) + 1] == line + b"\n"


def test_rotated_files_are_one_log(tmp_path: Path) -> None:
    """Page by page over rotations that happen meanwhile: each line once, newest first."""
    path = tmp_path / "bot.jsonl"
    file = RotatingFile(path, 200, 9)
    for number in range(60):
        file.write(b'{"number": %d}\n' % number)
    seen: list[int] = []
    before = None
    while True:
        page = read_back(path, LineFilter(), before, 7)
        seen += [row["number"] for row in page["lines"]]
        before = page["next_before"]
        if before is None:
            break
        if len(seen) == 14:
            for number in range(60, 80):
                file.write(b'{"number": %d}\n' % number)
    file.close()
    assert len(rotated(path)) > 5
    assert seen == list(range(59, seen[-1] - 1, -1))
    assert len(seen) > 40


def test_a_cursor_of_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    """And one that is none, or lies behind the file's end."""
    path = tmp_path / "bot.jsonl"
    path.write_bytes(b'{"a": 1}\n')
    inode = path.stat().st_ino
    for odd in ("1-0", "x", f"{inode}-999", "-1-1"):
        with pytest.raises(NotFoundError):
            read_back(path, LineFilter(), odd, 5)
    assert read_back(path, LineFilter(), f"{inode}-0", 5) == {"lines": [], "next_before": None}


def test_a_search_is_bounded_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked through at once is bounded; the answer says where to go on, until it is found."""
    monkeypatch.setattr(log_lines, "MOST_BYTES", 1_000)
    path = tmp_path / "bot.jsonl"
    path.write_bytes(b'{"event": "rare.one"}\n' + b'{"event": "usual.one"}\n' * 400)
    before, questions, found = None, 0, []
    while True:
        page = read_back(path, LineFilter(event="rare."), before, 5)
        questions += 1
        found += page["lines"]
        before = page["next_before"]
        if before is None:
            break
    assert [row["event"] for row in found] == ["rare.one"]
    assert questions > 5


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_line_is_a_row(line: bytes) -> None:
    """Whatever a library writes between ours."""
    assert isinstance(parsed(line), dict)


def test_a_giant_line_is_cut() -> None:
    """A page does not carry megabytes for one traceback."""
    row = parsed(b'{"event": "a.b", "junk": "' + b"x" * 100_000 + b'", "exception": "' + b"y" * 9_000 + b'"}')
    assert set(row) == {"event", "exception"}
    assert len(row["exception"]) == 4_000


def test_a_follower_misses_no_line_over_rotations(tmp_path: Path) -> None:
    """Lines of several files since the last look come in order, each once; half a line waits for its end."""
    path = tmp_path / "bot.jsonl"
    file = RotatingFile(path, 100, 9)
    follower = LogFollower(path)
    file.write(b'{"number": -1}\n')
    follower.skip()
    seen: list[int] = []
    for number in range(50):
        file.write(b'{"number": %d}\n' % number)
        if number % 13 == 0:
            rows, left = follower.read(100)
            assert left == 0
            seen += [row["number"] for row in rows]
    file.close()
    seen += [row["number"] for row in follower.read(100)[0]]
    assert seen == list(range(50))
    with path.open("ab") as half:
        half.write(b'{"number": 50')
        half.flush()
        assert follower.read(100) == ([], 0)
        half.write(b"}\n" + b'{"number": 51}\n' * 3)
    rows, left = follower.read(2)
    assert ([row["number"] for row in rows], left) == ([51, 51], 2)


def test_a_follower_begins_where_there_is_no_log_yet(tmp_path: Path) -> None:
    """And goes on where the file was emptied in its place."""
    path = tmp_path / "bot.jsonl"
    follower = LogFollower(path)
    follower.skip()
    assert follower.read(10) == ([], 0)
    path.write_bytes(b'{"a": 1}\n' * 3)
    assert len(follower.read(10)[0]) == 3
    with path.open("r+b") as emptied:
        emptied.truncate(0)
        emptied.write(b'{"b": 1}\n')
    assert [row["b"] for row in follower.read(10)[0]] == [1]
