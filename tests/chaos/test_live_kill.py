"""``kill -9`` at the writes of the journal in an hour of live trading: one order for each intent, and the same end.

Each write of the hour is a death of its own, right before it is on the disk and right after, before anything is acted
upon. ``LIVE_KILLS`` sets how many of them are tried (1 by default, ``all`` in ``make chaos``).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live_rig import (
    LiveTape,
    assert_agreement,
    await_end_of_exchange,
    fills,
    make_tape,
    outcome,
    prepare,
    run,
    said,
    start,
)

KILLS = os.environ.get("LIVE_KILLS", "1")
SEED = 7
MINUTES = 125
SETTINGS = {"execution.lookup_seconds": 6, "logs.level": "warning"}
LIFE_SECONDS = 180.0
COUNT = "writes.txt"
DYING = ("-m", "tests.chaos.dying_bot")


WARM_WRITES = 64
"""Writes of the first life: what a start notes, and the minutes that fill the window."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of live trading that can be lived again and again.

    Attributes:
        tape: The market.
        base: The state folder at its start.
        writes: How often the journal is written.
        end: The books of an uninterrupted run.
    """

    tape: LiveTape
    base: Path
    writes: int
    end: dict[str, Any]


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Hour:
    """The hour, lived once without a death."""
    folder = tmp_path_factory.mktemp("hour")
    tape = make_tape(folder / "tape", seed=SEED, minutes=MINUTES)
    base, whole = prepare(folder / "base"), folder / "whole"
    _die(base, tape, WARM_WRITES, "after")
    shutil.copytree(base, whole)
    run(whole, tape, settings=SETTINGS, program=DYING, environment=_fate(whole, 0, "after"))
    assert_agreement(whole, tape)
    return Hour(tape, base, int((whole / COUNT).read_text()), _end(whole))


def _fate(state: Path, write: int, when: str) -> dict[str, str]:
    return {"DIE_AT_WRITE": str(write), "DIE_WHEN": when, "DIE_COUNT_FILE": str(state / COUNT)}


def _die(state: Path, tape: LiveTape, write: int, when: str) -> None:
    """A life that ends at a write."""
    process = start(state, tape, settings=SETTINGS, program=DYING, environment=_fate(state, write, when))
    try:
        code = process.wait(timeout=LIFE_SECONDS)
    finally:
        process.kill()
    assert code == -signal.SIGKILL, said(state)
    await_end_of_exchange(state)


def _end(state: Path) -> dict[str, Any]:
    """What must be the same."""
    booked = [(row["client_order_id"], row["quantity"], row["price"], row["fee"]) for row in fills(state)]
    return outcome(state) | {"fills": booked}


def deaths(writes: int, wanted: str) -> list[tuple[int, str]]:
    """Which writes to die at, and on which side of them."""
    every = [(write, when) for write in range(1, writes + 1) for when in ("before", "after")]
    if wanted == "all":
        return every
    return sorted(random.Random(SEED).sample(every, min(int(wanted), len(every))))


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_a_death_at_a_write_changes_nothing_but_the_time(hour: Hour, tmp_path: Path) -> None:
    """After each death the bot starts again by itself to the same executions, trades, fees and positions."""
    assert len(hour.end["trades"]) >= 10
    assert hour.writes >= 100
    for write, when in deaths(hour.writes, KILLS):
        state = tmp_path / f"{when}-{write}"
        shutil.copytree(hour.base, state)
        _die(state, hour.tape, write, when)
        run(state, hour.tape, settings=SETTINGS, seconds=LIFE_SECONDS)
        assert_agreement(state, hour.tape)
        found = _end(state)
        for name, value in hour.end.items():
            assert found[name] == value, (write, when, name)
        shutil.rmtree(state)
