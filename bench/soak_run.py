"""The daemon of a soak: on a tape, over real sockets, with lines that are cut and retrainings; looked at from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from bench.context import ROOT
from bench.market import DAY_MINUTES, random_tapes, symbols
from bench.processes import BenchError, end, environment, last_words
from bot.journal.reader import JournalReader

HISTORY_DAYS: Final = 12
"""Of each tape before the soak begins: what features and a retraining look back on."""

CUTS_A_DAY: Final = 8
LOST_SHARE: Final = 0.02
"""Of the requests for candles that are answered with 503."""

READY_SECONDS: Final = 180.0
_FIGURE: Final = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([^ ]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What is soaked.

    Attributes:
        folder: State, tapes and logs; made if missing.
        models_dir: With the model that predicts.
        days: Of the market, simulated.
        symbol_count: Traded at once.
        retrains: Whether a model is trained each day of the market beside trading.
        recipe: What is trained.
        limit_seconds: The run is ended after so long, and what was sampled counts.
        sample_seconds: Between two samples.
    """

    folder: Path
    models_dir: Path
    days: float
    symbol_count: int
    retrains: bool = True
    recipe: str = "forest"
    limit_seconds: float = 4 * 3600.0
    sample_seconds: float = 1.0

    @property
    def minutes(self) -> int:
        """Of the market."""
        return round(self.days * DAY_MINUTES)


@dataclass(slots=True)
class SoakRun:
    """What came of it.

    Attributes:
        days: Of each sample: when it was taken, days of the market since the start.
        columns: The samples, by name.
        seconds: How long it took.
        minutes: Decided.
        events: How often each event stands in the log that is left.
        code: How the daemon ended; None where it was ended for being too slow.
    """

    days: list[float] = field(default_factory=list)
    columns: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    minutes: int = 0
    events: dict[str, int] = field(default_factory=dict)
    code: int | None = None

    def add(self, day: float, row: dict[str, float]) -> None:
        """Take in a sample."""
        self.days.append(day)
        for name, value in row.items():
            self.columns.setdefault(name, []).append(value)


