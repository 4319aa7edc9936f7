"""A simulated exchange as a child process."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bot.daemon.tape import SimPlan, running_sim
from bot.errors import ConfigError, DataError, StorageError


async def test_it_tells_where_it_listens_and_ends_with_the_block(tmp_path: Path) -> None:
    """The endpoint is real while the block runs, and no process is left after it."""
    others = set(psutil.Process().children())  # such as the one that watches over multiprocessing
    async with running_sim(SimPlan(history_days=1, speed=60), tmp_path) as endpoint:
        assert endpoint.exchange_id == "binanceusdm"
        assert endpoint.ca_file.exists()
        assert len(endpoint.symbols) == 3
        children = [one for one in psutil.Process().children() if one not in others]
        assert children
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


async def test_a_refused_tape_is_one_sentence_of_data(tmp_path: Path) -> None:
    """What the exchange says of a broken file reaches the user as it is."""
    broken = tmp_path / "binanceusdm-BTCUSDT-1m-x.parquet"
    broken.write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match="binanceusdm-BTCUSDT-1m-x"):
        async with running_sim(SimPlan(tapes=(str(broken),)), tmp_path):
            pass


async def test_a_folder_that_the_exchange_cannot_write_is_a_matter_of_storage(tmp_path: Path) -> None:
    """A disk that refuses the exchange's own files is not called a wrong setting."""
    place = tmp_path / "file"
    place.write_text("x", encoding="utf-8")
    with pytest.raises(StorageError, match="file"):
        async with running_sim(SimPlan(history_days=1), place):
            pass


async def test_a_start_outside_of_the_market_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    """A position that can't be read is refused before anything runs."""
    with pytest.raises(ConfigError):
        async with running_sim(SimPlan(start_at="yesterday-ish"), tmp_path):
            pass


def test_a_fault_plan_is_handed_on(tmp_path: Path) -> None:
    """The exchange is told of the plan, and of none by default."""
    words = SimPlan(faults=Path("plan.yaml")).arguments(tmp_path)
    assert words[words.index("--faults") + 1] == "plan.yaml"
    assert "--faults" not in SimPlan().arguments(tmp_path)


def test_the_words_name_every_symbol_as_a_word_of_its_own(tmp_path: Path) -> None:
    """The exchange takes symbols as separate words."""
    words = SimPlan(symbols=("BTC/USDT:USDT", "ETH/USDT:USDT")).arguments(tmp_path)
    place = words.index("--symbols")
    assert words[place + 1 : place + 3] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]
