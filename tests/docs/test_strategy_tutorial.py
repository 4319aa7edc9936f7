"""docs/strategy-tutorial.md: its strategy keeps the contract, and with TESTS=all every command of the page is carried out."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from bot.core.market import MINUTE_MS
from bot.core.orders import Protection
from tests.core_builders import MIDNIGHT, candle
from tests.newcomer import LONG, ROOT, SAVED, Newcomer, blocks
from tests.tiny_model import write_tiny_model

PAGE = ROOT / "docs" / "strategy-tutorial.md"


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the page."""
    block = next(one for one in blocks(PAGE.read_text(encoding="utf-8")) if one.language == "python")
    name = SAVED.search(block.before)
    assert name is not None
    (tmp_path / name[1]).write_text(block.body, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name[1].removesuffix(".py"))
    sys.modules.pop(name[1].removesuffix(".py"), None)


def random_walk(file: Path, minutes: int) -> None:
    """Write a CSV file of candles without any predictable part."""
    chance, close, rows = random.Random(5), 100.0, ["ts,open,high,low,close,volume"]
    for minute in range(minutes):
        start, close = close, close * (1 + chance.gauss(0, 0.0008))
        rows.append(
            f"{MIDNIGHT + minute * MINUTE_MS},{start},{max(start, close)},{min(start, close)},{close},9"
        )
    file.write_text("\n".join(rows), encoding="utf-8")


@pytest.mark.usefixtures("quiet")
def test_the_strategy_of_the_page_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It backtests under the name that the page gives it, takes its parameter as text, and its own reasons are journaled."""
    monkeypatch.chdir(tmp_path)
    random_walk(tmp_path / "walk.csv", 1_000)
    words = [
        "backtest",
        "--candles",
        "BTC/USDT:USDT=walk.csv",
        "--seed",
        "1",
        "--engine",
        "fast",
        "--simulated",
    ]
    words += ["--strategy", "quiet:make", "--out", "out", "--set"]
    assert main([*words, "most_swing=0.02"]) == 0
    capsys.readouterr()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["trades"] > 5
    said = (tmp_path / "out" / "decisions.jsonl").read_text(encoding="utf-8")
    assert all(
        reason in said for reason in ("quiet_up", "quiet_down", "held_long_enough", "forecast_too_small")
    )


def test_a_restart_changes_nothing(quiet: Any) -> None:
    """What the snapshot of the page's strategy holds is all that it remembers, as JSON values; a gap forgets it."""
    first, second = quiet.make("BTC/USDT:USDT", minutes="5"), quiet.make("BTC/USDT:USDT", minutes="5")
    for minute in range(7):
        first.observe(candle(minute, 100.0 + minute))
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert second.closes == first.closes
    assert second.closes.maxlen == 5
    second.forget()
    assert not second.closes
    assert isinstance(first.protection, Protection)


@pytest.mark.skipif(not LONG, reason="two minutes: TESTS=all")
def test_every_command_of_the_page_ends_well(tmp_path: Path) -> None:
    """The commands of the tutorial are carried out as they stand, in a folder of one's own with a model in it."""
    person = Newcomer(tmp_path / "lstm-scalping-bot")
    write_tiny_model(person.folder / "models")
    try:
        person.type_in("source .venv/bin/activate")
        person.carries_out(PAGE)
    finally:
        person.leaves()
    assert (person.folder / "sweep" / "sweep.html").exists()
    assert "decided the same" in next(said for line, said in person.said.items() if "verify-parity" in line)
