"""The account on disk: what was committed is there after anything, and nothing else is."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ConfigError, StorageError
from bot.simexchange.account_journal import AccountJournal, open_account
from bot.simexchange.config import Market
from bot.simexchange.orders import AccountTerms, Disturbance
from tests.sim_accounts import LISTINGS, SYMBOL, SimWorld, limit, random_steps, request, sim_world, stop

ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import sys
from pathlib import Path
from bot.simexchange.account_journal import AccountJournal
from bot.simexchange.config import Market
from tests.sim_accounts import random_steps, sim_world

world = sim_world(Market(sys.argv[2]))
journal = AccountJournal.open(Path(sys.argv[1]))
for step in random_steps(world, int(sys.argv[3]), 2000):
    journal.commit(world.account)
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "sim" / "account.journal"


def reopened(path: Path, market: Market = Market.USDM) -> SimWorld:
    """The account of a file, as a new process has it."""
    world = sim_world(market, None)
    world.account, journal = open_account(path, market, AccountTerms(LISTINGS), world.price)
    journal.close()
    return world


def lived(path: Path, market: Market = Market.USDM, seed: int = 7, count: int = 60) -> SimWorld:
    """A world whose every step is committed."""
    world, journal = sim_world(market), AccountJournal.open(path)
    for _ in random_steps(world, seed, count):
        journal.commit(world.account)
    journal.close()
    return world


@pytest.mark.parametrize("market", list(Market))
def test_an_account_opened_again_is_the_account_before(path, market):
    """Truth and snapshot are the same, and there is nothing to save."""
    world = lived(path, market)
    again = reopened(path, market)
    assert again.account.truth() == world.account.truth()
    assert again.account.snapshot() == world.account.snapshot()
    assert again.account.unsaved() == {}


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32), market=st.sampled_from(Market))
def test_opened_again_after_every_few_steps_it_goes_on_the_same(tmp_path_factory, seed, market):
    """An account that is taken from the disk over and over lives as one that never was."""
    path = tmp_path_factory.mktemp("again") / "account.journal"
    whole, broken = sim_world(market), sim_world(market)
    for _ in random_steps(whole, seed, 30):
        pass
    journal = AccountJournal.open(path)
    for step in random_steps(broken, seed, 30):
        journal.commit(broken.account)
        if step % 7 == 0:
            journal.close()
            broken.account, journal = open_account(path, market, AccountTerms(LISTINGS), broken.price)
    journal.close()
    assert broken.account.truth() == whole.account.truth()


def test_it_writes_only_when_something_changed(path):
    """Questions, refusals and empty minutes leave the file as it is; each change makes it longer."""
    world, journal = sim_world(), AccountJournal.open(path)
    assert not journal.commit(world.account)
    assert path.stat().st_size == 0
    sizes = []
    for act in (
        lambda: world.place(request("BUY", 1.0)),
        lambda: world.place(stop("SELL", 99.0)),
        lambda: world.account.set_leverage(SYMBOL, 5),
        lambda: world.account.pay_funding(SYMBOL, 0.001, 100.0, world.now_ms),
        lambda: world.account.cancel_all(SYMBOL, conditional=True, now_ms=world.now_ms),
    ):
        act()
        assert journal.commit(world.account)
        assert not journal.commit(world.account)
        world.account.truth()
        world.close_bars()
        assert not journal.commit(world.account)
        sizes.append(path.stat().st_size)
    assert sizes == sorted(set(sizes))
    journal.close()


def test_what_a_fault_plan_wants_of_an_open_order_survives(path):
    """The shares of a stop that waits are those it had before the restart."""
    world, journal = sim_world(), AccountJournal.open(path)
    world.place(request("BUY", 1.0))
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.25, 0.25))
    world.place(stop("SELL", 99.0, reduce_only=True))
    journal.commit(world.account)
    journal.close()
    again = reopened(path)
    again.open_bar(100.0, 100.0, 98.0, 99.0)
    again.close_bars()
    assert [trade.quantity for trade in again.account.trades(None)] == [1.0, 0.25, 0.25]


def test_a_minute_that_was_stored_is_not_matched_again(path):
    """A crash before the clock was stored plays the minute once more: what filled in part does not fill further."""
    world, journal = sim_world(), AccountJournal.open(path)
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.4,))
    world.place(limit("BUY", 99.0))
    bar = world.open_bar(100.0, 100.0, 98.0, 99.5)
    world.account.match(SYMBOL, bar)
    journal.commit(world.account)
    journal.close()
    again = reopened(path)
    again.account.match(SYMBOL, bar)
    assert again.account.truth() == world.account.truth()
    again.account.match(SYMBOL, bar._replace(opened_at_ms=bar.opened_at_ms + 60_000))
    assert [trade.quantity for trade in again.account.trades(None)] == [0.4, 0.6]


def test_a_torn_last_line_is_cut_wherever_it_tore(path):
    """Cut at every byte of the last change, the file gives back the account before it, and goes on from there."""
    world = lived(path, count=25)
    journal = AccountJournal.open(path)
    journal.restore(sim_world(price=None).account)
    before, length = world.account.truth(), path.stat().st_size
    world.account.saved()
    world.place(limit("BUY", 99.0, client_id="last"))
    journal.commit(world.account)
    journal.close()
    whole = path.read_bytes()
    for cut in range(length, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert reopened(path).account.truth() == before
        assert path.stat().st_size == length
    path.write_bytes(whole)
    assert reopened(path).account.truth() == world.account.truth()


def test_damage_before_sound_lines_is_not_passed_over(path):
    """A change in the middle that can't be read would make the rest wrong: it is refused, and kept."""
    lived(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match="damaged at byte"):
        AccountJournal.open(path)
    assert path.read_bytes() == bytes(data)


