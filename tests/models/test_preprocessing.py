"""Candles as a table become scaled sequences, without a leak and without a pickle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bot.errors import DataError, ModelError
from models import DataPreprocessor
from models.candle_arrays import CandleArrays
from models.features import feature_set
from models.preprocessing import INDICATOR_COLUMNS
from models.scaling import fit_scaler
from models.windows import MINUTE_MS
from tests.random_candles import random_candles


def table(candles: CandleArrays, *, time: str = "ts") -> pd.DataFrame:
    """Candles as users have them."""
    names = ("open", "high", "low", "close", "volume")
    times = candles.ts if time == "ts" else pd.to_datetime(candles.ts, unit="ms")
    return pd.DataFrame({time: times, **{name: getattr(candles, name) for name in names}})


def test_indicators_are_those_of_the_recipe():
    """The added columns equal the feature set minmax-close to the last bit, and the given table is left alone."""
    candles = random_candles(900, seed=1, gaps=(400,))
    df = table(candles)
    before = df.copy()
    found = DataPreprocessor().add_technical_indicators(df)
    matrix = feature_set("minmax-close-v1").compute(candles).matrix
    np.testing.assert_array_equal(found[list(INDICATOR_COLUMNS)].to_numpy(), matrix[:, 2:])
    assert list(found.columns) == [*before.columns, *INDICATOR_COLUMNS]
    pd.testing.assert_frame_equal(df, before)


def test_a_sequence_holds_the_minutes_before_the_one_it_foretells():
    """Row i of X is the lookback rows before indices[i], y[i] the scaled close there, and both go back to prices."""
    df = table(random_candles(500, seed=2))
    preprocessor = DataPreprocessor()
    X, y, indices = preprocessor.create_sequences(df, lookback=30)  # noqa: N806
    assert X.shape == (len(y), 30, 6) == (len(indices), 30, 6)
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    np.testing.assert_array_equal(indices, np.arange(33 + 30, 500))
    close = df["close"].to_numpy(dtype=np.float64)
    scaler = preprocessor.scaler
    assert scaler is not None
    np.testing.assert_allclose(scaler.inverse("close", y), close[indices], rtol=1e-12)
    for i in (0, 17, len(X) - 1):
        expected = close[indices[i] - 30 : indices[i]].astype(np.float64)
        np.testing.assert_allclose(
            scaler.inverse("close", X[i, :, 0].astype(np.float64)), expected, rtol=1e-6
        )
    full = preprocessor.add_technical_indicators(df).to_numpy()[
        indices[5] - 30 : indices[5], [4, 5, 6, 7, 8, 9]
    ]
    np.testing.assert_array_equal(X[5], scaler.transform(full))


def test_the_scaler_sees_the_first_rows_only():
    """What comes after the first 70 % changes nothing in the scaler; the rows it was fitted on span 0 to 1."""
    df = table(random_candles(1000, seed=3))
    wild = df.copy()
    wild.loc[700:, ["open", "high", "low", "close"]] *= 3.0
    calm, seen, all_rows = DataPreprocessor(), DataPreprocessor(), DataPreprocessor(fit_share=1.0)
    X, _, indices = calm.create_sequences(df)  # noqa: N806
    seen.create_sequences(wild)
    all_rows.create_sequences(wild)
    assert calm.scaler is not None
    assert seen.scaler is not None
    assert all_rows.scaler is not None
    assert calm.scaler.digest() == seen.scaler.digest() != all_rows.scaler.digest()
    assert all_rows.scaler.high[0] > 2.0 * calm.scaler.high[0]
    fitted = X[indices <= 700]
    assert fitted.min() >= 0.0
    assert fitted.max() <= 1.0


def test_a_fitted_scaler_is_kept():
    """Other candles given to the same preprocessor are scaled as the first were."""
    preprocessor = DataPreprocessor()
    preprocessor.create_sequences(table(random_candles(300, seed=4)))
    first = preprocessor.scaler
    preprocessor.create_sequences(table(random_candles(300, seed=5, price=500.0)))
    assert preprocessor.scaler is first


def test_no_sequence_reaches_over_a_gap():
    """Each sequence and its target are contiguous minutes, and warm-up starts anew after a gap."""
    candles = random_candles(600, seed=6, gaps=(250,))
    _, _, indices = DataPreprocessor().create_sequences(table(candles), lookback=20)
    spans = candles.ts[indices] - candles.ts[indices - 20]
    assert set(spans.tolist()) == {20 * MINUTE_MS}
    assert not np.isin(indices, np.arange(250, 250 + 33 + 20)).any()
    assert 250 + 33 + 20 in indices


def test_times_may_be_text_or_zoned():
    """The columns ts and datetime, as times, as text and in a zone, give the same sequences."""
    candles = random_candles(400, seed=7)
    df = table(candles, time="datetime")
    zoned = df.assign(datetime=df["datetime"].dt.tz_localize("UTC").dt.tz_convert("Europe/Rome"))
    expected, _, _ = DataPreprocessor().create_sequences(table(candles))
    for variant in (df, df.astype({"datetime": str}), zoned):
        found, _, _ = DataPreprocessor().create_sequences(variant)
        np.testing.assert_array_equal(found, expected)


def test_indicators_of_the_table_are_used_as_they_stand():
    """A table that has them all keeps its first minutes; one that lacks one has all of them computed."""
    df = DataPreprocessor().add_technical_indicators(table(random_candles(500, seed=8))).iloc[200:]
    _, _, indices = DataPreprocessor().create_sequences(df, lookback=60)
    assert indices[0] == 60
    _, _, indices = DataPreprocessor().create_sequences(df.drop(columns="macd"), lookback=60)
    assert indices[0] == 60 + 33


def test_the_scaler_is_stored_as_json(tmp_path):
    """A saved scaler is JSON, loads to the same numbers and is what other candles are then scaled by."""
    first, second = DataPreprocessor(), DataPreprocessor()
    first.create_sequences(table(random_candles(300, seed=9)))
    file = tmp_path / "models" / "scaler.json"
    first.save_scaler(file)
    second.load_scaler(str(file))
    assert first.scaler is not None
    assert second.scaler is not None
    assert first.scaler.digest() == second.scaler.digest()
    df = table(random_candles(300, seed=10, price=130.0))
    np.testing.assert_array_equal(first.create_sequences(df)[0], second.create_sequences(df)[0])
    assert second.scaler.digest() == first.scaler.digest()


@pytest.mark.parametrize("name", ["scaler.pkl", "scaler.PICKLE", "scaler.joblib"])
def test_a_pickle_is_refused(tmp_path, name):
    """Neither reading nor writing touches a pickle, and the error says which file to give."""
    file = tmp_path / name
    file.write_bytes(b"cos\nsystem\n.")
    preprocessor = DataPreprocessor()
    with pytest.raises(ValueError, match=r"give .*scaler\.json"):
        preprocessor.load_scaler(file)
    preprocessor.create_sequences(table(random_candles(200, seed=11)))
    with pytest.raises(ValueError, match=r"give .*scaler\.json"):
        preprocessor.save_scaler(file)


def test_a_scaler_of_something_else_is_refused(tmp_path):
    """A missing file, a broken one and a scaler of other columns each have their error; the old scaler stays."""
    preprocessor = DataPreprocessor()
    with pytest.raises(ValueError, match="there is no scaler yet"):
        preprocessor.save_scaler(tmp_path / "scaler.json")
    with pytest.raises(FileNotFoundError):
        preprocessor.load_scaler(tmp_path / "none.json")
    file = tmp_path / "broken.json"
    file.write_text("{}")
    with pytest.raises(ModelError, match="not a scaler"):
        preprocessor.load_scaler(file)
    file.write_bytes(fit_scaler("minmax", ("close",), np.array([[1.0], [2.0]])).to_json())
    with pytest.raises(ModelError, match="a minmax scaler of close, volume, rsi"):
        preprocessor.load_scaler(file)
    assert preprocessor.scaler is None


@pytest.mark.parametrize("lookback", [0, -1, 2.5, True, "60"])
def test_a_lookback_that_is_no_number_of_minutes_is_refused(lookback):
    """Only whole numbers above 0 are a lookback."""
    with pytest.raises(ValueError, match="lookback"):
        DataPreprocessor().create_sequences(table(random_candles(200, seed=1)), lookback)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    """The scaler must be fitted on some rows and on no more than all."""
    with pytest.raises(ValueError, match="fit_share"):
        DataPreprocessor(fit_share=share)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda df: df.drop(columns="volume"), "no column volume"),
        (lambda df: df.drop(columns="ts"), "neither a column ts nor a column datetime"),
        (lambda df: df.iloc[:0], "no rows"),
        (lambda df: df.iloc[:90], "no sequence of 60 minutes"),
        (lambda df: df.iloc[::5], "hold no 61 one-minute candles in a row"),
        (lambda df: df.iloc[::-1], "must rise"),
        (lambda df: df.assign(close=0.0), "column close"),
        (lambda df: df.assign(close="much"), "column close holds something that is not a number"),
        (lambda df: df.assign(ts=df["ts"].astype(float)), "whole milliseconds"),
        (lambda df: df.rename(columns={"ts": "datetime"}), "milliseconds since 1970 belong in a column ts"),
        (lambda df: df.drop(columns="ts").assign(datetime="soon"), "not a time"),
        (lambda df: df.drop(columns="ts").assign(datetime=pd.NaT), "no time in row 0"),
        (
            lambda df: df.drop(columns="ts").assign(datetime=pd.to_datetime(df["ts"] + 1, unit="ms")),
            "whole minutes; row 0",
        ),
    ],
)
def test_a_malformed_table_is_refused_in_one_sentence(change, message):
    """Whatever is wrong with the table is named."""
    with pytest.raises(DataError, match=message):
        DataPreprocessor().create_sequences(change(table(random_candles(300, seed=12))))


def test_the_rows_that_the_scaler_needs_must_be_there():
    """A share too small to hold a row with indicators is said, not divided by."""
    with pytest.raises(DataError, match="hold no row with all indicators"):
        DataPreprocessor(fit_share=0.01).create_sequences(table(random_candles(500, seed=13)))
