"""What chaos with orders needs beside ``live_rig``: which faults acted, who was told what, and how long a position was naked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from bot.core.market import MINUTE_MS
from bot.simexchange.config import API_KEY, API_SECRET
from bot.simexchange.exchange_info import symbol_id
from tests.live_rig import FIRST_MS, LiveTape, said

PROTECTION_MS = 5_000
"""``execution.protection_seconds`` of the shipped settings."""
_ENDED = frozenset({"CANCELED", "EXPIRED", "REJECTED", "FILLED", "FINISHED", "TRIGGERED"})
_DUST = 1e-9


def acts(state: Path) -> Counter[str]:
    """How often each fault acted, by its name."""
    return Counter(row["fault"] for row in _fault_rows(state) if row["event"] == "act")


def acted_on(state: Path, fault: str) -> list[dict[str, Any]]:
    """What a fault acted on, in order."""
    return [row for row in _fault_rows(state) if row["event"] == "act" and row["fault"] == fault]


def carried_out(state: Path, fault: str) -> list[bool]:
    """Of each request that a fault took, whether the exchange carried it out."""
    numbers = {row["act"] for row in acted_on(state, fault)}
    return [
        row["executed"] for row in _fault_rows(state) if row["event"] == "truth" and row["act"] in numbers
    ]


def _fault_rows(state: Path) -> list[dict[str, Any]]:
    path = state / "sim" / "faults.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_no_secrets(state: Path) -> None:
    """Nothing that the bot or the exchange has written has the account's keys in it."""
    words = [word.encode() for word in (API_KEY, API_SECRET, "key-of-a-tape", "secret-of-a-tape")]
    for path in state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [word for word in words if word in content], path


