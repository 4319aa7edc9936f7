"""Funding rates and trading rules are read exactly or refused by name."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtests.side_files import instruments_of, read_funding
from bot.core.market import MINUTE_MS, InstrumentKind
from bot.errors import ConfigError, DataError
from tests.random_market import PERPETUALS, SPOTS, START_MS, random_candles
from tests.shared_data import shared_file

CANDLES = {name: random_candles(1, 100) for name in PERPETUALS[:2]}
EIGHT_HOURS = 480 * MINUTE_MS


def write(path, ts, rates):
    """A funding file."""
    pq.write_table(pa.table({"ts": ts, "funding_rate": rates}), path)
    return path


def test_rates_are_cut_to_the_minute_and_paid_once(tmp_path):
    """A payment some milliseconds after the hour belongs to the minute, and several files of a symbol join."""
    one = write(tmp_path / "a.parquet", [START_MS + 1, START_MS + EIGHT_HOURS + 7], [1e-4, -2e-4])
    two = write(tmp_path / "b.parquet", [START_MS + 2 * EIGHT_HOURS], [3e-4])
    rates, warnings = read_funding([f"BTC/USDT:USDT={one}", f"BTC/USDT:USDT={two}"], CANDLES, 1e-4)
    found = rates.between("BTC/USDT:USDT", START_MS - MINUTE_MS, START_MS + 3 * EIGHT_HOURS)
    assert found == [
        (START_MS, 1e-4),
        (START_MS + EIGHT_HOURS, -2e-4),
        (START_MS + 2 * EIGHT_HOURS, 3e-4),
    ]
    assert rates.between("BTC/USDT:USDT", START_MS, START_MS) == []
    assert rates.between("ETH/USDT:USDT", START_MS, START_MS + EIGHT_HOURS) == [
        (START_MS + EIGHT_HOURS, 1e-4)
    ]
    assert warnings == []


def test_the_name_of_a_file_tells_its_symbol(tmp_path):
    """A file named as those of an exchange needs no symbol; with one perpetual traded no name matters."""
    path = write(tmp_path / "binanceusdm-ETHUSDT-funding-2023.parquet", [START_MS], [1e-4])
    assert set(read_funding([str(path)], CANDLES, 0.0)[0].tables) == {"ETH/USDT:USDT"}
    alone = {"BTC/USDT:USDT": CANDLES["BTC/USDT:USDT"]}
    other = write(tmp_path / "rates.parquet", [START_MS], [1e-4])
    assert set(read_funding([str(other)], alone, 0.0)[0].tables) == {"BTC/USDT:USDT"}


def test_real_funding_files_are_read():
    """A recorded file of an exchange is read, a payment every eight hours."""
    path = shared_file("funding", "binanceusdm-BTCUSDT-funding-2023-07-04_2023-08-17.parquet")
    table = read_funding([str(path)], {"BTC/USDT:USDT": random_candles(1, 50)}, 0.0)[0].tables[
        "BTC/USDT:USDT"
    ]
    assert len(table) > 100
    assert set(np.diff(sorted(table)).tolist()) == {EIGHT_HOURS}


def test_candles_outside_of_the_rates_are_warned_of(tmp_path):
    """Funding that is not known for part of the time is told, not made up."""
    path = write(tmp_path / "a.parquet", [START_MS - 10 * EIGHT_HOURS], [1e-4])
    _, warnings = read_funding([f"BTC/USDT:USDT={path}"], CANDLES, 0.0)
    count = len(CANDLES["BTC/USDT:USDT"])
    assert warnings == [
        f"{count} of {count} candles of BTC/USDT:USDT lie outside of its funding file: none is paid there"
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"ts": [0]}, "column funding_rate is missing"),
        ({"ts": [0.5], "funding_rate": [1e-4]}, "column ts is double"),
        ({"ts": [0], "funding_rate": [0.5]}, "funding_rate is 0.5 in row 0"),
        ({"ts": [0], "funding_rate": [float("nan")]}, "funding_rate is nan in row 0"),
        ({"ts": pa.array([None], pa.int64()), "funding_rate": [1e-4]}, "column ts is empty in 1 rows"),
    ],
)
def test_bad_rates_are_refused(tmp_path, columns, sentence):
    """Every fault is a DataError that names file and column."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError) as caught:
        read_funding([f"BTC/USDT:USDT={path}"], CANDLES, 0.0)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_funding_of_a_stranger_is_refused(tmp_path):
    """Rates of a symbol that is not traded, or of spot, belong to nobody."""
    path = write(tmp_path / "a.parquet", [0], [1e-4])
    with pytest.raises(DataError, match="no perpetual that is traded"):
        read_funding([f"SOL/USDT:USDT={path}"], CANDLES, 0.0)
    spot = write(tmp_path / "binance-BTCUSDT-funding-2023.parquet", [0], [1e-4])
    with pytest.raises(DataError, match="no perpetual that is traded"):
        read_funding([str(spot)], {SPOTS[0]: CANDLES[PERPETUALS[0]]}, 0.0)


RULES = {"tick_size": 0.1, "lot_step": 0.001, "min_quantity": 0.001, "min_notional": 100}


def test_rules_come_from_the_file_or_by_default(tmp_path):
    """A symbol in the file has its rules, another the default ones."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"BTC/USDT:USDT": RULES, "SOL/USDT": RULES}))
    found = instruments_of(CANDLES, path)
    assert (found["BTC/USDT:USDT"].tick_size, found["BTC/USDT:USDT"].min_notional) == (0.1, 100.0)
    assert found["BTC/USDT:USDT"].kind is InstrumentKind.PERPETUAL
    assert found["ETH/USDT:USDT"] == instruments_of(CANDLES)["ETH/USDT:USDT"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "it is not JSON"),
        ("[]", "must be an object"),
        (json.dumps({"BTC/USDT:USDT": {"tick_size": 1}}), "must have exactly tick_size, lot_step"),
        (
            json.dumps({"BTC/USDT:USDT": RULES | {"lot_step": -1}}),
            "lot_step of BTC/USDT:USDT must be a positive",
        ),
        (
            json.dumps({"BTC/USDT:USDT": RULES | {"lot_step": "1"}}),
            "lot_step of BTC/USDT:USDT must be a positive",
        ),
    ],
)
def test_bad_rules_are_refused(tmp_path, text, sentence):
    """Every fault is a ConfigError that names file, symbol and field."""
    path = tmp_path / "rules.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        instruments_of(CANDLES, path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_absent_files_are_named(tmp_path):
    """A file that is not there is said to be absent."""
    with pytest.raises(ConfigError, match=r"none\.json"):
        instruments_of(CANDLES, tmp_path / "none.json")
    with pytest.raises(DataError, match="there is no such file"):
        read_funding([f"BTC/USDT:USDT={tmp_path / 'none.parquet'}"], CANDLES, 0.0)
