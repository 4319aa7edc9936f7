"""``bot retrain`` and ``bot evidence`` as a user types them."""

import json
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from bot.candles.columns import to_candles
from bot.candles.parquet import replace_candles
from bot.candles.store import CandleStore
from bot.cli.retrain_candles import given_series, own_series, span_ms
from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import DataError, UsageError
from bot.journal.journal import SqliteJournal
from bot.settings import load_settings
from bot.simexchange.tls import server_context
from models.candle_arrays import CandleArrays
from tests.planted import planted_candles

SYMBOL = "BTC/USDT:USDT"


def _bot(*words, cwd):
    return subprocess.run(
        [sys.executable, "-P", "-m", "bot", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """Ten days of candles in a file."""
    folder = tmp_path_factory.mktemp("candles")
    path = folder / "btc.parquet"
    replace_candles(path, planted_candles(10 * 1440, seed=1))
    return path


def test_a_retraining_says_every_reason_and_leaves_a_verdict(tape, tmp_path):
    """JSON has model, verdict and reasons; the champion is no-trade; `bot models show` shows it; the exit code is 0."""
    words = ["--recipe", "forest", "--candles", f"{SYMBOL}={tape}", "--state-dir", "var", "--json"]
    words += ["--set", "retrain.train_days=2", "--set", "retrain.max_weeks=1"]
    done = _bot("retrain", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["promote"] is False
    assert said["champion"] == "no-trade"
    assert said["evidence"]["weeks"] == 1
    assert {"weeks", "trades", "gain"} <= {reason["name"] for reason in said["reasons"]}
    assert (tmp_path / "var" / "models" / "verdicts" / f"{said['model_id']}.json").is_file()
    shown = _bot("models", "show", said["model_id"], "--models", "var/models", cwd=tmp_path)
    assert "weeks out of sample" in shown.stdout
    assert "week 1 of 1" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--recipe", "nothing"], 4, "nothing"),
        (["--candles", "X=absent.parquet"], 5, "absent.parquet"),
        (["--now", "yesterday"], 2, "yesterday"),
        (["--offline"], 5, SYMBOL),
        (["--set", "gate.min_weeks=0"], 4, "gate.min_weeks"),
    ],
)
def test_wrong_words_are_one_sentence(words, code, named, tmp_path):
    """What cannot be is refused in a sentence that names it, with its exit code, and nothing is stored."""
    done = _bot("retrain", "--state-dir", "var", *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert named in done.stderr
    assert not (tmp_path / "var" / "models").exists()


def test_evidence_prints_tables_and_a_verdict(tape, tmp_path):
    """Tables in Markdown, everything as JSON in a file, and a sentence for each horizon."""
    longer = tmp_path / "long.parquet"
    replace_candles(longer, planted_candles(25 * 1440, seed=1))
    words = ["--candles", f"{SYMBOL}={longer}", "--weeks", "1", "--train-weeks", "2", "--horizon", "5"]
    done = _bot("evidence", *words, "--no-lstm", "--markdown", "--out", "all.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| 5 | LightGBM |" in done.stdout
    assert "- 5 minutes: " in done.stdout
    kept = json.loads((tmp_path / "all.json").read_text())
    assert kept["horizons"][0]["horizon_minutes"] == 5
    few = _bot("evidence", "--candles", f"{SYMBOL}={tape}", "--weeks", "9", cwd=tmp_path)
    assert few.returncode == 5
    assert "--weeks" in few.stderr


def test_given_files_end_where_they_are_told_to(tape):
    """Candles of files end before the moment; two files of one symbol are refused."""
    whole = given_series([f"{SYMBOL}={tape}"], None)[SYMBOL]
    cut = given_series([f"{SYMBOL}={tape}"], int(whole.ts[100]))[SYMBOL]
    assert len(cut) == 100
    with pytest.raises(UsageError, match="two files"):
        given_series([f"{SYMBOL}={tape}", f"{SYMBOL}={tape}"], None)


def test_own_candles_are_the_stores_and_then_the_journals(tmp_path):
    """What the store has counts; minutes that only the daemon has seen are added; nothing at all is one sentence."""
    settings = load_settings([], {"state_dir": str(tmp_path), "exchange.symbols": [SYMBOL]})
    candles = planted_candles(300, seed=2)
    since, until = int(candles.ts[0]), int(candles.ts[-1]) + MINUTE_MS
    with pytest.raises(DataError, match="bot data download"):
        own_series(settings, since, until, offline=True, say=print)
    CandleStore(settings.candles_dir).write("binanceusdm", SYMBOL, candles.rows(0, 200))
    journal = SqliteJournal(settings.journal_path)
    double = candles.close * 2.0
    other = CandleArrays(candles.ts, double, double, double, double, candles.volume)
    journal.store_warm_up(to_candles(SYMBOL, other.rows(150, 300)))
    journal.close()
    found = own_series(settings, since, until, offline=True, say=print)[SYMBOL]
    np.testing.assert_array_equal(found.ts, candles.ts)
    np.testing.assert_array_equal(found.close[:200], candles.close[:200])
    np.testing.assert_array_equal(found.close[200:], candles.close[200:] * 2.0)
    assert sqlite3.connect(settings.journal_path).execute("PRAGMA user_version").fetchone()[0] >= 3


def test_an_exchange_that_does_not_answer_is_gone_on_without(tmp_path):
    """A refused connection is told in a sentence, and the candles at hand are used."""
    authority = tmp_path / "ca.pem"
    server_context(authority)
    settings = load_settings(
        [],
        {
            "state_dir": str(tmp_path),
            "exchange.symbols": [SYMBOL],
            "exchange.connect_to": "127.0.0.1:9",
            "exchange.ca_file": str(authority),
            "exchange.simulated": True,
            "exchange.clock": "market",
        },
    )
    candles = planted_candles(50, seed=2)
    CandleStore(settings.candles_dir).write("binanceusdm", SYMBOL, candles)
    said: list[str] = []
    since, until = int(candles.ts[0]), int(candles.ts[-1]) + MINUTE_MS
    found = own_series(settings, since, until, offline=False, say=said.append)
    assert len(found[SYMBOL]) == 50
    assert "going on with the candles at hand" in said[0]


def test_the_span_covers_all_weeks_and_the_first_fit():
    """As many days as a first fit, all weeks and a warm-up take."""
    assert span_ms(112, 26, 400 * DAY_MS) == ((400 - 112 - 182 - 2) * DAY_MS, 400 * DAY_MS)
