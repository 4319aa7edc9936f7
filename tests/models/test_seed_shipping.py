"""Seeds that are learnt elsewhere: whole on their way, verified, kept until all are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.errors import DataError, ModelError
from models.fit_progress import TrainingProgress
from models.fit_state import UnfinishedFits
from models.hashing import sha256
from models.learners import Learned, Lesson
from models.recipe import load_recipe
from models.seed_shipping import ShippedSeed, pack, seeds_elsewhere, unpack, verified

LEARNED = Learned(
    b"graph",
    1e-7,
    {"epochs": {"loss": [0.5, 0.25]}, "stopped_because": "max_epochs"},
    {"model.keras": b"keras"},
    ("a", "b"),
)


def recipes(*seeds: int) -> dict[int, Any]:
    """The same recipe with several seeds."""
    base = load_recipe("scalping")
    return {
        seed: base.model_copy(update={"training": base.training.model_copy(update={"seed": seed})})
        for seed in seeds
    }


def lesson_in(root: Path, told: list[TrainingProgress]) -> Lesson:
    """A lesson of which only the clock, the folder and the listener matter here."""
    nothing: Any = SimpleNamespace()
    return Lesson(nothing, nothing, lambda: 100.0, 160.0, told.append, UnfinishedFits(root, ["origin"]))


class Elsewhere:
    """A cluster in this process: notes what it was asked, and answers with the outcomes given."""

    def __init__(self, outcomes: dict[str, Any]) -> None:
        self.outcomes = outcomes
        self.asked: list[str] = []
        self.seconds = 0.0

    def __call__(self, jobs, ground, on_done) -> None:
        self.asked = list(jobs)
        self.seconds = ground.max_seconds
        for key in reversed(list(jobs)):
            outcome = self.outcomes[key]
            if isinstance(outcome, KeyboardInterrupt):
                raise outcome
            on_done(key, outcome)


def shipped(seed: int) -> ShippedSeed:
    """What a seed comes back as."""
    content = pack(replace(LEARNED, graph=f"graph {seed}".encode()))
    return ShippedSeed(content, sha256(content))


def test_a_seed_comes_through_whole():
    """Graph, networks, history, outputs and difference are those that were packed."""
    again = unpack(pack(LEARNED))
    assert again == LEARNED
    bare = Learned(b"trees", 0.0, {"train_windows": 3})
    assert unpack(pack(bare)) == bare
    for broken in (b"", b"nonsense", pack(LEARNED)[:-30]):
        with pytest.raises(ModelError, match="no learnt seed"):
            unpack(broken)


def test_what_was_altered_on_its_way_is_refused():
    """One byte off and the hash is not the one taken where it was made."""
    good = shipped(1)
    assert verified(good) == good.content
    with pytest.raises(ModelError, match="came back from another machine altered"):
        verified(replace(good, content=good.content + b"x"))


def test_every_seed_is_told_of_with_the_time_that_is_left(tmp_path):
    """Each seed is learnt once, may take what is left of the time, and progress counts them."""
    told: list[TrainingProgress] = []
    found: dict[int, Learned] = {}
    cluster = Elsewhere({str(seed): shipped(seed) for seed in (5, 6, 7)})
    seeds_elsewhere(cluster)(recipes(5, 6, 7), lesson_in(tmp_path, told), found.__setitem__)
    assert {seed: one.graph for seed, one in found.items()} == {
        seed: f"graph {seed}".encode() for seed in (5, 6, 7)
    }
    assert cluster.seconds == 60.0
    assert [(state.phase, state.batch, state.batches) for state in told] == [
        ("seeds", n, 3) for n in range(4)
    ]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), DataError("no window")])
def test_what_has_come_back_is_kept_for_the_next_start(tmp_path, end):
    """After an interrupt or a failure only the missing seeds are asked for; a damaged file is learnt again."""
    found: dict[int, Learned] = {}
    first = Elsewhere({"5": end, "6": shipped(6), "7": shipped(7)})
    with pytest.raises(type(end)):
        seeds_elsewhere(first)(recipes(5, 6, 7), lesson_in(tmp_path, []), found.__setitem__)
    assert sorted(found) == [6, 7]
    second = Elsewhere({str(seed): shipped(seed) for seed in (5, 6, 7)})
    lesson = lesson_in(tmp_path, [])
    seeds_elsewhere(second)(recipes(5, 6, 7), lesson, found.__setitem__)
    assert second.asked == ["5"]
    assert sorted(found) == [5, 6, 7]
    damaged = next((tmp_path / ".unfinished").glob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:40])
    third = Elsewhere({str(seed): shipped(seed) for seed in (5, 6, 7)})
    seeds_elsewhere(third)(recipes(5, 6, 7), lesson_in(tmp_path, []), found.__setitem__)
    assert len(third.asked) == 1
    assert lesson.unfinished is not None
    lesson.unfinished.forget()
    assert not (tmp_path / ".unfinished").exists()


def test_an_altered_seed_ends_the_run(tmp_path):
    """It is neither kept nor counted."""
    found: dict[int, Learned] = {}
    cluster = Elsewhere({"5": replace(shipped(5), digest="0" * 64)})
    with pytest.raises(ModelError, match="altered"):
        seeds_elsewhere(cluster)(recipes(5), lesson_in(tmp_path, []), found.__setitem__)
    assert not found
    assert not (tmp_path / ".unfinished").exists()
