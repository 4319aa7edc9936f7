"""The command line of the simulated exchange."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.errors import StorageError
from bot.simexchange.__main__ import main
from bot.simexchange.assembly import build_market
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.synthetic import DAY_MS, ORIGIN_MS, SyntheticSource


def test_the_synthetic_market_is_written_as_tapes_that_play(tmp_path: Path) -> None:
    """A written tape holds the bars of the market that it came from, and its name says what it is."""
    assert (
        main(["--write-tape", str(tmp_path), "--days", "2", "--seed", "5", "--symbols", "ETH/USDT:USDT"]) == 0
    )
    (path,) = tmp_path.iterdir()
    assert path.name == "simusdm-ETHUSDT-1m-seed5-2d.parquet"
    market = build_market(SimConfig(state_dir=tmp_path, tapes=(str(path),)))
    assert market.market is Market.USDM
    made = SyntheticSource(("ETHUSDT",), 5).between("ETHUSDT", ORIGIN_MS, ORIGIN_MS + 2 * DAY_MS)
    np.testing.assert_array_equal(market.source.between("ETHUSDT", 0, 2**62).close, made.close)


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys) -> None:
    """What the disk refuses is one line with the path and the exit code of storage."""
    place = tmp_path / "file"
    place.write_text("x", encoding="utf-8")
    assert main(["--state-dir", str(place)]) == StorageError.exit_code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(place) in line


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--tape", "binance-BTCUSDT-1m-x.parquet"], 5, "binance-BTCUSDT-1m-x.parquet: no such file"),
        (["--speed", "-3"], 4, "speed: -3.0"),
        (["--symbols", "WHAT"], 4, "quote currency"),
    ],
)
def test_a_wrong_start_is_one_sentence_and_an_exit_code(
    tmp_path: Path, capsys, arguments, code, words
) -> None:
    """What cannot be played ends with the exit code of its error and one line that names it."""
    assert main(["--state-dir", str(tmp_path), *arguments]) == code
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert words in error[0]
