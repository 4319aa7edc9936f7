"""The bot trading live on the simulated exchange, both as processes: a tape that trades, faults, and what must agree."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bot.core.market import MINUTE_MS
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.simexchange.account_journal import open_account
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol, symbol_id
from bot.simexchange.okx_listing import list_swap
from bot.simexchange.orders import AccountTerms
from bot.simexchange.trading_room import JOURNAL_NAME

FIRST_MS = 1_678_406_400_000 - 75 * MINUTE_MS
"""2023-03-09 22:45 UTC: a funding time lies 75 minutes in."""
MONEY = 1e-6
"""What sums of floats may differ by, quote currency: a ten-thousandth of a cent."""


@dataclass(frozen=True, slots=True)
class LiveTape:
    """A recorded market and forecasts on it.

    Attributes:
        words: Of ``bot run``.
        minutes: Its length.
        symbols: Unified names.
        market: Where it is played.
    """

    words: tuple[str, ...]
    minutes: int
    symbols: tuple[str, ...]
    market: Market = Market.USDM


def make_tape(
    folder: Path,
    *,
    seed: int,
    minutes: int = 160,
    bases: Sequence[str] = ("BTC",),
    spot: bool = False,
    okx: bool = False,
    quiet_minutes: int = 62,
    volatility: float = 0.001,
    holes: Sequence[int] = (),
    without_trades: Sequence[int] = (),
) -> LiveTape:
    """A random market with forecasts that trade every few minutes, after the minutes that fill the windows.

    ``holes`` are numbers of minutes that the tape lacks; in those ``without_trades`` the price stood, at volume 0.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    market = Market.OKX if okx else Market.SPOT if spot else Market.USDM
    ts = FIRST_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    kept = np.setdiff1d(np.arange(minutes), holes)
    still = np.array(sorted(without_trades), dtype=np.int64)
    words: list[str] = []
    forecasts, names = [], []
    for number, base in enumerate(bases):
        close = np.round(
            20_000.0 / (1 + 9 * number) * np.exp(np.cumsum(generator.normal(0, volatility, minutes))), 1
        )
        open_ = np.concatenate([close[:1], close[:-1]])
        reach = np.round(close * volatility * generator.random(minutes), 1)
        columns = {
            "ts": ts,
            "open": open_,
            "high": np.maximum(open_, close) + reach,
            "low": np.minimum(open_, close) - reach,
            "close": close,
            "volume": np.ones(minutes),
        }
        for name in ("open", "high", "low", "close"):
            columns[name][still] = open_[still]
        columns["volume"][still] = 0.0
        path = folder / f"{market.exchange_id}-{base}USDT-1m-random.parquet"
        pq.write_table(pa.table({name: column[kept] for name, column in columns.items()}), path)
        words += ["--tape", str(path)]
        expected = np.round(generator.normal(0, 0.003, minutes), 6)
        expected[:quiet_minutes] = 0.0
        names.append(f"{base}/USDT" if spot else f"{base}/USDT:USDT")
        told = {"ts": ts[kept], "expected_return": expected[kept], "symbol": [names[-1]] * len(kept)}
        forecasts.append(pa.table(told))
    pq.write_table(pa.concat_tables(forecasts), folder / "forecasts.parquet")
    words += ["--predictions", str(folder / "forecasts.parquet")]
    return LiveTape(tuple(words), minutes, tuple(names), market)


def prepare(state: Path, run_id: str = "samerun") -> Path:
    """A state folder whose order ids do not depend on chance."""
    state.mkdir(parents=True, exist_ok=True)
    journal = SqliteJournal(state / "journal.sqlite")
    journal.meta("run_id", run_id)
    journal.close()
    return state


def start(
    state: Path,
    tape: LiveTape,
    *,
    mode: str = "live",
    faults: Sequence[Mapping[str, Any]] = (),
    speed: float = 0,
    settings: Mapping[str, Any] = {},
    program: Sequence[str] = ("-m", "bot"),
    resume: bool = True,
    goes_on: bool = False,
    environment: Mapping[str, str] = {},
) -> subprocess.Popen[bytes]:
    """One life of the bot on the tape until it ends, its words kept in the state folder."""
    words = [sys.executable, "-P", *program, "run", *tape.words, "--speed", str(speed), "--until-tape-end"]
    words += ["--state-dir", str(state), "--strategy", "lstm_scalping:aggressive", "--mode", mode]
    if resume:
        words.append("--resume-tape")
    if goes_on:
        words.append("--tape-goes-on")
    if mode == "live":
        words.append("--i-understand-live-trading")
    if faults:
        plan = state / "faults.yaml"
        plan.write_text(json.dumps({"seed": 1, "faults": list(faults)}))  # JSON is YAML
        words += ["--sim-faults", str(plan)]
    chosen = {
        "logs.level": "info",
        "control.enabled": "false",
        "shadow_replay.enabled": "false",  # a tape goes over midnight
        **settings,
    }
    for name, value in chosen.items():
        words += ["--set", f"{name}={value}"]
    variables = {
        **os.environ,
        "BOT__EXCHANGE__API_KEY": "key-of-a-tape",
        "BOT__EXCHANGE__API_SECRET": "secret-of-a-tape",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **environment,
    }
    with (state / "output.txt").open("ab") as output:
        return subprocess.Popen(words, stdout=output, stderr=output, env=variables)


