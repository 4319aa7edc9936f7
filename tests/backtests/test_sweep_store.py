"""Finished points on the disk: found by what they depend on, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backtests import sweep_store
from backtests.sweep_blocks import cut_into_blocks
from backtests.sweep_point import PointJob
from backtests.sweep_store import (
    FILE_NAME,
    PointStore,
    alone_in,
    ground_digest,
    point_key,
    predictions_digest,
    settings_digest,
)
from bot.core.matching import FundingRates
from bot.errors import ConfigError, DataError, UsageError
from strategies import strategy_factory
from tests.random_market import random_input
from tests.sweep_tables import figures

RETURNS = np.linspace(-0.01, 0.02, 12)


def test_a_point_is_found_again_after_a_kill_in_the_middle_of_a_line(tmp_path):
    """What was kept is there; an unfinished last line is none; a damaged line is named by its number."""
    store = PointStore(tmp_path)
    store.keep("one", {"x": "1"}, figures(RETURNS))
    store.keep("two", {"x": "2"}, ConfigError("out of range"))
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + b'{"key": "three", "poi')
    again = PointStore(tmp_path)
    assert list(again.found) == ["one"]
    assert again.found["one"].as_json() == figures(RETURNS).as_json()
    again.keep("four", {"x": "4"}, figures(RETURNS))
    assert list(PointStore(tmp_path).found) == ["one", "four"]
    (tmp_path / FILE_NAME).write_bytes(whole + b"nonsense\n")
    with pytest.raises(DataError, match="line 3 is no point of a sweep"):
        PointStore(tmp_path)


def test_every_input_is_part_of_the_key(monkeypatch):
    """Other candles, predictions, funding, blocks, engine, rules, parameters or sources: another key; else the same."""
    data = random_input(1, count=4 * 1440)
    symbol = data.symbols[0]
    blocks = cut_into_blocks(data.candles, 1)
    job = PointJob(data.config, strategy_factory("lstm_scalping", overrides={"threshold": "0.001"}))
    first = point_key(ground_digest(data, blocks, "fast"), job)
    same = strategy_factory("lstm_scalping", overrides={"threshold": 0.001})
    assert point_key(ground_digest(data, blocks, "fast"), replace(job, make_strategy=same)) == first
    candles = data.candles[symbol]
    moved = replace(candles, close=candles.close * 1.0000001)
    columns = data.predictions[symbol]
    said = replace(columns, expected_return=columns.expected_return + 1e-9)
    changed = [
        ground_digest(replace(data, candles={symbol: moved}), blocks, "fast"),
        ground_digest(replace(data, predictions={symbol: said}), blocks, "fast"),
        ground_digest(
            replace(data, predictions={symbol: replace(columns, horizon_minutes=9)}), blocks, "fast"
        ),
        ground_digest(replace(data, funding=FundingRates(0.0002)), blocks, "fast"),
        ground_digest(data, blocks[:1], "fast"),
        ground_digest(data, blocks, "kernel"),
    ]
    monkeypatch.setattr(sweep_store, "program_digest", lambda: "another program")
    changed.append(ground_digest(data, blocks, "fast"))
    keys = {point_key(digest, job) for digest in changed}
    keys.add(point_key("", replace(job, config=replace(data.config, starting_cash=1.0))))
    keys.add(point_key("", replace(job, make_strategy=strategy_factory("lstm_scalping"))))
    assert len(keys) == len(changed) + 2
    assert first not in keys


def test_a_strategy_of_the_users_own_counts_with_its_source(tmp_path, monkeypatch):
    """The same name over another source is another point."""
    module = tmp_path / "own_sweep_strategy.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from strategies import LstmScalping, ScalpingParameters\n\ndef make(symbol):\n    return LstmScalping(symbol, ScalpingParameters())\n"
    module.write_text(text)
    data = random_input(1)
    job = PointJob(data.config, strategy_factory("own_sweep_strategy:make"))
    before = settings_digest(job)
    assert settings_digest(job) == before
    module.write_text(text + "# another\n")
    assert settings_digest(job) != before


def test_predictions_differ_by_column_and_symbol():
    """The digest tells one symbol's numbers from another's, and a column from none."""
    data = random_input(1)
    symbol = data.symbols[0]
    columns = data.predictions[symbol]
    found = {
        predictions_digest({symbol: columns}),
        predictions_digest({"ETH/USDT": columns}),
        predictions_digest({symbol: replace(columns, volatility=None)}),
        predictions_digest({}),
    }
    assert len(found) == 4


def test_two_sweeps_do_not_write_into_one_folder(tmp_path):
    """The second is told to wait or to go elsewhere; afterwards the folder is free."""
    folder: Path = tmp_path / "new" / "folder"
    with alone_in(folder), pytest.raises(UsageError, match="another sweep"), alone_in(folder):
        pass
    with alone_in(folder):
        assert folder.is_dir()
