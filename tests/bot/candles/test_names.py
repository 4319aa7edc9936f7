"""Tests of symbols in file and folder names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.candles import names
from bot.errors import DataError

code = st.text(
    st.characters(exclude_categories=["Ll", "Z", "C"], exclude_characters="/:="), min_size=1, max_size=8
)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binanceusdm-BTCUSDT-1m-2023-01-01_2023-12-31.parquet", "BTC/USDT:USDT"),
        ("binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet", "BTC/USDT"),
        ("okx-ETHUSDT-1m-2022-01-07_2022-02-26.parquet", "ETH/USDT"),
        ("binance-SUSHIBTC-1m-x.parquet", "SUSHI/BTC"),
        ("binanceus-BTCUSD-1m-x.parquet", "BTC/USD"),
        ("binance-USDCUSDT-1m.parquet", "USDC/USDT"),
        ("binance-BTCFDUSD-1m.csv", "BTC/FDUSD"),
        ("binance-ETHEUR-1m.csv", "ETH/EUR"),
        ("binanceusdm-1000SHIB_USDT-1m.parquet", "1000SHIB/USDT:USDT"),
        ("bybit-BTC_USDT_USDT-1m.parquet", "BTC/USDT:USDT"),
        ("store/binance/BTC_USDT/2024-05.parquet", "BTC/USDT"),
    ],
)
def test_a_file_name_tells_the_symbol(name: str, symbol: str) -> None:
    """The unified name follows from the exchange and the run-together or underscored name."""
    assert names.symbol_of(Path(name)) == symbol


@pytest.mark.parametrize(
    "name", ["candles.parquet", "binance-BTCXYZ-1m.parquet", "binance-USDT-1m.parquet", "x-A_B_C_D-1m.csv"]
)
def test_another_name_is_refused_with_the_way_out(name: str) -> None:
    """A name that does not tell the symbol is refused by a sentence that shows both remedies."""
    with pytest.raises(DataError, match=r"(?s)" + name + ".*EXCHANGE-BASEQUOTE-1m.*SYMBOL=PATH"):
        names.symbol_of(Path(name))


def test_an_override_is_taken_if_it_is_a_symbol() -> None:
    """The given symbol wins over the file name, and nonsense is refused."""
    assert names.symbol_of(Path("anything"), "ETH/USDC:USDC") == "ETH/USDC:USDC"
    with pytest.raises(DataError, match="BTCUSDT"):
        names.symbol_of(Path("anything"), "BTCUSDT")


def test_a_tape_is_a_path_or_a_symbol_and_a_path() -> None:
    """SYMBOL=PATH is read so; a path with an equals sign in a folder's name is still a path."""
    assert names.parse_tape("BTC/USDT:USDT=a/b.parquet") == ("BTC/USDT:USDT", Path("a/b.parquet"))
    plain = "dir/seed=1/binance-BTCUSDT-1m.parquet"
    assert names.parse_tape(plain) == ("BTC/USDT", Path(plain))


@given(code, code, st.none() | code)
def test_folder_names_are_safe_and_read_back(base: str, quote: str, settle: str | None) -> None:
    """Every symbol has a folder name without separators, from which the symbol follows."""
    symbol = f"{base}/{quote}" + (f":{settle}" if settle else "")
    folder = names.folder_of(symbol)
    assert "/" not in folder
    assert folder not in {".", ".."}
    assert names.symbol_of_folder(folder) == symbol


def test_a_foreign_folder_is_named() -> None:
    """A folder that is not the store's own is refused by name."""
    with pytest.raises(DataError, match="lost"):
        names.symbol_of_folder("lost+found")


def test_the_exchange_is_read_from_the_file_name() -> None:
    """The part before the first dash, where the name follows the pattern."""
    assert names.exchange_of(Path("okx-BTCUSDT-1m-x.parquet")) == "okx"
    assert names.exchange_of(Path("whatever.csv")) is None