def test_a_file_of_something_else_is_not_emptied(path):
    """One line of text that was never ours is no torn write of ours."""
    path.parent.mkdir()
    path.write_text("these are notes\nof somebody\n")
    with pytest.raises(StorageError, match="not a journal"):
        AccountJournal.open(path)
    assert path.read_text() == "these are notes\nof somebody\n"


def test_a_journal_of_the_other_market_is_refused(path):
    """Perpetuals are not opened as spot."""
    lived(path)
    with pytest.raises(ConfigError, match="no account of spot"):
        reopened(path, Market.SPOT)


def test_a_journal_with_symbols_that_are_not_listed_is_refused(path):
    """Their orders could not be matched."""
    lived(path)
    with pytest.raises(ConfigError, match="BBBUSDT, not listed now"):
        open_account(path, Market.USDM, AccountTerms({SYMBOL: LISTINGS[SYMBOL]}), lambda *_: 100.0)


def test_an_empty_journal_restores_nothing(path):
    """A first start has the money of its terms."""
    journal = AccountJournal.open(path)
    world = sim_world()
    assert journal.restore(world.account) is False
    assert world.account.balances()[0].free == 10_000.0
    journal.close()


def test_a_closed_journal_takes_nothing(path):
    """Whoever goes on after closing is told, and closing twice is no harm."""
    world, journal = sim_world(), AccountJournal.open(path)
    journal.close()
    journal.close()
    world.place(request())
    with pytest.raises(StorageError, match="is closed"):
        journal.commit(world.account)


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    """A folder in the way, and a file where a folder should be."""
    with pytest.raises(StorageError, match="cannot be opened"):
        AccountJournal.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        AccountJournal.open(tmp_path / "file" / "account.journal")


def test_after_a_write_that_failed_nothing_is_taken_until_it_is_opened_again(path):
    """A full disk tears a change; the account answers for nothing more, and the restart has what was committed."""
    world, journal = sim_world(), AccountJournal.open(path)
    world.place(request("BUY", 1.0))
    journal.commit(world.account)
    committed = world.account.truth()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, hard))
    try:
        world.place(request("BUY", 1.0, "more"))
        with pytest.raises(StorageError, match="cannot be written"):
            journal.commit(world.account)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(StorageError, match="write to it failed"):
        journal.commit(world.account)
    assert reopened(path).account.truth() == committed


@pytest.mark.parametrize("market", list(Market))
def test_killed_at_a_random_moment_it_has_every_step_that_was_acknowledged(tmp_path, market):
    """After ``kill -9`` the account is the one after the last acknowledged step, or after the one that was being written."""
    rng = random.Random(11)
    for attempt in range(3):
        path, seed = tmp_path / str(attempt) / "account.journal", rng.randrange(2**32)
        acknowledged = killed_writer(path, market, seed, after=rng.randrange(5, 120), pause=rng.random() / 50)
        found = reopened(path, market).account.truth()
        world = sim_world(market)
        matches = [
            step
            for step in random_steps(world, seed, acknowledged + 2)
            if step >= acknowledged and world.account.truth() == found
        ]
        assert matches, f"seed {seed}: not the account after step {acknowledged} or the next"


def killed_writer(path: Path, market: Market, seed: int, *, after: int, pause: float) -> int:
    """Run a process that lives and commits, kill it a little after some steps; the last step it told of."""
    command = [sys.executable, "-c", WRITER, str(path), market.value, str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            last = int(line)
            if last >= after:
                break
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        told = process.stdout.read().splitlines()
    complete = [int(one) for one in told if one]
    return max([last, *complete])
