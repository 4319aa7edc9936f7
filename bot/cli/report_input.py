"""From a state folder and the flags of ``bot report`` to a recording, its rules, and what an overlay is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import ConfigError, DataError, UsageError

if TYPE_CHECKING:
    from backtests.recorded import Recording, Rules
    from bot.core.market import Candle, Symbol
    from bot.core.matching import FundingRates
    from bot.journal.reader import JournalReader

JOURNAL = "journal.sqlite"
_LOOKED_AT = 200
"""Minutes of an older journal that are read to learn which symbols it traded."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is read.

    Attributes:
        since: Start, as written; None is the beginning.
        until: End, not included, as written; None is now.
        configs: Settings of a journal that kept none.
        changes: Single ones of them.
        rules: Its trading rules.
    """

    since: str | None = None
    until: str | None = None
    configs: Sequence[Path] = ()
    changes: Sequence[str] = ()
    rules: Path | None = None


def open_recording(state_dir: Path, stretch: Stretch) -> Recording:
    """The recording of a state folder; the daemon may be running.

    Raises:
        NotRunningError: There is no journal.
        DataError: Nothing was decided in that time.
        UsageError: A date that can't be read, or an end before the start.
        ConfigError: The settings of an older journal are wrong.
    """
    from backtests.recorded import RULES_NOTE, Recording
    from bot.candles.columns import iso_utc
    from bot.core.market import MINUTE_MS
    from bot.journal.reader import JournalReader

    reader = JournalReader(state_dir / JOURNAL)
    times = reader.batch_times()
    if times is None:
        raise DataError(f"nothing was decided yet: the journal {reader.path} holds no minute")
    first_ms, end_ms = times[0] - MINUTE_MS, times[1]
    since_ms = moment("--from", stretch.since, first_ms)
    until_ms = moment("--to", stretch.until, end_ms)
    if stretch.until is not None and until_ms <= since_ms:
        raise UsageError(f"--to {stretch.until} is not after --from {stretch.since}")
    if until_ms <= first_ms or since_ms >= end_ms:
        raise DataError(
            f"the journal {reader.path} holds no decided minute of that time; it has {iso_utc(first_ms)} to "
            f"{iso_utc(end_ms)}"
        )
    kept = reader.newest_note([RULES_NOTE])
    fallback = None if kept is not None else _older_rules(reader, stretch)
    recording = Recording(reader, max(since_ms, first_ms), until_ms, fallback)
    if next(recording.minutes(), None) is None:
        raise DataError(f"the journal {reader.path} holds no decided minute of that time")
    return recording


def moment(option: str, text: str | None, default: int) -> int:
    """A day or a time as ms UTC; ``today`` and ``yesterday`` are days of this machine's clock.

    Raises:
        UsageError: It can't be read.
    """
    from bot.cli.train import moment_ms
    from bot.clock import utc_now

    days = {"today": 0, "yesterday": 1}
    if text in days:
        text = f"{utc_now() - timedelta(days=days[text]):%Y-%m-%d}"
    return moment_ms(option, text, default)


def rules_maker(run_id: str) -> Callable[[Mapping[str, Any]], Rules]:
    """What makes rules of a row that a start has journaled.

    The function raises ConfigError where this version does not know what was journaled.
    """
    from pydantic import ValidationError

    from backtests.recorded import Rules
    from bot.core.market import Instrument, InstrumentKind
    from bot.daemon.parts import engine_rules
    from bot.settings import Settings

    def rules_of(row: Mapping[str, Any]) -> Rules:
        told = row["settings"]
        try:
            # Keys and consent are of no concern to a replay: it is always on paper.
            settings = Settings(**{**told, "mode": "paper"})
            instruments = {
                symbol: Instrument(**{**rule, "kind": InstrumentKind(rule["kind"])})
                for symbol, rule in row["instruments"].items()
            }
        except (ValidationError, TypeError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise ConfigError(
                f"the journal was written under rules that this version does not know ({first}): use the version that "
                "wrote it"
            ) from error
        return Rules(*engine_rules(settings, run_id, instruments, row["starting_cash"]))

    return rules_of


def _older_rules(reader: JournalReader, stretch: Stretch) -> dict[str, Any]:
    """Rules for a journal that kept none: of settings that are given now."""
    from itertools import islice

    from backtests.recorded_result import arrays_of
    from backtests.side_files import instruments_of
    from bot.cli.config import assignments
    from bot.daemon.parts import RULE_SECTIONS
    from bot.settings import load_settings

    settings = load_settings(stretch.configs, {**assignments(list(stretch.changes)), "mode": "paper"})
    found: dict[str, list[Candle]] = {}
    for batch in islice(reader.batches(), _LOOKED_AT):
        for candle in batch.candles:
            found.setdefault(candle.symbol, []).append(candle)
    instruments = instruments_of({symbol: arrays_of(rows) for symbol, rows in found.items()}, stretch.rules)
    snapshot = reader.snapshot() or {}
    ready = reader.newest_note(["service.ready"]) or {}
    told = settings.model_dump(mode="json", include=set(RULE_SECTIONS))
    told |= {
        "mode": ready.get("mode", "paper"),
        "exchange": {"id": settings.exchange.id, "symbols": list(found)},
    }
    return {
        "batch_ms": -1,
        "model_id": ready.get("model_id", ""),
        "settings": told,
        "instruments": {symbol: asdict(rule) for symbol, rule in instruments.items()},
        "starting_cash": snapshot.get("account", {}).get("starting_cash", settings.account.starting_cash),
    }


def final_candles(recording: Recording, tapes: Sequence[str]) -> dict[tuple[Symbol, int], Candle]:
    """Candles of files that the run did not see, or saw otherwise, by symbol and open time.

    Raises:
        DataError: A file is refused, or holds nothing of the time or of the symbols.
    """
    from backtests.inputs import candle_values
    from bot.candles.columns import iso_utc
    from bot.cli.train import read_series

    if not tapes:
        return {}
    bounds = (iso_utc(recording.since_ms), iso_utc(recording.until_ms))
    traded = recording.instruments()
    found = {}
    for symbol, arrays in read_series(list(tapes), *bounds).items():
        if symbol not in traded:
            raise DataError(f"{symbol} was not traded: the journal has {', '.join(traded)}")
        seen = {
            one.opened_at_ms: one
            for one in recording.reader.candles(symbol, recording.since_ms, recording.until_ms)
        }
        for candle in candle_values(symbol, arrays):
            if seen.get(candle.opened_at_ms) != candle:
                found[symbol, candle.opened_at_ms] = candle
    return found


def funding_rates(recording: Recording, rules: Rules, files: Sequence[str]) -> FundingRates | None:
    """Rates out of files; None where none are given.

    Raises:
        DataError: A file is refused.
    """
    from backtests.recorded_result import arrays_of
    from backtests.side_files import read_funding

    if not files:
        return None
    candles = {
        symbol: arrays_of(rows)
        for symbol in recording.instruments()
        if (rows := recording.reader.candles(symbol, recording.since_ms, recording.until_ms))
    }
    rates, _ = read_funding(files, candles, rules.config.costs.funding_rate)
    return rates
