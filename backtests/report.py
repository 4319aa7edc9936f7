"""The report of a backtest: a folder with figures, trades, equity, decisions, a page and a picture.

The files are ``summary.json``, ``trades.csv``, ``equity.parquet``, ``decisions.jsonl``, ``report.html`` and ``report.png``;
``tearsheet.html`` where it is wished for. Everything is made in a folder beside the target and moved into place at the end,
so that a reader finds the old report or the new one.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backtests.inputs import BacktestInput
from backtests.metrics import buy_and_hold, figures_of
from backtests.report_analysis import analysed
from backtests.report_costs import Level, levels_of
from backtests.report_html import Section
from backtests.report_page import report_page
from backtests.report_picture import picture_is_possible, report_picture
from backtests.report_reproduce import reproduction
from backtests.report_tearsheet import FILE_NAME as TEARSHEET
from backtests.report_tearsheet import why_no_tearsheet, write_tearsheet
from backtests.results import BacktestResult, MinuteOutcome
from backtests.stream import StreamWriter, decision_line, report_line, stored_decision_line
from bot.core.orders import ExecutionReport
from bot.core.position import Trade
from bot.errors import StorageError

NO_PICTURE = "report.png: matplotlib is not installed (it comes with the train extra)"
"""Said where there is no picture."""

TRADE_COLUMNS = Trade._fields
"""Columns of ``trades.csv``."""


class ReportFolder:
    """A report that is being written; a context manager that leaves nothing behind when it fails.

    It is the sink of the run (``decisions.jsonl`` and the parity hash grow with it); ``finish`` writes the rest and
    puts all in place.

    Raises:
        StorageError: The disk refused; a report that was there is as it was.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._folder = target.with_name(f".{target.name}.{os.getpid()}.partial")
        self._stream = StreamWriter()
        self.levels: dict[str, Level] = {}

    def __enter__(self) -> Self:
        with _disk(self.target):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir()
            self._decisions = (self._folder / "decisions.jsonl").open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was not written yet is thrown away with the folder: a full disk must not hide the first error.
        with suppress(OSError):
            self._decisions.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __call__(self, outcomes: Sequence[MinuteOutcome]) -> None:
        """Take the outcomes of some minutes."""
        stream: list[bytes] = []
        file: list[bytes] = []
        for reports, decisions in outcomes:
            if reports:
                stream += self._told(reports)
            lines = [decision_line(decision) for decision in decisions]
            stream += lines
            file += lines
        self._keep(stream, file)

    def take_stored(self, reports: Sequence[ExecutionReport], rows: Sequence[Mapping[str, Any]]) -> None:
        """Take a minute of a recorded run: its reports, and its decisions as they were stored."""
        lines = [stored_decision_line(dict(row)) for row in rows]
        self._keep([*self._told(reports), *lines], lines)

    def _told(self, reports: Sequence[ExecutionReport]) -> list[bytes]:
        """The lines of some reports; protective orders among them are remembered."""
        self.levels.update(levels_of(reports))
        return [line for line in map(report_line, reports) if line is not None]

    def _keep(self, stream: Sequence[bytes], file: Sequence[bytes]) -> None:
        """Hash some lines and write some of them, joined: a year is half a million."""
        self._stream.add(stream)
        with _disk(self.target):
            self._decisions.write(b"".join([line + b"\n" for line in file]))

    def finish(
        self,
        result: BacktestResult,
        data: BacktestInput,
        summary: Mapping[str, Any],
        *,
        simulated: bool,
        argv: Sequence[str] = (),
        made_at_ms: int | None = None,
        extra_sections: Sequence[Section] = (),
        heading: str | None = None,
        tearsheet: bool = False,
    ) -> dict[str, Any]:
        """Write the other files and put the report in place; returns the summary as it was written.

        Args:
            result: The run.
            data: What it was fed with.
            summary: As ``summarize`` makes it.
            simulated: Whether the market was a simulated one.
            argv: The words after ``bot`` that make this report again; none where nobody typed a command.
            made_at_ms: When, for the record.
            extra_sections: For the page.
            heading: Of the page; None is that of a backtest.
            tearsheet: Whether quantstats writes its page too; left out, and said so, where it could say nothing.

        Raises:
            StorageError: The disk refused; a report that was there is as it was.
            ConfigError: A tear sheet is wanted, and quantstats is not installed.
        """
        made_at = None if made_at_ms is None else _iso(made_at_ms)
        whole = {
            **analysed(result, data, summary, self.levels),
            "reproduce": reproduction(data, argv=argv, made_at=made_at),
            "stream_sha256": self._stream.digest().sha256,
        }
        picture = picture_is_possible()
        flat = why_no_tearsheet(result, data) if tearsheet else None
        left_out = [*([] if picture else [NO_PICTURE]), *([f"{TEARSHEET}: {flat}"] if flat else [])]
        if left_out:
            whole["left_out"] = left_out
        with _disk(self.target):
            self._decisions.close()
            _write_trades(self._folder / "trades.csv", result.trades)
            _write_equity(self._folder / "equity.parquet", result, data)
            page = report_page(
                result,
                data,
                whole,
                simulated=simulated,
                extra_sections=extra_sections,
                heading=heading,
                levels=self.levels,
            )
            (self._folder / "report.html").write_text(page, encoding="utf-8")
            if picture:
                drawn = report_picture(result, data, whole, simulated=simulated, heading=heading)
                (self._folder / "report.png").write_bytes(drawn)
            if tearsheet and flat is None:
                title = f"{'SIMULATED MARKET: ' if simulated else ''}{whole['strategy']}"
                write_tearsheet(self._folder / TEARSHEET, result, data, title=title)
            (self._folder / "summary.json").write_bytes(
                orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n"
            )
            self._put_in_place()
        return whole

    def _put_in_place(self) -> None:
        if not self.target.exists():
            self._folder.replace(self.target)
            return
        for path in sorted(self._folder.iterdir()):
            path.replace(self.target / path.name)


