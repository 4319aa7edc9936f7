"""Does everything get on? What the daemon says, what the disk holds, and what follows from both in sentences."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from bot.dashboard.log_lines import rotated
from bot.dashboard.overview import Facts, Moment, symbols

LEAST_FREE_BYTES: Final = 1_000_000_000
STALE_LOG_SECONDS: Final = 3600.0


class Disk(NamedTuple):
    """What the state folder takes and what is left, bytes; None where the disk does not say."""

    free_bytes: int | None
    journal_bytes: int
    log_bytes: int


def look_at_disk(state_dir: Path, journal: Path, log_file: Path) -> Disk:
    """Sizes now."""
    try:
        free: int | None = shutil.disk_usage(state_dir).free
    except OSError:
        free = None
    parts = [journal, journal.with_name(f"{journal.name}-wal"), journal.with_name(f"{journal.name}-shm")]
    return Disk(free, _sizes(parts), _sizes(rotated(log_file)))


def health_page(
    facts: Facts | None,
    fault: str | None,
    schema: int | None,
    at: Moment,
    daemon: Mapping[str, Any],
    disk: Disk,
    figures: Mapping[str, float | None],
) -> dict[str, Any]:
    """The whole answer of ``/api/health``, JSON values.

    Args:
        facts: Of the journal; None where it can't be read.
        fault: Why it can't.
        schema: The version of its tables.
        at: Now.
        daemon: What the daemon says: ``running``, ``process_id``, and what ``/v1/health`` answers.
        disk: Sizes.
        figures: What the daemon measured.
    """
    told = {
        "running": at.running,
        "process_id": daemon.get("process_id"),
        "healthy": daemon.get("healthy"),
        "ready": daemon.get("ready"),
        "stalled": daemon.get("stalled"),
        "since_decided_seconds": daemon.get("since_decided_seconds"),
    }
    return {
        "daemon": told,
        "disk_free_bytes": disk.free_bytes,
        "journal_bytes": disk.journal_bytes,
        "log_bytes": disk.log_bytes,
        "schema": schema,
        "checks": [*_daemon_checks(told), *_journal_checks(facts, fault, at), _disk_check(disk)],
        "figures": dict(figures),
    }


def _check(name: str, sentence: str, *, ok: bool) -> dict[str, Any]:
    return {"name": name, "ok": ok, "sentence": sentence}


def _daemon_checks(daemon: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if not daemon["running"]:
        yield _check("daemon", "No bot is running on this state folder; what is shown is the past.", ok=False)
        return
    yield _check("daemon", f"The bot runs (process {daemon['process_id']}).", ok=True)
    if daemon["healthy"] is None:
        yield _check(
            "answers", "It does not answer on its control API: it starts, stops, or has none.", ok=False
        )
        return
    seconds = daemon["since_decided_seconds"]
    if daemon["stalled"]:
        yield _check("progress", f"No minute was decided for {seconds:.0f} seconds.", ok=False)
    elif not daemon["ready"]:
        yield _check("progress", "It is getting ready: history is read, the model is loaded.", ok=False)
    else:
        yield _check("progress", f"The last minute was decided {seconds:.0f} seconds ago.", ok=True)


def _journal_checks(facts: Facts | None, fault: str | None, at: Moment) -> Iterable[dict[str, Any]]:
    if facts is None:
        yield _check("journal", fault or "The journal can't be read.", ok=False)
        return
    yield _check("journal", "The journal can be read.", ok=True)
    late = [row["symbol"] for row in symbols(facts, at) if row["state"] != "fresh"]
    if late:
        yield _check("candles", f"No fresh candle of {', '.join(late)}.", ok=False)
    elif facts.minute is not None:
        yield _check("candles", "Every symbol has a fresh candle.", ok=True)
    risk = facts.snapshot.get("risk", {})
    state = risk.get("state")
    if state is not None:
        trading = state == "trading"
        yield _check("risk", f"The account is in state {state} ({risk.get('reason')}).", ok=trading)
    if facts.serving.get("proven") is False:
        yield _check("model", "The gate has not promoted the model that trades: it is UNPROVEN.", ok=False)


def _disk_check(disk: Disk) -> dict[str, Any]:
    if disk.free_bytes is None:
        return _check("disk", "The disk does not say how much is free.", ok=False)
    enough = disk.free_bytes >= LEAST_FREE_BYTES
    words = f"{disk.free_bytes / 1e9:.1f} GB are free on the disk of the state folder."
    return _check("disk", words if enough else f"Only {words} The bot stops when it is full.", ok=enough)


def figures_of(text: str | None) -> dict[str, float | None]:
    """The figures of ``/metrics`` that a person looks at first.

    Args:
        text: In the text format of Prometheus; None where there is none.

    Returns:
        Counts, milliseconds and bytes as their names say; None where the daemon does not tell.
    """
    wanted = {
        "reconnects": "bot_feed_reconnects_total",
        "disconnects": "bot_feed_disconnects_total",
        "minutes_decided": "bot_minutes_decided_total",
        "memory_bytes": "process_resident_memory_bytes",
        "open_files": "process_open_fds",
        "tasks": "bot_event_loop_tasks",
    }
    found: dict[str, float | None] = dict.fromkeys(
        (*wanted, "gaps", "warnings", "errors", "notifications_dropped"), None
    )
    percentiles = {f"close_to_decision_p{share}_ms": share / 100 for share in (50, 99)}
    found |= dict.fromkeys((*percentiles, "event_loop_lag_p99_ms"))
    if text is None:
        return found
    samples = _samples(text)
    for name, figure in wanted.items():
        found[name] = _sum(samples, figure)
    found["gaps"] = _sum(samples, "bot_candle_gaps_total", stage="found")
    for level in ("warning", "error"):
        found[f"{level}s"] = _sum(samples, "bot_log_lines_total", level=level)
    found["notifications_dropped"] = _sum(samples, "bot_notifications_total", outcome="dropped")
    for name, share in percentiles.items():
        found[name] = _milliseconds(_quantile(samples, "bot_close_to_decision_seconds", share))
    found["event_loop_lag_p99_ms"] = _milliseconds(_quantile(samples, "bot_event_loop_lag_seconds", 0.99))
    return found


_Samples = list[tuple[str, Mapping[str, str], float]]


def _samples(text: str) -> _Samples:
    """Every sample: name, labels, value; a text that is none has none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        return [
            (sample.name, sample.labels, float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
    except ValueError:
        return []


def _sum(samples: _Samples, name: str, **labels: str) -> float | None:
    found = [
        value
        for own, given, value in samples
        if own == name and all(given.get(label) == wanted for label, wanted in labels.items())
    ]
    return sum(found) if found else None


def _quantile(samples: _Samples, name: str, share: float) -> float | None:
    """A quantile of a histogram, taken to lie evenly within its bucket, as Prometheus' ``histogram_quantile`` does."""
    buckets = sorted(
        (float(labels["le"]), value) for own, labels, value in samples if own == f"{name}_bucket"
    )
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for high, count in buckets:
        if count >= rank:
            if high == float("inf"):
                return low
            return low + (high - low) * (rank - below) / (count - below) if count > below else high
        low, below = high, count
    return low


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _sizes(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += os.stat(file).st_size  # noqa: PTH116 - one call, and files may go meanwhile
        except OSError:
            continue  # it has been rotated or folded away
    return total
