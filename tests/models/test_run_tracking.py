"""Who is told of a run, and what happens when telling fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.errors import BotError, ConfigError, ModelError, StorageError, TransientError
from models.fit_progress import TrainingProgress
from models.hashing import code_digest, data_digest
from models.recipe import load_recipe
from models.run_tracking import RunFacts, run_facts, tracked_run
from models.training import TrainedModel
from tests.random_candles import START_MS, random_candles

TRAINED = TrainedModel("tiny-1", Path("models/tiny-1"), {}, {})


class Listener:
    """Writes down what it is told, and fails where it is asked to."""

    def __init__(self, name: str, **faults: BaseException) -> None:
        self.name = name
        self.heard: list[Any] = []
        self.faults = faults

    def _hear(self, what: str, *details: object) -> None:
        self.heard.append((what, *details))
        if what in self.faults:
            raise self.faults[what]

    def begin(self, facts: RunFacts) -> None:
        self._hear("begin")

    def told(self, state: TrainingProgress) -> None:
        self._hear("told", state.phase)

    def finished(self, trained: TrainedModel) -> dict[str, str]:
        self._hear("finished", trained.model_id)
        return {"at": self.name}

    def failed(self, reason: str, *, interrupted: bool) -> None:
        self._hear("failed", reason, interrupted)


@pytest.fixture
def facts() -> RunFacts:
    """Facts of a run on two symbols."""
    series = {"B/X": random_candles(300, seed=2), "A/X": random_candles(500, seed=1)}
    return run_facts(load_recipe("scalping"), series, 1_700_000_000_000)


def test_facts_say_what_the_run_is_made_of(facts: RunFacts) -> None:
    """Symbols are sorted, candles counted, and the digests are those that the passport will hold."""
    assert facts.symbols == ("A/X", "B/X")
    assert facts.candles == 800
    assert (facts.from_ms, facts.until_ms) == (START_MS, START_MS + 499 * 60_000)
    series = {"A/X": random_candles(500, seed=1), "B/X": random_candles(300, seed=2)}
    assert facts.data_digest == data_digest(series)
    assert facts.code_digest == code_digest()
    assert facts.name == "scalping-20231114T221320"


def test_everybody_hears_the_whole_run(facts: RunFacts) -> None:
    """Begin, progress and end reach every listener in order, the screen first."""
    listeners, screen = [Listener("a"), Listener("b")], Listener("screen")
    warnings: list[str] = []
    with tracked_run(listeners, facts, warnings.append) as run:
        run.beside(screen.told)(TrainingProgress("features"))
        places = run.finished(TRAINED)
    assert places == {"a": {"at": "a"}, "b": {"at": "b"}}
    for listener in listeners:
        assert listener.heard == [("begin",), ("told", "features"), ("finished", "tiny-1")]
    assert screen.heard == [("told", "features")]
    assert warnings == []


def test_a_refusal_comes_before_the_training(facts: RunFacts) -> None:
    """Where one listener refuses to begin, the block is not entered, and those that have begun hear of it."""
    first, second = Listener("a"), Listener("b", begin=ConfigError("no store there"))
    entered = False
    with pytest.raises(ConfigError, match="no store there"), tracked_run([first, second], facts, print):
        entered = True
    assert not entered
    assert first.heard == [("begin",), ("failed", "no store there", False)]
    assert second.heard == [("begin",)]


@pytest.mark.parametrize(
    ("fault", "reason", "interrupted"),
    [
        (ModelError("training diverged"), "training diverged", False),
        (ModelError("training was interrupted before the first epoch had ended"), None, True),
        (KeyboardInterrupt(), "interrupted", True),
        (ValueError(), "ValueError", False),
    ],
)
def test_a_failed_training_is_told(
    facts: RunFacts, fault: BaseException, reason: str | None, interrupted: bool
) -> None:
    """What ended the training goes on to the caller, and listeners hear the reason and whose wish it was."""
    listener = Listener("a")
    with pytest.raises(type(fault)), tracked_run([listener], facts, print):
        raise fault
    assert listener.heard[1:] == [("failed", reason or str(fault), interrupted)]


@pytest.mark.parametrize("fault", [TransientError("gone"), StorageError("gone")])
def test_a_listener_that_fails_at_the_end_loses_nothing(facts: RunFacts, fault: BotError) -> None:
    """The failure is one warning that says where the model is; the other listener hears the end all the same."""
    broken, sound = Listener("a", finished=fault), Listener("b")
    warnings: list[str] = []
    with tracked_run([broken, sound], facts, warnings.append) as run:
        places = run.finished(TRAINED)
    assert places == {"b": {"at": "b"}}
    assert warnings == [f"gone; the model itself is stored in {TRAINED.folder}"]
    assert sound.heard[-1] == ("finished", "tiny-1")


def test_ctrl_c_while_the_model_is_passed_on_ends_in_order(facts: RunFacts) -> None:
    """The run is told to be interrupted, the user is warned, and the command goes on to print its report."""
    listener = Listener("a", finished=KeyboardInterrupt())
    warnings: list[str] = []
    with tracked_run([listener], facts, warnings.append) as run:
        assert run.finished(TRAINED) == {}
    assert listener.heard[-1] == ("failed", "interrupted while the model was being passed on", True)
    assert len(warnings) == 1
    assert "since you interrupted" in warnings[0]


def test_a_listener_that_cannot_hear_of_the_failure_hides_nothing(facts: RunFacts) -> None:
    """The training's own failure is what is raised; the listener's is a warning."""
    listener = Listener("a", failed=TransientError("the store is gone"))
    warnings: list[str] = []
    with pytest.raises(ModelError, match="diverged"), tracked_run([listener], facts, warnings.append):
        raise ModelError("training diverged")
    assert warnings == ["the store is gone"]
