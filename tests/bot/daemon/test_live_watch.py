"""The model that trades, followed minute by minute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.core.skill_watch import WatchRules
from bot.daemon.foresight import DecidedMinute, foresee
from bot.daemon.live_watch import LiveWatch
from bot.daemon.model_facts import ModelFacts, read_facts
from bot.daemon.no_trade import NoTradePredictor
from bot.daemon.serving import Serving
from bot.errors import ModelError
from bot.journal.reader import JournalReader
from models.features import feature_set
from models.verdicts import StoredVerdict, write_verdict
from tests.core_builders import MIDNIGHT, at, candle
from tests.daemon_harness import Daemon, random_market
from tests.scripted_predictor import Scripted, ticks
from tests.tiny_model import write_tiny_model

COLUMNS = feature_set("scalping-v1").columns


class Rig:
    """A watch beside an engine that trades nothing."""

    def __init__(self, folder: Path, rules: WatchRules | None = None) -> None:
        self.script = Scripted()
        self.daemon = Daemon(folder, random_market(1, 2), self.script, now_ms=MIDNIGHT)
        self.watch = LiveWatch(self.daemon.engine, self.daemon.journal, self.daemon.log, rules, 1.0)

    def minute(self, number: int, beside: Scripted | None = None) -> str | None:
        """Decide nothing in a minute, and let the watch see what was said."""
        one = candle(number)
        said = []
        for script in (self.script, beside):
            if script is not None:
                script.observe(one)
                said.append(foresee(script, [one.symbol], ticks()))
        minute = DecidedMinute(at(number + 1), [one], said[0], self.script.model_id)
        reason = self.watch.on_minute(minute, said[1].predictions if beside else [])
        self.watch.store(at(number + 1))
        return reason


@pytest.fixture
def rules() -> WatchRules:
    """Three stale minutes end a model's trading."""
    return WatchRules(max_stale_minutes=3)


def test_forecasts_of_both_roles_are_kept_until_they_are_known(tmp_path: Path) -> None:
    """Champion and challenger, each with its own base rate; what came is found when the horizon has passed."""
    rig = Rig(tmp_path)
    rig.watch.recover(Serving(rig.script, True, facts=ModelFacts(0.4)))
    other = Scripted(0.002, "other")
    rig.watch.stand_beside(Serving(other, True, facts=ModelFacts(0.6)))
    for number in range(20):
        assert rig.minute(number, other) is None
    reader = JournalReader(tmp_path / "journal.sqlite")
    for model_id, role, base_rate in (("model", "champion", 0.4), ("other", "shadow", 0.6)):
        rows = reader.performance(model_id)
        assert [row.forecast.closed_at_ms for row in rows] == [at(number + 1) for number in range(5)]
        assert {(row.forecast.role, row.forecast.base_rate) for row in rows} == {(role, base_rate)}


def test_a_silent_model_loses_its_place_and_its_size(tmp_path: Path, rules: WatchRules) -> None:
    """After the minutes that are allowed the reason is told, entries are cut to nothing, and the report is kept."""
    rig = Rig(tmp_path, rules)
    rig.watch.recover(Serving(rig.script, True))
    rig.minute(0)
    rig.script.says = None
    assert [rig.minute(number) for number in (1, 2)] == [None, None]
    assert str(rig.minute(3)).startswith("stale: no forecast for 3 minutes")
    assert rig.daemon.engine.risk.size_factor == 0.0
    report = JournalReader(tmp_path / "journal.sqlite").watch_report("model")
    assert report is not None
    assert report["rollback_reason"] == "stale"
    rig.watch.begin(Serving(Scripted(model_id="next"), True))
    assert rig.daemon.engine.risk.size_factor == 1.0


def test_a_restart_goes_on_counting(tmp_path: Path, rules: WatchRules) -> None:
    """Two silent minutes before a restart and one after it are three."""
    first = Rig(tmp_path, rules)
    first.watch.recover(Serving(first.script, True))
    first.script.says = None
    assert [first.minute(number) for number in (0, 1)] == [None, None]
    first.daemon.close()
    second = Rig(tmp_path, rules)
    second.script.says = None
    second.watch.recover(Serving(second.script, True))
    assert second.minute(2) is not None


def test_nobody_is_not_watched(tmp_path: Path, rules: WatchRules) -> None:
    """Where nobody predicts nothing is due, and nothing is taken back."""
    rig = Rig(tmp_path, rules)
    rig.watch.recover(Serving(NoTradePredictor(), None))
    rig.script.says, rig.script.model_id = None, "no-trade"
    assert [rig.minute(number) for number in range(10)] == [None] * 10


def test_facts_come_from_the_folder_and_the_verdict(tmp_path: Path) -> None:
    """Base rate and drawdown path are read; without them the odds are even and no path is known."""
    folder = write_tiny_model(tmp_path, extra={"baselines.json": json.dumps({"base_rate": 0.47}).encode()})
    plain = write_tiny_model(tmp_path, seed=8)
    model_id = folder.name
    evidence = {"drawdown_path": [0.01, 0.02]}
    write_verdict(tmp_path, StoredVerdict(model_id, 0, "recipe", True, (), evidence))
    facts = read_facts(tmp_path, folder, model_id, COLUMNS)
    assert (facts.base_rate, facts.drawdown_path, facts.bins) == (0.47, (0.01, 0.02), None)
    assert read_facts(tmp_path, plain, plain.name, COLUMNS) == ModelFacts()
    write_verdict(tmp_path, StoredVerdict(model_id, 0, "recipe", True, (), {"drawdown_path": ["deep"]}))
    with pytest.raises(ModelError, match="no limits of its drawdown"):
        read_facts(tmp_path, folder, model_id, COLUMNS)