def summarize(
    result: BacktestResult,
    data: BacktestInput,
    *,
    strategy: str,
    parameters: Mapping[str, Any],
    warnings: Sequence[str] = (),
    simulated: bool = False,
) -> dict[str, Any]:
    """Sum a run up as JSON values.

    Args:
        result: The run.
        data: What it was fed with.
        strategy: Name, for the record.
        parameters: Of the strategy, where they differ from its set.
        warnings: Of whoever read the data; ours are added.
        simulated: Whether the market was a simulated one.
    """
    figures = figures_of(result, data)
    curve, config = result.equity, data.config
    models = sorted({columns.model_id for columns in data.predictions.values()})
    return {
        "simulated_market": simulated,
        "engine": result.engine,
        "symbols": list(data.symbols),
        "from": _iso(int(curve.ts[0]) - 60_000),
        "to": _iso(int(curve.ts[-1])),
        "candles": result.candle_count,
        "models": models,
        "strategy": strategy,
        "parameters": dict(parameters),
        **figures.values,
        "null_because": figures.reasons,
        "warnings": [*warnings, *figures.warnings],
        "state_changes": [
            {"at": _iso(change.at_ms), "state": change.after.value, "reason": change.reason}
            for change in result.state_changes
        ],
        "held_back": {
            reason: count for reason, count in sorted(result.hold_reasons.items(), key=str) if reason
        },
        "costs": asdict(config.costs),
        "limits": asdict(config.limits),
        "sizing": asdict(config.sizing),
        "entry": asdict(config.entry),
        "engine_seconds": result.engine_seconds,
        "bars_per_second": result.bars_per_second,
        "backtrader": result.second_opinion or None,
    }


def _write_trades(path: Path, trades: Sequence[Trade]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(TRADE_COLUMNS)
        writer.writerows(trades)


def _write_equity(path: Path, result: BacktestResult, data: BacktestInput) -> None:
    curve = result.equity
    columns = {
        "ts": curve.ts,
        "equity": curve.equity,
        "cash": curve.cash,
        "exposure": curve.exposure,
        "buy_and_hold": buy_and_hold(data, curve),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        code = getattr(error, "errno", None)
        reason = os.strerror(code) if code else str(error)
        raise StorageError(
            f"{target}: the disk refused the report ({reason}); what was stored is as it was"
        ) from error


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
