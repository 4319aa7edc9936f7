"""The peers are asked in turns about one tape, and the table says who did the same work and who did not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench import peers
from bench.peer_ours import input_of
from bench.peer_tape import PeerTape, Rules, make_tape, read_tape, write_tape
from bench.peers import Turns, figures_of
from bench.processes import BenchError

HERE = ("backtrader", "backtesting", "fast", "driver")
"""Those that the environment of the tests has as well."""


def turns(seconds: list[float], trades: int = 10, equity: float = 1e8) -> Turns:
    """A peer that took so long."""
    return Turns("1.0", 0.0, seconds, seconds, trades, equity)


def test_the_tape_is_one_and_its_numbers_are_sound(tmp_path: Path):
    """Made twice it is the same, stored and read it is the same, and a candle opens where the last one closed."""
    tape = make_tape(3000)
    write_tape(tmp_path / "tape.npz", tape)
    stored = read_tape(tmp_path / "tape.npz")
    assert stored.rules == Rules()
    for name in PeerTape.__dataclass_fields__:
        if name != "rules":
            np.testing.assert_array_equal(getattr(tape, name), getattr(make_tape(3000), name))
            np.testing.assert_array_equal(getattr(tape, name), getattr(stored, name))
    np.testing.assert_array_equal(tape.open[1:], tape.close[:-1])
    assert (tape.low <= np.minimum(tape.open, tape.close)).all()
    assert (tape.high >= np.maximum(tape.open, tape.close)).all()
    loud = np.abs(tape.forecast) > tape.rules.threshold
    assert 0.002 < loud.mean() < 0.01
    assert not loud[:100].any()
    assert len(tape.head(500)) == 500
    assert input_of(tape).minute_count() == 3000


def test_every_peer_that_is_here_does_the_same_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """On two days backtrader, backtesting.py and both our engines end with the same trades and equity, and it is told."""
    monkeypatch.setattr(peers, "PEERS", {name: peers.PEERS[name] for name in HERE})
    out = tmp_path / "peers.json"
    words = ["--scale", "tiny", "--rounds", "1", "--json", str(out), "--peers-python", sys.executable]
    words += ["--loud-share", "0.01"]
    assert peers.main(words) == 0
    report = json.loads(out.read_text())
    found = report["turns"]
    assert set(found) == set(HERE)
    assert len({row["trades"] for row in found.values()}) == 1
    assert found["fast"]["trades"] > 10
    assert report["benches"][0]["figures"][-1]["note"].endswith("loud_share=0.01)")
    for row in found.values():
        assert row["equity"] == pytest.approx(found["fast"]["equity"], rel=1e-12)
    assert {row["name"] for row in report["benches"][0]["figures"]} >= {"fast_over_backtrader", *HERE}
    assert "the same trades and equity" in capsys.readouterr().out


def test_ratios_are_of_medians_and_only_of_those_that_ran():
    """A slow round does not move a ratio, and a peer that is not there has none."""
    tape = make_tape(1440)
    found = {"backtrader": turns([2.0, 90.0, 2.0]), "fast": turns([0.05, 0.05, 9.0])}
    rows = {figure.name: figure for figure in figures_of(tape, found)}
    assert rows["fast_over_backtrader"].value == pytest.approx(40.0)
    assert rows["fast_over_backtrader"].met
    assert not {"fast_over_backtesting", "kernel_over_vectorbt", "kernel"} & rows.keys()


@pytest.mark.parametrize(
    ("name", "trades", "equity", "said"),
    [
        ("backtrader", 10, 1e8 * (1 + 1e-12), "the same trades and equity"),
        ("backtrader", 9, 1e8, "9 trades, equity 100,000,000: its stop and target wake"),
        ("vectorbt", 10, 1.01e8, "10 trades, equity 101,000,000: no stop in the bar of the entry"),
        ("kernel", 9, 1e8, "9 trades, equity 100,000,000"),
    ],
)
def test_a_peer_that_did_other_work_is_told_of(name: str, trades: int, equity: float, said: str):
    """The note says whether trades and equity are those of the exact core, and where known why not."""
    note = peers.note_of(name, turns([1.0], trades, equity), turns([1.0]))
    assert note.startswith("1.0; ")
    assert said in note


def test_a_peer_that_is_not_there_ends_the_bench_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without its interpreter, or where it ends without an answer, the bench says which peer and what to do."""
    console = Console(quiet=True)
    with pytest.raises(BenchError, match="make bench-peers"):
        peers.measured(tmp_path / "none.npz", ["backtrader"], 1, tmp_path / "python", console)
    monkeypatch.setattr(peers, "PEERS", {"mute": ("bench.peer_tape", ())})
    with pytest.raises(BenchError, match="mute ended with 0 and no answer"):
        peers.measured(tmp_path / "none.npz", ["mute"], 1, Path(sys.executable), console)
