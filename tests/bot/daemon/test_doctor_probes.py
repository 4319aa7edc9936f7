"""What a check-up sees of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.daemon.doctor_probes import (
    LEAST_PYTHON,
    look_at_journal,
    look_at_model,
    look_at_packages,
    look_at_state,
    package_fact,
)
from bot.daemon.lock import state_lock
from bot.journal.journal import SqliteJournal
from bot.journal.schema import SCHEMA_VERSION
from tests.daemon_harness import Daemon, random_market, random_predictions

MINUTES = 120


def test_every_package_of_the_project_is_found_and_fits():
    """The environment of the tests is one that the project was built for; extras are not asked for."""
    facts = look_at_packages()
    assert {"ccxt", "numpy", "orjson", "onnxruntime"} <= {fact.name for fact in facts}
    assert [fact for fact in facts if not fact.fits] == []
    assert "pytest" not in {fact.name for fact in facts}


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        ("pytest>=1", True),
        ("pytest>=1,<2", False),
        ("pytest (>=8)", True),
        ("pytest>=8.0.0.0.0", True),
        ("pytest>=9999", False),
        ("pytest!=0.1", True),
        ("pytest", True),
        ("no-such-package-anywhere>=1", False),
        ("pytest>=1 ; python_version > '3'", True),
    ],
)
def test_versions_are_compared_as_numbers(line, fits):
    """A requirement fits when the installed version is within every bound; 9.10 is more than 9.9."""
    fact = package_fact(line)
    assert fact is not None
    assert fact.fits is fits
    assert package_fact('pytest>=1; extra == "dev"') is None


def test_this_python_will_do():
    """The least version is the one that the project declares."""
    root = Path(__file__).resolve().parents[3]
    assert (
        f'requires-python = ">={LEAST_PYTHON[0]}.{LEAST_PYTHON[1]}"' in (root / "pyproject.toml").read_text()
    )


def test_a_state_folder(tmp_path):
    """A folder that is not there yet is judged by the one above; nothing is left behind; a daemon's hold is seen."""
    facts = look_at_state(tmp_path / "a" / "b")
    assert (facts.fault, facts.holder) == (None, None)
    assert facts.free_bytes > 0
    assert list(tmp_path.iterdir()) == []
    with state_lock(tmp_path):
        assert look_at_state(tmp_path).holder == os.getpid()


def test_a_folder_that_takes_no_file(tmp_path):
    """A file in the place of the folder, or a folder that can't be written, is a fault with the system's words."""
    file = tmp_path / "file"
    file.write_text("")
    assert look_at_state(file / "state").fault == "Not a directory"


async def test_a_journal_tells_what_is_held(tmp_path):
    """After a run: its run, its equity, the time of its last candle, and the positions and orders of its account."""
    candles = random_market(3, MINUTES)
    daemon = Daemon(tmp_path, candles, random_predictions(3, candles), now_ms=candles[0].opened_at_ms)
    daemon.journal.meta("run_id", "abcdef01")
    await daemon.start()
    await daemon.run()
    daemon.close()
    facts = look_at_journal(tmp_path / "journal.sqlite")
    account = daemon.engine.account
    assert (facts.exists, facts.fault, facts.schema) == (True, None, SCHEMA_VERSION)
    assert facts.run_id == "abcdef01"
    assert facts.last_closed_at_ms == candles[-1].closed_at_ms
    assert facts.equity == pytest.approx(account.equity())
    assert facts.held == {held.symbol: held.quantity for held in account.positions()}
    assert facts.open_orders is not None
    assert set(facts.open_orders.values()) <= set(daemon.feed.symbols)
    assert facts.held or facts.open_orders


def test_a_journal_that_is_none(tmp_path):
    """No file, a file of something else, a journal of a newer version: told apart, and none of them raises."""
    path = tmp_path / "journal.sqlite"
    assert not look_at_journal(path).exists
    path.write_bytes(b"no database " * 500)
    facts = look_at_journal(path)
    assert facts.exists
    assert "journal" in (facts.fault or "")
    path.unlink()
    journal = SqliteJournal(path)
    journal._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    journal.close()
    assert f"has schema {SCHEMA_VERSION + 1}" in (look_at_journal(path).fault or "")


def test_a_model(tmp_path):
    """Nobody trades where no-trade is named; a model that is not there is refused with the reason."""
    assert look_at_model(tmp_path, "no-trade", None).model_id == "no-trade"
    fact = look_at_model(tmp_path, "lstm-nowhere", None)
    assert fact.model_id is None
    assert "lstm-nowhere" in (fact.refused or "")
