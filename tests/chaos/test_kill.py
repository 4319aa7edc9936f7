"""``kill -9`` of the daemon changes nothing but the time it takes.

The tape waits for the daemon's acknowledgement of each minute, so its clock is held while the daemon is down.
``KILLS`` in the environment sets how often it dies (1 by default, 50 in ``make chaos``).
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.journal.reader import JournalReader

KILLS = int(os.environ.get("KILLS", "1"))
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTES = 1_000 if KILLS > 1 else 500
SEED = 20_230_310
LIFE_SECONDS = 120.0


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of `bot run` for a random market of two perpetuals with forecasts that trade often."""
    folder = tmp_path_factory.mktemp("tape")
    generator = np.random.default_rng(SEED)
    first_ms = 1_678_406_400_000 - 200 * 60_000  # funding times lie within
    ts = first_ms + np.arange(MINUTES, dtype=np.int64) * 60_000
    words, forecasts = [], []
    for number, symbol in enumerate(SYMBOLS):
        close = np.round(100.0 * (number + 1) * np.exp(np.cumsum(generator.normal(0, 0.001, MINUTES))), 2)
        open_ = np.concatenate([close[:1], close[:-1]])
        high, low = np.maximum(open_, close) + 0.03, np.minimum(open_, close) - 0.03
        keep = generator.random(MINUTES) > 0.002  # a few minutes without a candle
        columns = {
            "ts": ts,
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": np.ones(MINUTES),
        }
        path = folder / f"binanceusdm-{symbol}-1m-random.parquet"
        pq.write_table(pa.table({name: column[keep] for name, column in columns.items()}), path)
        words += ["--tape", str(path)]
        expected = np.round(generator.normal(0, 0.002, MINUTES), 6)
        name = f"{symbol[:3]}/USDT:USDT"
        forecasts.append(
            pa.table({"ts": ts[keep], "expected_return": expected[keep], "symbol": [name] * int(keep.sum())})
        )
    pq.write_table(pa.concat_tables(forecasts), folder / "forecasts.parquet")
    return [*words, "--predictions", str(folder / "forecasts.parquet")]


def start(state: Path, tape: list[str]) -> subprocess.Popen[bytes]:
    """One life of the bot, its words kept in the state folder."""
    words = [sys.executable, "-m", "bot", "run", *tape, "--speed", "0", "--until-tape-end", "--resume-tape"]
    words += [
        "--state-dir",
        str(state),
        "--strategy",
        "lstm_scalping:aggressive",
        "--set",
        "logs.level=warning",
    ]
    with (state / "output.txt").open("ab") as output:
        return subprocess.Popen(words, stdout=output, stderr=output)


def decided(state: Path) -> int:
    """How many minutes the journal holds."""
    path = state / "journal.sqlite"
    if not path.exists():
        return 0
    try:
        return int(
            sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            .execute("SELECT count(*) FROM equity")
            .fetchone()[0]
        )
    except sqlite3.OperationalError:
        return 0


def outcome(state: Path) -> dict[str, Any]:
    """All that must be equal in the end."""
    reader = JournalReader(state / "journal.sqlite")
    snapshot = reader.snapshot()
    assert snapshot is not None
    return {
        "account": snapshot["account"],
        "risk": snapshot["risk"],
        "orders": snapshot["orders"],
        "trades": reader.trades(),
        "equity": reader.equity(),
        "decisions": [(batch.closed_at_ms, batch.reports, batch.decisions) for batch in reader.batches()],
        "counts": {name: count for name, count in reader.counts().items() if name != "notes"},
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments_it_ends_like_an_uninterrupted_run(tape: list[str], tmp_path: Path) -> None:
    """Trades, fees, equity, every decision and every order are those of a run that nobody killed."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for state in (whole, cut):
        state.mkdir()
        from bot.journal.journal import SqliteJournal

        journal = SqliteJournal(state / "journal.sqlite")
        journal.meta("run_id", "samerun")  # order ids depend on it
        journal.close()
    assert start(whole, tape).wait(timeout=LIFE_SECONDS) == 0, (whole / "output.txt").read_text()[-3000:]
    generator = random.Random(SEED)
    minutes = decided(whole)
    deaths = sorted(generator.sample(range(minutes), KILLS))
    killed = 0
    for target in deaths:
        process = start(cut, tape)
        deadline = time.monotonic() + LIFE_SECONDS
        while decided(cut) < target and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(generator.random() * 0.02)  # anywhere between two commits, or a little later
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert start(cut, tape).wait(timeout=LIFE_SECONDS) == 0, (cut / "output.txt").read_text()[-3000:]
    expected, found = outcome(whole), outcome(cut)
    assert len(expected["trades"]) >= 20
    assert killed >= KILLS * 0.8
    for name, value in expected.items():
        assert found[name] == value, name
