"""``python -m bench.soak``: days of the market at high speed, and whether memory, descriptors, tasks and files stay flat.

What is soaked is set by the environment: ``SOAK_DAYS`` (30), ``SOAK_SYMBOLS`` (10), ``SOAK_RETRAINS`` (1), ``SOAK_HOURS`` of
the machine at most (12), ``SOAK_OUT`` (``var/soak``). The figures go to ``soak.json`` and ``soak.png`` in there.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.context import ROOT
from bench.model import ensure_model
from bench.processes import BenchError
from bench.soak_figures import MONTH_DAYS, TOLERANCES, Slope, slopes
from bench.soak_run import SoakPlan, SoakRun, soak

OUT = ROOT / "var" / "soak"
UNITS = {"rss_mb": "MB", "journal_mb": "MB", "wal_mb": "MB", "logs_mb": "MB"}


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Soak as the environment says; 0 where nothing grows, 1 where something does or the daemon failed."""
    out = Path(environ.get("SOAK_OUT") or OUT).absolute()
    plan = plan_of(environ, out)
    shutil.rmtree(plan.folder, ignore_errors=True)
    ensure_model(plan.models_dir)
    print(f"{plan.days:g} days of {plan.symbol_count} symbols: {plan.minutes * plan.symbol_count:,} candles")
    try:
        run = soak(plan, tell=print)
    except BenchError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    report = report_of(plan, run)
    write(report, run, out)
    for line in lines_of(report):
        print(line)
    return 1 if "growing" in report["verdict"] else 0


def plan_of(environ: Mapping[str, str], out: Path) -> SoakPlan:
    """What the environment asks for."""
    return SoakPlan(
        folder=out / "work",
        models_dir=out / "models",
        days=float(environ.get("SOAK_DAYS", "30")),
        symbol_count=int(environ.get("SOAK_SYMBOLS", "10")),
        retrains=environ.get("SOAK_RETRAINS", "1") == "1",
        recipe=environ.get("SOAK_RECIPE", "forest"),
        limit_seconds=float(environ.get("SOAK_HOURS", "12")) * 3600,
    )


def report_of(plan: SoakPlan, run: SoakRun) -> dict[str, Any]:
    """The figures of a run as JSON values."""
    found = slopes(run.days, run.columns)
    judged = {name: slope.verdict for name, slope in found.items() if slope.verdict}
    worst = next((word for word in ("growing", "unclear") if word in judged.values()), "flat")
    return {
        "days": plan.days,
        "symbols": plan.symbol_count,
        "retrains": plan.retrains,
        "minutes_decided": run.minutes,
        "whole": run.code == 0,
        "seconds": round(run.seconds, 1),
        "minutes_a_second": round(run.minutes / run.seconds, 1) if run.seconds else 0.0,
        "samples": len(run.days),
        "verdict": worst,
        "tolerances_a_month": dict(TOLERANCES),
        "slopes": {name: _rounded(slope) for name, slope in found.items()},
        "events": run.events,
    }


def write(report: Mapping[str, Any], run: SoakRun, out: Path) -> None:
    """Leave ``soak.json``, with every sample, and ``soak.png``."""
    out.mkdir(parents=True, exist_ok=True)
    document = {**report, "series": {"day": run.days, **run.columns}}
    (out / "soak.json").write_text(json.dumps(document) + "\n")
    plot(run, out / "soak.png")


def plot(run: SoakRun, path: Path) -> None:
    """One row for each figure, over the days of the market."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 * len(run.columns) + 0.6), layout="constrained")
    axes = figure.subplots(len(run.columns), 1, sharex=True, squeeze=False)
    for row, (name, values) in zip(axes[:, 0], run.columns.items(), strict=True):
        row.plot(run.days, values, linewidth=0.9)
        row.set_ylabel(name, rotation=0, ha="right", va="center")
        row.set_ylim(bottom=0)
        row.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("days of the market")
    figure.savefig(path, dpi=110)


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    took = f"{report['seconds'] / 60:.1f} minutes: {report['minutes_a_second']:g} a second"
    lines = [f"{report['minutes_decided']:,} minutes of {report['symbols']} symbols in {took}"]
    for name, slope in report["slopes"].items():
        unit = UNITS.get(name, "")
        interval = f"[{_number(slope['low'])}, {_number(slope['high'])}]"
        word = f" {slope['verdict']}" if slope["verdict"] else ""
        lines.append(
            f"{name:12} {slope['first']:9.2f} → {slope['last']:9.2f} {unit:2}  slope {_number(slope['per_day'])} a day "
            f"{interval}{word}"
        )
    lines.append("  ".join(f"{name} {count}" for name, count in report["events"].items() if count))
    lines.append(f"verdict: {report['verdict']} (of {MONTH_DAYS:g} days, at the upper end of the interval)")
    return lines


def _rounded(slope: Slope) -> dict[str, Any]:
    """Without figures that JSON has no words for."""
    return {
        name: round(value, 5) if isinstance(value, float) and math.isfinite(value) else _word(value)
        for name, value in slope._asdict().items()
    }


def _word(value: Any) -> Any:
    return None if isinstance(value, float) else value


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f}"


if __name__ == "__main__":
    sys.exit(main())
