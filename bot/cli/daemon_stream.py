"""The daemon's own decision stream on a tape: real process parts, real sockets, one candle at a time.

``bot verify-parity`` compares it with what the backtest engines decide on the same tape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from backtests.recorded import absent_of, predictions_of
from backtests.replay_driver import RecordedBatch
from backtests.stream import report_line, stored_decision_line
from bot.candles.parquet import replace_candles
from bot.cli.backtest_input import Prepared
from bot.core.engine_config import EngineConfig
from bot.core.market import Symbol
from bot.core.records import report_from_json
from bot.daemon.app import RunOutcome, run_bot
from bot.daemon.stored_predictions import StoredPredictor
from bot.daemon.tape import SimPlan
from bot.inference import OnnxPredictor
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.ports import Predictor
from bot.settings import Settings


async def run_on_tapes(
    settings: Settings,
    config: EngineConfig,
    tapes: Mapping[Symbol, Path],
    predictor: Predictor,
    *,
    funding: tuple[str, ...] = (),
) -> RunOutcome:
    """Run the whole daemon over tapes, as fast as it keeps up, into an empty state folder.

    Args:
        settings: Whose costs, risk, sizing, strategy and money must be those of ``config``.
        config: The run id and the rules that the other engines use.
        tapes: Parquet file of each symbol.
        predictor: Predicts candle by candle.
        funding: Parquet files of funding rates.
    """
    journal = SqliteJournal(settings.journal_path)
    journal.meta("run_id", config.run_id)
    journal.close()
    plan = SimPlan(
        tapes=tuple(f"{symbol}={path}" for symbol, path in tapes.items()),
        speed=0,
        until_end=True,
        funding=funding,
    )
    return await run_bot(settings, sim=plan, predictor=predictor, instruments=config.instruments)


@contextmanager
def daemon_run(prepared: Prepared, funding: tuple[str, ...] = ()) -> Iterator[Path]:
    """Run the daemon over the candles of a backtest, in a folder of its own; gives its journal while the block runs.

    With a model the daemon infers by itself, candle by candle; other forecasts are read to it.
    """
    data = prepared.data
    with TemporaryDirectory(prefix="parity-daemon-") as folder:
        tapes = {symbol: Path(folder) / f"{number}.parquet" for number, symbol in enumerate(data.symbols)}
        for symbol, path in tapes.items():
            replace_candles(path, data.candles[symbol])
        logs = prepared.settings.logs.model_copy(update={"level": "error", "format": "json", "file": None})
        settings = _unwatched(prepared.settings).model_copy(
            update={"state_dir": Path(folder) / "state", "logs": logs}
        )
        predictor = (
            StoredPredictor(data.predictions)
            if prepared.model_folder is None
            else OnnxPredictor.load(prepared.model_folder)
        )
        asyncio.run(run_on_tapes(settings, data.config, tapes, predictor, funding=funding))
        yield settings.journal_path


def _unwatched(settings: Settings) -> Settings:
    """The same settings for a run that nobody looks at while it lasts."""
    off = {"enabled": False}
    return settings.model_copy(
        update={
            "control": settings.control.model_copy(update=off),
            "metrics": settings.metrics.model_copy(update=off),
            "notify": settings.notify.model_copy(update={"urls": None, "summary_hour": None}),
        }
    )


def decision_stream(journal_path: Path) -> Callable[[], Iterator[bytes]]:
    """The lines of a journal, as ``backtests.stream`` writes those of a backtest."""

    def lines() -> Iterator[bytes]:
        for batch in JournalReader(journal_path).batches():
            for row in batch.reports:
                line = report_line(report_from_json(row))
                if line is not None:
                    yield line
            for row in batch.decisions:
                yield stored_decision_line(row)

    return lines


def recorded_batches(journal_path: Path) -> Iterator[RecordedBatch]:
    """What went into the daemon's engine, for the replay."""
    for batch in JournalReader(journal_path).batches():
        yield RecordedBatch(
            tuple(batch.candles),
            tuple(report_from_json(row) for row in batch.reports),
            tuple(predictions_of(batch)),
            batch.now_ms,
            absent_of(batch),
            batch.facts,
        )