def told(state: Path, event: str) -> list[dict[str, Any]]:
    """The lines of the log of an event."""
    lines = (state / "logs" / "bot.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == event]


def made(theirs: Mapping[str, Any], ending: str = "") -> list[dict[str, Any]]:
    """The orders that were sent to the exchange (not those that a conditional one became), by the end of their ids."""
    rows = [row for row in (*theirs["orders"], *theirs["conditional_orders"]) if not row["parent_id"]]
    return [row for row in rows if row["request"]["client_order_id"].endswith(ending)]


def naked_ms(theirs: Mapping[str, Any], tape: LiveTape) -> int:
    """The longest time, of the market, that something was held without stops that covered all of it."""
    return max((_naked_ms(theirs, symbol_id(name)) for name in tape.symbols), default=0)


def _naked_ms(theirs: Mapping[str, Any], symbol: str) -> int:
    trades = sorted(
        (row for row in theirs["trades"] if row["symbol"] == symbol),
        key=lambda row: (row["at_ms"], row["trade_id"]),
    )
    stops = [
        row
        for row in made(theirs)
        if row["request"]["symbol"] == symbol and row["request"]["kind"].startswith("STOP")
    ]
    times = sorted({row["at_ms"] for row in trades} | {when for stop in stops for when in _life(stop)})
    longest = current = 0
    for start, end in pairwise(times):
        held = _held(trades, start)
        current = 0 if abs(held) < _DUST or _covers(stops, held, start, end) else current + end - start
        longest = max(longest, current)
    return longest


def _life(stop: Mapping[str, Any]) -> tuple[int, int]:
    """From when to when a stop rested; one that is open rests on."""
    end = stop["updated_at_ms"] if stop["status"] in _ENDED else 2**62
    return stop["created_at_ms"], end


def _held(trades: Iterable[Mapping[str, Any]], at_ms: int) -> float:
    signed = (
        row["quantity"] * (1 if row["side"] == "BUY" else -1) for row in trades if row["at_ms"] <= at_ms
    )
    return float(sum(signed))


def _covers(stops: Sequence[Mapping[str, Any]], held: float, start: int, end: int) -> bool:
    side = "SELL" if held > 0 else "BUY"
    covered = 0.0
    for stop in stops:
        first, last = _life(stop)
        if stop["request"]["side"] == side and first <= start and last >= end:
            covered = max(covered, stop["request"]["quantity"])
    return covered >= abs(held) * (1 - _DUST)


class Elsewhere:
    """A simulated exchange of its own, which is started again whenever it ends, and a bot that trades live on it.

    Args:
        folder: Where both keep their state.
        tape: What is played.
        start_at: Where the market starts; what lies before is history.
        speed: Market seconds a second.
        faults: How the exchange misbehaves.
    """

    def __init__(
        self,
        folder: Path,
        tape: LiveTape,
        *,
        start_at: str,
        speed: float,
        faults: Sequence[Mapping[str, Any]],
    ) -> None:
        self.state = folder / "state"
        self.speed = speed
        self._tape = tape
        self._port = _free_port()
        (self.state / "sim").mkdir(parents=True)
        plan = folder / "faults.yaml"
        plan.write_text(json.dumps({"seed": 1, "faults": list(faults)}))  # JSON is YAML
        tapes = [word for word in tape.words if word.endswith(".parquet") and "forecasts" not in word]
        self._tapes = tapes
        words = [sys.executable, "-P", "-m", "tests.chaos.restarting_exchange", str(self.state)]
        words += [str(self._port), "--start-at", start_at, "--speed", str(speed), "--faults", str(plan)]
        words += [word for path in tapes for word in ("--tape", path)]
        with (folder / "exchange.txt").open("ab") as output:
            self.exchange = subprocess.Popen(words, stdout=output, stderr=output, env=self._variables())
        self.bot: subprocess.Popen[bytes] | None = None
        self._others: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.bot, *self._others, self.exchange):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def trade(self, seconds: float) -> None:
        """Let the bot trade until it has decided the tape's last minute, then end both in order."""
        self.bot = self._start_bot(self.state)
        deadline = time.monotonic() + seconds
        while not self._is_over():
            assert self.bot.poll() is None, f"the bot ended by itself:\n{said(self.state)}"
            assert self.exchange.poll() is None, "the exchange ended for good"
            assert time.monotonic() < deadline, f"not done after {seconds} s:\n{said(self.state)}"
            time.sleep(0.1)
        self.bot.terminate()
        assert self.bot.wait(timeout=30) == 0, said(self.state)
        self.exchange.terminate()
        self.exchange.wait(timeout=15)

    @property
    def lives(self) -> int:
        """How often the exchange was started."""
        return int((self.state / "lives.txt").read_text())

    def start_bot(self, state: Path) -> subprocess.Popen[bytes]:
        """A bot with a state folder of its own, which lives until it is told to end."""
        state.mkdir(parents=True, exist_ok=True)
        self._others.append(self._start_bot(state))
        return self._others[-1]

    def _start_bot(self, state: Path) -> subprocess.Popen[bytes]:
        endpoint = self.state / "sim" / "endpoint.json"
        deadline = time.monotonic() + 60
        while not endpoint.exists():
            assert self.exchange.poll() is None, "the exchange did not start"
            assert time.monotonic() < deadline, "the exchange did not start"
            time.sleep(0.05)
        spot = ":" not in self._tape.symbols[0]
        words = [sys.executable, "-P", "-m", "tests.chaos.connected_bot", "run", "--mode", "live"]
        words += ["--i-understand-live-trading", "--state-dir", str(state)]
        words += [
            "--exchange",
            "binance" if spot else "binanceusdm",
            "--strategy",
            "lstm_scalping:aggressive",
        ]
        words += [word for name in self._tape.symbols for word in ("--symbol", name)]
        words += list(self._tape.words[-2:])
        settings = {
            "exchange.connect_to": f"127.0.0.1:{self._port}",
            "exchange.ca_file": str(self.state / "sim" / "ca.pem"),
            "exchange.simulated": "true",
            "exchange.clock": "market",
            "execution.lookup_seconds": "6",
            "control.enabled": "false",
        }
        words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        with (state / "output.txt").open("ab") as output:
            return subprocess.Popen(words, stdout=output, stderr=output, env=self._variables())

    def _variables(self) -> dict[str, str]:
        return {
            **os.environ,
            "BOT__EXCHANGE__API_KEY": API_KEY,
            "BOT__EXCHANGE__API_SECRET": API_SECRET,
            "FORECAST_TAPES": os.pathsep.join(self._tapes),
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }

    def _is_over(self) -> bool:
        log = self.state / "logs" / "bot.jsonl"
        last_ms = FIRST_MS + (self._tape.minutes - 1) * MINUTE_MS
        return log.exists() and any(
            row["candle_at_ms"] == last_ms for row in told(self.state, "decision.made")
        )


def _free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
