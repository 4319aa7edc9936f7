"""From a configuration to its market."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.errors import ConfigError, DataError
from bot.simexchange.assembly import build_market, start_time
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.synthetic import DAY_MS, ORIGIN_MS


def _config(tmp_path: Path, *tapes: Path | str, **settings) -> SimConfig:
    return SimConfig(state_dir=tmp_path, tapes=tuple(map(str, tapes)), **settings)


@pytest.mark.parametrize(
    ("exchange", "market", "unified"),
    [
        ("binance", Market.SPOT, "BTC/USDT"),
        ("okx", Market.OKX, "BTC/USDT:USDT"),
        ("binanceusdm", Market.USDM, "BTC/USDT:USDT"),
    ],
)
def test_the_market_is_that_of_the_tapes_name(tmp_path: Path, make_tape, exchange, market, unified) -> None:
    """The name of a tape says whether it is of spot or of perpetuals, and OKX's are its swaps."""
    built = build_market(_config(tmp_path, make_tape(exchange=exchange)))
    assert built.market is market
    assert [listing.unified(market) for listing in built.listings.values()] == [unified]


def test_a_flag_and_a_symbol_overrule_the_name(tmp_path: Path, make_tape) -> None:
    """A spot tape may be played as perpetual, and a file of any name with its symbol before it."""
    tape = make_tape(exchange="binance")
    assert build_market(_config(tmp_path, tape, market=Market.USDM)).market is Market.USDM
    plain = tape.rename(tmp_path / "plain.parquet")
    built = build_market(_config(tmp_path, f"SUSHI/BTC={plain}"))
    assert (built.source.symbols, built.market) == (("SUSHIBTC",), Market.SPOT)
    assert build_market(_config(tmp_path, f"ETH/USDT:USDT={plain}")).market is Market.USDM
    with pytest.raises(ConfigError, match="give SYMBOL=PATH"):
        build_market(_config(tmp_path, plain))


def test_spot_and_perpetual_tapes_do_not_mix(tmp_path: Path, make_tape) -> None:
    """Tapes of two markets need a choice."""
    tapes = make_tape("BTCUSDT"), make_tape("ETHUSDT", exchange="binance")
    with pytest.raises(ConfigError, match="--market"):
        build_market(_config(tmp_path, *tapes))
    assert len(build_market(_config(tmp_path, *tapes, market=Market.USDM)).listings) == 2


def test_some_of_the_tapes_are_played(tmp_path: Path, make_tape) -> None:
    """Symbols choose among the tapes; one without a tape is refused."""
    tapes = make_tape("BTCUSDT"), make_tape("ETHUSDT")
    assert build_market(_config(tmp_path, *tapes, symbols=("ETH/USDT:USDT",))).source.symbols == ("ETHUSDT",)
    with pytest.raises(ConfigError, match="no tape of XRPUSDT"):
        build_market(_config(tmp_path, *tapes, symbols=("XRPUSDT",)))


def test_files_of_one_symbol_follow_one_another(tmp_path: Path, make_tape, start_ms: int) -> None:
    """Two stretches of one symbol are one tape with a hole between; overlapping ones are refused."""
    tapes = make_tape(minutes=5), make_tape(minutes=5, start_ms=start_ms + 3_600_000)
    assert len(build_market(_config(tmp_path, *tapes)).source.between("BTCUSDT", 0, 2**62)) == 10
    with pytest.raises(DataError, match="lies inside"):
        build_market(_config(tmp_path, tapes[0], make_tape(start_ms=start_ms + 60_000)))


def test_funding_comes_from_its_file(tmp_path: Path, make_tape, start_ms: int) -> None:
    """A funding file gives the rates and the times of its stretch."""
    file = tmp_path / "binanceusdm-BTCUSDT-funding-2023.parquet"
    hours = [start_ms + hour * 3_600_000 for hour in (4, 8, 12)]
    pq.write_table(pa.table({"ts": hours, "funding_rate": [0.001, -0.002, 0.003]}), file)
    market = build_market(_config(tmp_path, make_tape(), funding=(str(file),)))
    times = market.funding_times("BTCUSDT", 0, start_ms + 24 * 3_600_000)
    assert [(time - start_ms) // 3_600_000 for time in times] == [0, 4, 8, 12, 16, 24]
    assert market.funding_rate("BTCUSDT", hours[1]) == -0.002


@pytest.mark.parametrize(
    ("text", "minute"),
    [(None, 0), ("+30m", 30), ("+1h", 60), ("+0.05d", 72), ("2023-05-19T00:10:30", 10), ("2023-05-19T02:10+02:00", 10),
     ("1684454460000", 1)],
)  # fmt: skip
def test_a_start_is_a_span_a_time_or_milliseconds(
    tmp_path: Path, make_tape, start_ms, text, minute: int
) -> None:
    """Each way of saying where to start comes to the whole minute."""
    config = _config(tmp_path, make_tape(minutes=100), start_at=text)
    assert start_time(config, build_market(config).source) == start_ms + minute * 60_000


@pytest.mark.parametrize("text", ["+5d", "2020-01-01", "soon", "+5y", "1"])
def test_a_start_outside_the_tape_is_refused(tmp_path: Path, make_tape, text: str) -> None:
    """A start that is no time, or one where the tape has nothing, is a ConfigError."""
    config = _config(tmp_path, make_tape(), start_at=text)
    with pytest.raises(
        ConfigError, match=rf"^start_at: '?{re.escape(text)}'? is (neither|\d{{4}}-.*Z, outside)"
    ):
        start_time(config, build_market(config).source)


def test_the_synthetic_market_starts_after_its_history(tmp_path: Path) -> None:
    """Without a tape the default symbols are played, after the days of history that were asked for."""
    config = _config(tmp_path, history_days=3)
    market = build_market(config)
    assert market.source.symbols == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    assert start_time(config, market.source) == ORIGIN_MS + 3 * DAY_MS
