"""Inputs beyond what the model saw in training: counted for `bot status`, told where they cost forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bot.core.market import MINUTE_MS, Symbol
from bot.daemon.telling import Log

if TYPE_CHECKING:
    from bot.inference import InputCount

REMIND_MINUTES = 60
"""A symbol that goes on abstaining is told again after so long."""

CALM_MINUTES = 10
"""So many forecasts in a row end a stretch of abstentions: a market on the edge would change sides every minute."""

SNAPSHOT_KEY = "inputs"
"""Where the counts stand in the snapshot of a batch, which a commit writes anyway."""


@runtime_checkable
class CountsInputs(Protocol):
    """A predictor that knows how its inputs lie to what was seen in training; stored forecasts do not."""

    @property
    def model_id(self) -> str:
        """Which model."""

    @property
    def inputs(self) -> Mapping[Symbol, InputCount]:
        """What was counted of each symbol."""

    @property
    def row_values(self) -> int:
        """Values of one minute's row."""

    @property
    def window_values(self) -> int:
        """Values of a window."""

    def farthest_column(self, symbol: Symbol) -> str | None:
        """The column with the most values of a symbol's window beyond what was seen in training."""


@dataclass(slots=True)
class _Stretch:
    """Abstentions of one symbol that belong together."""

    told_ms: int
    minutes: int = 0
    calm: int = 0


class InputWatch:
    """Watches what one predictor counts.

    Args:
        predictor: One that counts nothing leaves nothing to watch.
    """

    def __init__(self, predictor: object) -> None:
        self._source = predictor if isinstance(predictor, CountsInputs) else None
        self._since_ms: int | None = None
        self._looked_at: dict[Symbol, int] = {}
        self._stretches: dict[Symbol, _Stretch] = {}

    def snapshot(self, closed_at_ms: int) -> dict[str, Any]:
        """What ``bot status`` shows of each symbol, as JSON values.

        ``since_ms`` is the close of the first minute counted, ``windows`` and ``abstained_count`` count minutes since
        then, ``outside_share`` is the share of the values that came with them which lie beyond what was seen in
        training, ``window_outside_share`` that of the newest window's.
        """
        source = self._source
        if source is None:
            return {}
        if self._since_ms is None:
            self._since_ms = closed_at_ms
        return {
            symbol: {
                "since_ms": self._since_ms,
                "windows": count.windows,
                "abstained_count": count.abstained,
                "abstains": count.abstains,
                "outside_share": round(count.outside / (count.windows * source.row_values), 6),
                "window_outside_share": round(count.window_outside / source.window_values, 6),
            }
            for symbol, count in source.inputs.items()
        }

    def tell(self, log: Log, symbols: Sequence[Symbol], closed_at_ms: int) -> None:
        """Write the lines of one minute, if there are any.

        Args:
            log: Bound with run_id and mode.
            symbols: Who was in the batch.
            closed_at_ms: Close time of its candles.
        """
        if self._source is None:
            return
        for symbol in symbols:
            count = self._source.inputs.get(symbol)
            if count is None or count.windows == self._looked_at.get(symbol, 0):
                continue  # no whole window, so no forecast was due
            self._looked_at[symbol] = count.windows
            if count.abstains:
                self._abstained(log, self._source, symbol, closed_at_ms)
            elif symbol in self._stretches:
                self._forecast(log, self._source, symbol, closed_at_ms)

    def _abstained(self, log: Log, source: CountsInputs, symbol: Symbol, closed_at_ms: int) -> None:
        """Count a minute without a forecast; told when a stretch begins, then once an hour."""
        stretch = self._stretches.get(symbol)
        if stretch is None:
            stretch = self._stretches[symbol] = _Stretch(closed_at_ms - REMIND_MINUTES * MINUTE_MS)
        stretch.minutes += 1
        stretch.calm = 0
        if closed_at_ms - stretch.told_ms < REMIND_MINUTES * MINUTE_MS:
            return
        stretch.told_ms = closed_at_ms
        log.warning(
            "prediction.abstained",
            symbol=symbol,
            candle_at_ms=closed_at_ms - MINUTE_MS,
            model_id=source.model_id,
            outside_share=round(source.inputs[symbol].window_outside / source.window_values, 4),
            column=source.farthest_column(symbol),
            minutes=stretch.minutes,
        )

    def _forecast(self, log: Log, source: CountsInputs, symbol: Symbol, closed_at_ms: int) -> None:
        """Count a forecast after abstentions; the stretch ends with the last of ``CALM_MINUTES`` in a row."""
        stretch = self._stretches[symbol]
        stretch.calm += 1
        if stretch.calm < CALM_MINUTES:
            return
        del self._stretches[symbol]
        log.info(
            "prediction.resumed",
            symbol=symbol,
            candle_at_ms=closed_at_ms - MINUTE_MS,
            model_id=source.model_id,
            minutes=stretch.minutes,
        )