def await_end_of_exchange(state: Path, seconds: float = 20.0) -> None:
    """The simulated exchange of a bot that died notices it, and saves where it stands."""
    deadline = time.monotonic() + seconds
    while (state / "sim" / "endpoint.json").exists():
        assert time.monotonic() < deadline, "the exchange is still there"
        time.sleep(0.05)


def run(state: Path, tape: LiveTape, *, seconds: float = 120.0, **choices: Any) -> None:
    """A life that must end well."""
    process = start(state, tape, **choices)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"not done after {seconds} s:\n{said(state)}") from None
    assert code == 0, said(state)


def said(state: Path, characters: int = 4000) -> str:
    """The last words of the bot."""
    return (state / "output.txt").read_text(errors="replace")[-characters:]


def log_lines(state: Path) -> list[dict[str, Any]]:
    """The log, in order, with the part that was put aside when the file got long."""
    parts = sorted((state / "logs").glob("bot.jsonl*"), reverse=True)
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def events(state: Path) -> Counter[str]:
    """How often each event stands in the log."""
    return Counter(line["event"] for line in log_lines(state))


def truth(state: Path, tape: LiveTape) -> dict[str, Any]:
    """What the exchange's own books hold."""
    market = tape.market
    listed = list_swap if market is Market.OKX else partial(list_symbol, market=market)
    listings = {symbol_id(name): listed(symbol_id(name), price=1.0) for name in tape.symbols}
    account, journal = open_account(
        state / "sim" / JOURNAL_NAME, market, AccountTerms(listings), lambda _symbol, _now: None
    )
    journal.close()
    return account.truth()


def fills(state: Path) -> list[dict[str, Any]]:
    """The executions that our journal holds."""
    database = sqlite3.connect(f"file:{state / 'journal.sqlite'}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in database.execute("SELECT * FROM fills ORDER BY filled_at_ms, trade_id")]
    finally:
        database.close()


def outcome(state: Path) -> dict[str, Any]:
    """All of our books that a fault must not change."""
    reader = JournalReader(state / "journal.sqlite")
    snapshot = reader.snapshot()
    assert snapshot is not None
    return {"account": snapshot["account"], "trades": reader.trades()}


def assert_agreement(state: Path, tape: LiveTape) -> dict[str, Any]:
    """Our books are the exchange's: executions, fees, money, positions, one order for each intent; gives the truth."""
    theirs = truth(state, tape)
    ours = {row["trade_id"].rpartition("-")[2]: row for row in fills(state)}
    names = {symbol_id(name): name for name in tape.symbols}
    executed = {str(row["trade_id"]): row for row in theirs["trades"]}
    assert set(ours) == set(executed), (set(ours) ^ set(executed), said(state))
    for trade_id, row in executed.items():
        mine = ours[trade_id]
        assert mine["client_order_id"] == row["client_order_id"]
        assert (mine["symbol"], mine["side"]) == (names[row["symbol"]], row["side"].lower())
        for name in ("quantity", "price", "fee"):
            assert abs(mine[name] - row[name]) <= 1e-9 * abs(row[name]), (name, mine, row)
    account = outcome(state)["account"]
    wallet = {row["asset"]: row["free"] + row["locked"] for row in theirs["balances"]}
    assert abs(account["cash"] - wallet["USDT"]) <= MONEY, (account["cash"], wallet["USDT"])
    held = {row[0]: row[1] for row in account["positions"]}
    if theirs["market"] != "spot":
        shown = {names[row["symbol"]]: row["quantity"] for row in theirs["positions"]}
    else:
        shown = {
            name: wallet[name.partition("/")[0]]
            for name in tape.symbols
            if wallet.get(name.partition("/")[0], 0.0) > 1e-9
        }
    assert held.keys() == shown.keys(), (held, shown)
    for name, quantity in held.items():
        assert abs(quantity - shown[name]) <= 1e-9, (name, quantity, shown[name])
    _assert_orders(state, theirs, set(held), names)
    return theirs


def _assert_orders(state: Path, theirs: Mapping[str, Any], held: set[str], names: Mapping[str, str]) -> None:
    """Every order of the exchange is one of ours, none is there twice, and what rests is an entry or protects something."""
    database = sqlite3.connect(f"file:{state / 'journal.sqlite'}?mode=ro", uri=True)
    intents = {row[0] for row in database.execute("SELECT client_order_id FROM orders")}
    database.close()
    snapshot = JournalReader(state / "journal.sqlite").snapshot() or {}
    waiting = {row["intent"]["client_order_id"] for row in snapshot["orders"] if row["intent"]["leg"] == "e"}
    made = [row for row in (*theirs["orders"], *theirs["conditional_orders"]) if not row.get("parent_id")]
    counted = Counter(row["request"]["client_order_id"] for row in made)
    assert set(counted) <= intents, set(counted) - intents
    assert not [name for name, count in counted.items() if count > 1], counted
    for row in made:
        if row["status"] in {"NEW", "PARTIALLY_FILLED"}:
            asked = row["request"]
            assert names[asked["symbol"]] in held or asked["client_order_id"] in waiting, row