def soak(plan: SoakPlan, tell: Callable[[str], None] = lambda _line: None) -> SoakRun:
    """Run the daemon to the end of its tapes, and sample it.

    Raises:
        BenchError: It failed, or did not get ready.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        plan.models_dir, plan.folder / "models"
    )  # what is trained and judged stays out of the next run
    said = plan.folder / "daemon.txt"
    words = [sys.executable, "-P", "-m", "bot", *daemon_words(plan)]
    began = time.monotonic()
    with said.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment(), stdout=output, stderr=output, start_new_session=True
        )
    try:
        run = _watched(plan, process, said, tell)
    finally:
        end(process)
    run.seconds = time.monotonic() - began
    run.events = count_events(plan.folder / "state" / "logs")
    if run.code not in {0, None}:
        raise BenchError(f"the daemon ended with {run.code}: {last_words(said)}")
    run.minutes = max(run.minutes, _kept_minutes(plan.folder / "state" / "journal.sqlite"))
    return run


def _kept_minutes(journal: Path) -> int:
    """The minutes that a journal holds: the last ones come after the last sample, and old ones are let go."""
    reader = JournalReader(journal)
    try:
        return reader.counts()["batches"]
    finally:
        reader.close()


def daemon_words(plan: SoakPlan) -> list[str]:
    """The words of ``bot run``: paced, with faults, trading little so that its money lasts."""
    tapes = random_tapes(
        plan.folder / "tapes", symbols(plan.symbol_count), HISTORY_DAYS * DAY_MINUTES + plan.minutes
    )
    faults = plan.folder / "faults.yaml"
    faults.write_text(json.dumps(fault_plan(plan)))  # JSON is YAML
    state = plan.folder / "state"
    words = ["run", "--speed", "0", "--until-tape-end", "--start-at", f"+{HISTORY_DAYS}d", "--unproven"]
    words += [
        "--state-dir",
        str(state),
        "--strategy",
        "lstm_scalping:aggressive",
        "--sim-faults",
        str(faults),
    ]
    for tape in tapes:
        words += ["--tape", tape]
    for name, value in settings_of(plan).items():
        words += ["--set", f"{name}={value}"]
    return words


def settings_of(plan: SoakPlan) -> dict[str, object]:
    """What differs from the defaults, and why."""
    return {
        "model.root": plan.folder / "models",
        # A random walk teaches nothing: the watch would end the model within a day, and the account its money.
        "watch.enabled": "false",
        "risk.max_daily_loss_fraction": 0.99,
        "risk.max_drawdown_fraction": 0.99,
        "sizing.equity_fraction": 0.005,
        "risk.max_prediction_age_seconds": 3600,
        # The shortest that the journal may keep, so that a month shows it in balance.
        "retention.minutes_days": 9,
        "retention.candles_days": 23,
        "retention.forecasts_days": 9,
        "retention.equity_days": 9,
        "logs.level": "info",
        "logs.max_bytes": 5_000_000,
        "logs.backups": 3,
        "notify.summary_hour": 6,
        "retrain.enabled": str(plan.retrains).lower(),
        "retrain.schedule": "0 3 * * *",
        "retrain.recipe": plan.recipe,
        "retrain.train_days": 2,
        "retrain.max_weeks": 1,
        "retrain.shadow_hours": 6,
    }


def fault_plan(plan: SoakPlan) -> dict[str, Any]:
    """Every few hours a line is cut, now and then silently; some requests for candles are refused."""
    per_minute = CUTS_A_DAY / DAY_MINUTES
    messages = 4.0  # of each symbol and minute; about
    share = per_minute / messages / plan.symbol_count
    return {
        "seed": 7,
        "faults": [
            {
                "name": "cut",
                "match": {"stream": ".+@kline_1m", "probability": share, "count": "every"},
                "action": "cut",
            },
            {
                "name": "refused",
                "match": {"route": "GET /fapi/v1/klines", "probability": LOST_SHARE, "count": "every"},
                "action": {"kind": "answer", "status": 503, "code": -1001},
            },
        ],
    }


def _watched(
    plan: SoakPlan, process: subprocess.Popen[bytes], said: Path, tell: Callable[[str], None]
) -> SoakRun:
    """Sample a daemon until it ends."""
    run, state = SoakRun(), plan.folder / "state"
    seen = psutil.Process(process.pid)
    began = time.monotonic()
    told = began
    while (code := process.poll()) is None:
        passed = time.monotonic() - began
        if passed > plan.limit_seconds:
            return run
        figures = metrics(state)
        minutes = int(figures.get("bot_minutes_decided_total", 0))
        if minutes:
            run.minutes = minutes
            row = sample(seen, figures, state)
            if row is not None:
                run.add(minutes / DAY_MINUTES, row)
        elif not run.minutes and passed > READY_SECONDS:
            raise BenchError(f"no minute was decided within {READY_SECONDS:.0f} s: {last_words(said)}")
        if time.monotonic() - told > 60:
            told = time.monotonic()
            tell(f"{minutes / DAY_MINUTES:.2f} of {plan.days:g} days, {passed / 60:.0f} minutes")
        time.sleep(plan.sample_seconds)
    run.code = code
    return run


def sample(process: psutil.Process, figures: dict[str, float], state: Path) -> dict[str, float] | None:
    """What the daemon alone holds, without the programs that it started; None where it has just ended."""
    try:
        with process.oneshot():
            memory = process.memory_info().rss
            threads = process.num_threads()
        descriptors = process.num_fds()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return {
        "rss_mb": memory / 1e6,
        "descriptors": float(descriptors),
        "threads": float(threads),
        "tasks": figures.get("bot_event_loop_tasks", 0.0),
        "journal_mb": _size(state / "journal.sqlite"),
        "wal_mb": _size(state / "journal.sqlite-wal"),
        "logs_mb": sum(_size(path) for path in (state / "logs").glob("bot.jsonl*")),
    }


def metrics(state: Path) -> dict[str, float]:
    """The daemon's own figures that have no labels, by name; empty while it does not serve them."""
    try:
        address = json.loads((state / "control.json").read_text())
        url = f"http://{address['host']}:{address['port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as reply:
            text = reply.read().decode()
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return {}
    return {name: float(value) for name, value in _FIGURE.findall(text)}


def count_events(logs: Path) -> dict[str, int]:
    """How often each event of interest stands in the log files that rotation has left."""
    wanted = (
        "feed.reconnected", "feed.stalled", "feed.request_failed", "retrain.finished", "retrain.failed",
        "retrain.missed", "journal.pruned", "trade.closed", "candle.missing",
    )  # fmt: skip
    found = dict.fromkeys(wanted, 0)
    for path in logs.glob("bot.jsonl*"):
        content = path.read_bytes()
        for name in wanted:
            found[name] += content.count(f'"event":"{name}"'.encode())
    return found


def _size(path: Path) -> float:
    try:
        return path.stat().st_size / 1e6
    except FileNotFoundError:
        return 0.0
