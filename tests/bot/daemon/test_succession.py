"""Who predicts next: shadow, promotion, changes by hand, and rollback."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from bot.core.skill_watch import WatchRules
from bot.daemon.attendance import AttendanceRules, attend
from bot.daemon.serving import ModelShelf, Serving
from bot.daemon.shadow import ShadowRules
from bot.daemon.succession import Succession
from bot.errors import StorageError
from bot.journal.reader import JournalReader
from models import champions, registry
from models.verdicts import StoredVerdict, VerdictReason, write_verdict
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market
from tests.scripted_predictor import Scripted
from tests.tiny_model import write_tiny_model

MINUTES = 200
WATCH = WatchRules(doubt_confidence=0.9999, rollback_confidence=0.999999)


class Shelf(ModelShelf):
    """Real folders, champions and verdicts; what predicts is scripted by model."""

    def __init__(self, root: Path, *, unproven: bool = False) -> None:
        super().__init__(root, unproven=unproven)
        self.scripts: dict[str, Scripted] = {}

    def load(self, name: str | None) -> Serving:
        found = super().load(name)
        if found.proven is None:
            return found
        script = self.scripts.setdefault(found.model_id, Scripted(model_id=found.model_id))
        return found._replace(predictor=script)


class Rig:
    """Models a, b and c, all proven but c; a is champion and b was never."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "models"
        self.a, self.b, self.c = (write_tiny_model(self.root, seed=seed).name for seed in (1, 2, 3))
        for model_id in (self.a, self.b):
            self.judge(model_id)
        self.shelf = Shelf(self.root)
        self.candles = random_market(5, MINUTES)

    def judge(self, model_id: str, kind: str = "recipe", beside: str | None = None) -> None:
        """The gate promotes a model."""
        reasons = (VerdictReason("gain", True, "0.4 millinats gained"),)
        write_verdict(self.root, StoredVerdict(model_id, 0, kind, True, reasons, {}, True, beside))

    async def start(self, *, follows: bool = True, hours: float = 0.5, model: str | None = None) -> None:
        """One life of the daemon."""
        serving = self.shelf.load(model)
        self.daemon = Daemon(self.folder, self.candles, serving.predictor, now_ms=MIDNIGHT)
        await self.daemon.start()
        assert self.daemon.loop is not None
        rules = AttendanceRules(self.shelf, follows, ShadowRules(hours, 1e6), None, WATCH, 1.0)
        d = self.daemon
        attendance = attend(rules, serving, self.daemon.loop, d.journal, d.feed, d.clock, d.log)
        self.succession: Succession = attendance.succession

    async def run(self, minutes: int) -> None:
        """Let so many minutes pass since midnight, one by one, and let what is under way come to its end."""
        assert self.daemon.loop is not None
        batches = self.daemon.engine.last_opened_at_ms
        first = max((batches - MIDNIGHT) // MINUTE_MS + 1, 0)
        for minute in range(first, minutes):
            for opened in (MIDNIGHT + minute * MINUTE_MS,):
                self.daemon.feed.started_from = dict.fromkeys(SYMBOLS, opened - MINUTE_MS)
            await self.daemon.run(until_ms=MIDNIGHT + (minute + 1) * MINUTE_MS)
            work = self.succession._background
            if work is not None:
                await asyncio.wait({work})

    async def end(self) -> None:
        """Stop it, as a kill would: nothing is saved."""
        await self.succession.close()
        self.daemon.close()

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event."""
        return [fields for name, fields in self.daemon.log.lines if name == event]

    def decided_by(self) -> list[str | None]:
        """Which model's forecast each minute was decided on; every minute once, with every symbol."""
        reader = JournalReader(self.folder / "journal.sqlite")
        batches = list(reader.batches())
        assert [one.closed_at_ms for one in batches] == [
            MIDNIGHT + (minute + 1) * MINUTE_MS for minute in range(len(batches))
        ]
        assert all([row["symbol"] for row in one.decisions] == list(SYMBOLS) for one in batches)
        return [(one.decisions[0]["prediction"] or {}).get("model_id") for one in batches]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A folder of models, and a market."""
    made = Rig(tmp_path)
    champions.promote(made.root, made.a, at_ms=0)
    return made


async def test_a_challenger_trades_after_its_shadow(rig: Rig) -> None:
    """It predicts beside the champion for its time, becomes champion on the disk, and then decides every minute."""
    registry.set_challenger(rig.root, rig.b)
    await rig.start()
    await rig.run(60)
    (begun,), (swapped,) = rig.told("model.shadow_started"), rig.told("model.swapped")
    assert (begun["model_id"], begun["resumed"]) == (rig.b, False)
    assert swapped["after_ms"] - begun["since_ms"] >= 30 * MINUTE_MS
    place = (swapped["after_ms"] - MIDNIGHT) // MINUTE_MS
    assert rig.decided_by() == [rig.a] * place + [rig.b] * (60 - place)
    assert (registry.champion(rig.root), registry.challenger(rig.root)) == (rig.b, None)
    assert "0.5 hours" in str(champions.read_history(rig.root)[-1].why)
    seen = [one.opened_at_ms for one in rig.shelf.scripts[rig.b].seen if one.symbol == SYMBOLS[0]]
    assert seen == [MIDNIGHT + minute * MINUTE_MS for minute in range(len(seen))]  # none missed, none twice
    await rig.end()


async def test_a_restart_goes_on_with_the_shadow(rig: Rig) -> None:
    """What a challenger has shown is not forgotten, and its time goes on."""
    registry.set_challenger(rig.root, rig.b)
    await rig.start()
    await rig.run(20)
    count = rig.succession.shadow.count.to_json() if rig.succession.shadow else {}
    await rig.end()
    rig.shelf.scripts.clear()
    await rig.start()
    await rig.run(22)
    (begun,) = rig.told("model.shadow_started")
    assert (begun["since_ms"], begun["resumed"]) == (count["since_ms"], True)
    assert rig.succession.shadow is not None
    assert rig.succession.shadow.count.due >= count["due"]
    await rig.run(60)
    assert registry.champion(rig.root) == rig.b
    assert rig.decided_by()[-1] == rig.b
    await rig.end()


@pytest.mark.parametrize("fault", [math.nan, RuntimeError("the graph broke")])
async def test_a_champion_that_breaks_is_taken_back_within_a_candle(
    rig: Rig, fault: float | Exception
) -> None:
    """The minute of the fault decides nothing on it, and the next is decided by the version before."""
    champions.promote(rig.root, rig.b, at_ms=1)
    await rig.start()
    await rig.run(70)
    rig.shelf.scripts[rig.b].says = fault
    await rig.run(80)
    (back,) = rig.told("model.rolled_back")
    assert (back["previous"], back["model_id"]) == (rig.b, rig.a)
    reader = JournalReader(rig.folder / "journal.sqlite")
    held = [[row["hold_reason"] for row in batch.decisions] for batch in reader.batches()][70]
    expected = "model_failed" if isinstance(fault, Exception) else "prediction_not_finite"
    assert {reason for reason in held if reason != "order_pending"} <= {expected}
    assert rig.decided_by()[71:] == [rig.a] * 9
    change = champions.read_history(rig.root)[-1]
    assert (change.model_id, change.reason) == (rig.a, champions.ROLLED_BACK)
    assert "model_failed" in str(change.why)
    await rig.end()


async def test_without_a_version_before_nobody_trades(rig: Rig) -> None:
    """The champion becomes no-trade, positions are closed, and every decision says that there is no model."""
    await rig.start()
    await rig.run(100)
    rig.shelf.scripts[rig.a].says = math.inf
    await rig.run(120)
    assert registry.champion(rig.root) == registry.NO_TRADE
    reader = JournalReader(rig.folder / "journal.sqlite")
    last = list(reader.batches())[-1]
    assert {row["hold_reason"] for row in last.decisions} == {"no_model"}
    assert not rig.daemon.engine.account.has_positions
    await rig.end()
    await rig.start()
    await rig.run(125)
    assert {row["hold_reason"] for row in list(reader.batches())[-1].decisions} == {"no_model"}
    await rig.end()


async def test_a_version_before_that_is_damaged_gives_way_to_nobody(rig: Rig) -> None:
    """What cannot be loaded is not traded; the line says why."""
    champions.promote(rig.root, rig.b, at_ms=1)
    await rig.start()
    await rig.run(65)
    (rig.root / rig.a / "model.onnx").write_bytes(b"")
    rig.shelf.scripts[rig.b].says = math.nan
    await rig.run(70)
    (back,) = rig.told("model.rolled_back")
    assert back["model_id"] == registry.NO_TRADE == registry.champion(rig.root)
    assert "model.onnx was altered" in back["refused"]
    await rig.end()


async def test_a_champion_named_by_hand_is_followed(rig: Rig) -> None:
    """Promotion and rollback of another program reach the daemon between two minutes, with their reason."""
    await rig.start()
    await rig.run(10)
    champions.promote(rig.root, rig.b, at_ms=1, why="I like it")
    await rig.run(20)
    champions.rollback(rig.root, at_ms=2)
    await rig.run(30)
    swaps = rig.told("model.swapped")
    assert [(row["model_id"], row["why"]) for row in swaps] == [
        (rig.b, "I like it"),
        (rig.a, "rolled back by hand"),
    ]
    places = [(row["after_ms"] - MIDNIGHT) // MINUTE_MS for row in swaps]
    assert rig.decided_by() == (
        [rig.a] * places[0] + [rig.b] * (places[1] - places[0]) + [rig.a] * (30 - places[1])
    )
    await rig.end()


async def test_an_unproven_champion_is_not_followed(rig: Rig) -> None:
    """A model that the gate has not promoted does not begin to trade since somebody has named it."""
    await rig.start()
    await rig.run(5)
    champions.promote(rig.root, rig.c, at_ms=1)
    await rig.run(10)
    (refused,) = rig.told("model.swap_refused")
    assert "not proven" in refused["reason"]
    assert set(rig.decided_by()) == {rig.a}
    await rig.end()


async def test_challengers_that_may_not_follow_are_refused_with_reasons(rig: Rig) -> None:
    """Unproven, judged beside another champion, champion before, or broken: each is told, and named no more."""
    await rig.start()
    registry.set_challenger(rig.root, rig.c)
    await rig.run(4)
    rig.judge(rig.b, "refit", beside=rig.c)
    registry.set_challenger(rig.root, rig.b)
    await rig.run(8)
    rig.judge(rig.b)
    rig.shelf.scripts[rig.b] = Scripted(math.nan, rig.b)
    registry.set_challenger(rig.root, rig.b)
    await rig.run(14)
    champions.promote(rig.root, rig.b, at_ms=1)
    champions.rollback(rig.root, at_ms=2)
    registry.set_challenger(rig.root, rig.b)
    await rig.run(20)
    reasons = [(row["model_id"], row["reasons"][0]) for row in rig.told("model.shadow_refused")]
    assert [model_id for model_id, _ in reasons] == [rig.c, rig.b, rig.b, rig.b]
    for (_, said), wanted in zip(
        reasons, ("never judged", "judged beside", "not finite", "champion before"), strict=True
    ):
        assert wanted in said
    assert registry.challenger(rig.root) is None
    assert set(rig.decided_by()) == {rig.a}
    await rig.end()


async def test_a_model_named_for_the_run_follows_nobody(rig: Rig) -> None:
    """Neither a champion nor a challenger takes its place; when it breaks nobody trades, and the champion stays."""
    champions.promote(rig.root, rig.b, at_ms=1)
    await rig.start(follows=False, model=rig.a)
    registry.set_challenger(rig.root, rig.b)
    await rig.run(5)
    rig.shelf.scripts[rig.a].says = math.nan
    await rig.run(8)
    assert [row["model_id"] for row in rig.told("model.swapped")] == [registry.NO_TRADE]
    assert registry.champion(rig.root) == rig.b
    await rig.end()


async def test_a_crash_after_the_promotion_leaves_no_second_shadow(rig: Rig) -> None:
    """A challenger that is champion already loses its old name at the next start."""
    champions.promote(rig.root, rig.b, at_ms=1)
    registry.set_challenger(rig.root, rig.b)
    await rig.start()
    await rig.run(4)
    assert registry.challenger(rig.root) is None
    assert rig.told("model.shadow_started") == rig.told("model.shadow_refused") == []
    await rig.end()


async def test_a_full_disk_ends_the_daemon_and_nobody_is_promoted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion that cannot be written is no promotion, and the error is not swallowed."""
    registry.set_challenger(rig.root, rig.b)
    await rig.start(hours=0.0)

    def full(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(champions, "promote", full)
    with pytest.raises(StorageError, match="the disk is full"):
        await rig.run(20)
    assert registry.champion(rig.root) == rig.a
    assert rig.told("model.swapped") == []
    rig.daemon.close()
