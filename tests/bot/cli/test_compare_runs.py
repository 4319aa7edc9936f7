"""``bot compare --variant``: one table of money, each variant once, written down as a trial, and a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models.trials import read_trials
from tests.random_market import random_candles
from tests.tiny_model import write_tiny_model

TAPE = "BTC/USDT:USDT=btc.parquet"
NO_HALT = ("--set", "risk.max_drawdown_fraction=1", "--set", "risk.max_daily_loss_fraction=1")
THREE = (
    *("--variant", "default:"),
    *("--variant", "hold: strategy=forecast_hold hold_minutes=5"),
    *("--variant", "lucky: seed=9"),
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a tape of some days, and a state folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", "state")
    write("btc.parquet", 3, 2000)
    return tmp_path


def write(name: str, seed: int, count: int) -> None:
    """A tape of random candles."""
    arrays = random_candles(seed, count, gaps=False)
    pq.write_table(pa.table({field.name: getattr(arrays, field.name) for field in fields(arrays)}), name)


def compare(capsys, *words: str) -> dict[str, Any]:
    """Run a comparison in this process; its document."""
    code = main(["compare", "--candles", TAPE, "--seed", "1", "--jobs", "1", *NO_HALT, *words, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    document: dict[str, Any] = json.loads(printed.out)
    return document


def test_each_row_is_the_backtest_of_its_words(capsys):
    """Every figure equals that of `bot backtest` with the same flags."""
    document = compare(capsys, *THREE)
    flags = {
        "default": ["--seed", "1"],
        "hold": ["--seed", "1", "--strategy", "forecast_hold", "--set", "hold_minutes=5"],
        "lucky": ["--seed", "9"],
    }
    assert [one["name"] for one in document["variants"]] == list(flags)
    for one in document["variants"]:
        words = ["backtest", "--engine", "fast", "--candles", TAPE, *NO_HALT, *flags[one["name"]], "--json"]
        assert main(words) == 0
        alone = json.loads(capsys.readouterr().out)
        for name in (
            "return",
            "max_drawdown",
            "trades",
            "win_rate",
            "average_trade_bps",
            "break_even_cost_bps",
            "fees",
        ):
            assert one[name] == alone[name], (one["name"], name)
        assert one["trades"] > 30
    assert document["baseline"] == "default"
    assert document["variants"][0]["difference"] is None
    assert all(one["difference"]["excludes_zero"] is None for one in document["variants"][1:])


def test_differences_are_paired_and_the_baseline_can_be_chosen(capsys):
    """The mean difference is that of the daily returns, with its sign turned when the sides are."""
    first = compare(capsys, *THREE)["variants"][1]["difference"]["mean_bps"]
    other = compare(capsys, *THREE, "--baseline", "hold")
    assert other["baseline"] == "hold"
    assert other["variants"][0]["difference"]["mean_bps"] == pytest.approx(-first)
    assert other["variants"][1]["difference"] is None


def test_every_variant_is_a_trial_once(capsys):
    """Looking again at the same things on the same minutes adds lines and no trials; a new variant adds one."""
    assert compare(capsys, *THREE)["trials"] == 3
    assert compare(capsys, *THREE)["trials"] == 3
    again = compare(capsys, *THREE, "--variant", "tight: stop_loss=0.001")
    assert (again["trials"], again["comparisons"]) == (4, 3)
    written = read_trials(Path("state/models"))
    assert len(written) == 10
    assert {one.kind for one in written} == {"comparison"}
    assert written[1].note == "variant hold"
    assert len({one.digest for one in written}) == 4


def test_two_processes_find_what_one_finds(capsys):
    """Candles and strategies go to other processes and come back as the same figures."""
    one = compare(capsys, *THREE)
    two = compare(capsys, *THREE, "--jobs", "2")
    assert one["variants"] == two["variants"]


def test_a_model_is_a_variant_too(capsys):
    """A stored model predicts for the variant that names it."""
    folder = write_tiny_model(Path("state/models"))
    document = compare(capsys, "--variant", "random:", "--variant", f"tiny: model={folder.name} threshold=0")
    assert document["variants"][1]["predictions"] == [folder.name]
    assert document["variants"][0]["predictions"] == ["seed1"]


def test_out_holds_the_page_and_the_documents(capsys):
    """The page needs no network, has a curve for each variant, and names are text in it, not markup."""
    words = ["compare", "--candles", TAPE, "--seed", "1", "--jobs", "1", "--out", "out/deep", "--simulated"]
    assert main([*words, "--variant", "a:", "--variant", "<b>&: stop_loss=0.01"]) == 0
    printed = capsys.readouterr()
    assert "SIMULATED MARKET" in printed.out
    assert "the page is out/deep/comparison.html" in printed.out
    assert "warning: predictions are random numbers of seed 1" in printed.err
    assert {path.name for path in Path("out/deep").iterdir()} == {
        "comparison.html",
        "comparison.json",
        "comparison.md",
    }
    page = Path("out/deep/comparison.html").read_text()
    assert "SIMULATED MARKET" in page
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page.split("<script>")[0]
    assert "http" not in page.split("<script>")[0] + page.rpartition("</script>")[2]
    assert not re.search(r"<(?:link|img|script)[^>]+(?:src|href)=", page)
    block = re.search(r'id="curves">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    curves = json.loads(block[1])
    assert len(curves) == 2
    assert abs(curves[0]["y"][0]) < 0.01
    told = json.loads(Path("out/deep/comparison.json").read_text())
    assert curves[0]["y"][-1] == pytest.approx(told["variants"][0]["return"])
    assert "| a * |" in Path("out/deep/comparison.md").read_text()


def test_the_table_is_printed(capsys):
    """A row a variant, buy and hold, and a verdict in words for each."""
    assert main(["compare", "--candles", TAPE, "--seed", "1", "--jobs", "1", *THREE]) == 0
    printed = capsys.readouterr().out
    for words in (
        "default *",
        "buy and hold",
        "net bps a trade",
        "hold: too few days to tell it from default",
    ):
        assert words in printed


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--variant", "a:"), 2, "a comparison needs two variants"),
        ((*THREE, "--baseline", "nobody"), 2, "--baseline nobody: there is no such variant; there is default, hold, lucky"),
        ((*THREE, "--recipe", "forest"), 2, "--recipe compares forecasts and does not go with --variant"),
        ((*THREE, "--model", "a", "--model", "b"), 2, "--model is of all variants"),
        (("--variant", "a:", "--variant", "b: treshold=1"), 4, "variant b: lstm_scalping has no parameter 'treshold': did you"),
        (("--variant", "a:", "--variant", "b: strategy=hodl"), 4, "variant b: there is no strategy 'hodl'"),
        (("--variant", "a:", "--variant", "b: model=nobody"), 6, "variant b: "),
        (("--variant", "a:", "--variant", "b: predictions=none.parquet"), 5, "variant b: none.parquet: there is no such file"),
        (("--variant", "a:", "--variant", "b: costs.taker_fee_bps=-1"), 4, "costs.taker_fee_bps: must be at least 0"),
        ((*THREE, "--from", "2030-01-01"), 5, "holds no candles of the time asked for"),
        ((*THREE, "--out", "btc.parquet"), 1, "--out btc.parquet: btc.parquet is no folder"),
        ((*THREE, "--out", "btc.parquet/deep"), 1, "--out btc.parquet/deep: btc.parquet is no folder"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(capsys, words, code, said):
    """It names the variant or the flag, has its exit code, and nothing is written, no trial either."""
    found = main(["compare", "--candles", TAPE, *(() if "--model" in words else ("--seed", "1")), *words])
    printed = capsys.readouterr()
    assert found == code, printed.err
    assert "Traceback" not in printed.err
    assert said in printed.err.splitlines()[-1]
    assert not Path("state").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "1"), "--seed belongs to --variant"),
        (("--baseline", "a"), "--baseline belongs to --variant"),
        (("--set", "a=1"), "--set belongs to --variant"),
        (("--simulated",), "--simulated belongs to --variant"),
    ],
)
def test_flags_of_money_are_refused_for_forecasts(capsys, words, said):
    """They would be ignored where forecasts are compared."""
    assert main(["compare", "--candles", TAPE, *words]) == 2
    assert said in capsys.readouterr().err


def test_candles_must_be_said(capsys):
    """Without them neither kind can begin."""
    assert main(["compare"]) == 2
    assert "say which candles: --candles FILE" in capsys.readouterr().err
    assert main(["compare", *THREE]) == 2
    assert "say which candles" in capsys.readouterr().err


CRAMPED = """
import resource, sys
from bot.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[1:]))
"""
"""A file may grow to 20,000 bytes: beyond that a write fails, as on a full disk."""


def test_a_full_disk_leaves_what_was_there(capsys):
    """The page is larger than the disk: one sentence, exit code 1, and the old page stays whole."""
    Path("out").mkdir()
    Path("out/comparison.html").write_text("older")
    words = ["compare", "--candles", TAPE, "--seed", "1", "--jobs", "1", *THREE, "--out", "out"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", CRAMPED, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "out/comparison.html" in done.stderr.splitlines()[-1]
    assert Path("out/comparison.html").read_text() == "older"
    assert [
        path.name for path in Path("out").iterdir() if "partial" in path.name or path.name.startswith(".")
    ] == []
