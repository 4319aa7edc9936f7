"""ADWIN without what river imports."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from models.adwin import Adwin, Change

ROOT = Path(__file__).resolve().parents[2]

LIGHT = """
import sys
from models.adwin import Adwin
watch = Adwin()
for _ in range(100):
    watch.update(0.5)
heavy = {"pandas", "scipy", "sklearn", "river.drift", "river.base"} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""

DAEMON = LIGHT.replace(
    "from models.adwin import Adwin", "import bot.daemon.model_watch\nfrom models.adwin import Adwin"
)


def stream(seed: int, shift: float = 0.3) -> list[float]:
    """Values around 0.5 that jump after 700, and back after 1500."""
    rng = random.Random(seed)
    return [
        min(max(rng.gauss(0.5 + (shift if 700 <= place < 1500 else 0.0), 0.1), 0.0), 1.0)
        for place in range(2500)
    ]


def test_neither_pandas_nor_scipy_nor_sklearn_is_imported() -> None:
    """A process that only watches losses has none of the libraries that river brings along; nor has the daemon's watch."""
    for program in (LIGHT, DAEMON):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr


def test_it_finds_what_river_finds() -> None:
    """On the same values the changes, the window and its mean are those of river.drift.ADWIN."""
    from river import drift

    for seed, clock in ((1, 32), (2, 1)):
        ours, theirs = Adwin(clock=clock), drift.ADWIN(clock=clock)
        found = 0
        for value in stream(seed):
            change = ours.update(value)
            theirs.update(value)
            assert (change is not None) == theirs.drift_detected
            assert ours.width == theirs.width
            assert ours.mean == theirs.estimation
            found += change is not None
        assert found >= 2


def test_a_change_says_which_way() -> None:
    """The jump is a rise of the mean, its end a fall; a stream without a jump has no change."""
    watch = Adwin()
    changes = [change for value in stream(3) if (change := watch.update(value)) is not None]
    assert changes[0].after > changes[0].before
    assert any(isinstance(change, Change) and change.after < change.before for change in changes)
    calm = Adwin()
    assert all(calm.update(value) is None for value in stream(3, shift=0.0))


def test_a_restart_finds_the_same() -> None:
    """A snapshot as JSON text every hundred values changes nothing."""
    whole, broken = Adwin(), Adwin()
    for place, value in enumerate(stream(4)):
        assert whole.update(value) == broken.update(value)
        if place % 100 == 0:
            state = json.loads(json.dumps(broken.snapshot()))
            broken = Adwin()
            broken.restore(state)
    assert whole.snapshot() == broken.snapshot()


def test_another_version_of_river_begins_anew() -> None:
    """What another version wrote is not read into this one; nor what was made with other parameters."""
    old = Adwin()
    for _ in range(50):
        old.update(0.1)
    for state in (old.snapshot() | {"river": "0.1"}, Adwin(delta=0.1).snapshot()):
        fresh = Adwin()
        fresh.restore(state)
        assert fresh.width == 0
