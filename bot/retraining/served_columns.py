"""Who served, as what a backtest is fed with: one column of predictions a symbol, and what the engine is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from backtests.inputs import PredictionColumns
from bot.core.market import Symbol
from bot.retraining.served_succession import Piece
from bot.retraining.served_words import Words

NAME = "walk-forward"
"""In place of a model's id where several have served."""

_OPTIONAL = ("probability_up", "raw", "uncertainty", "volatility")


def served_columns(pieces: Sequence[Piece], symbols: Sequence[Symbol]) -> dict[Symbol, PredictionColumns]:
    """The predictions of whoever served in each minute; none where nobody did, so no symbol is missing."""
    horizon = pieces[0].words.horizon_minutes if pieces else 1
    return {symbol: _columns(symbol, pieces, horizon) for symbol in symbols}


def _columns(symbol: Symbol, pieces: Sequence[Piece], horizon: int) -> PredictionColumns:
    parts = [(piece.words.model_id, *_within(piece, symbol)) for piece in pieces]
    names = [np.full(int(np.count_nonzero(kept)), who, np.object_) for who, _, kept in parts]
    return PredictionColumns(
        ts=_joined([words.ts[kept] for _, words, kept in parts], np.dtype(np.int64)),
        expected_return=_column("expected_return", parts),
        model_id=NAME,
        horizon_minutes=horizon,
        models=_joined(names, np.dtype(np.object_)),
        **{name: _column(name, parts) for name in _OPTIONAL},
    )


def _within(piece: Piece, symbol: Symbol) -> tuple[Words, npt.NDArray[np.bool_]]:
    words = piece.words.by_symbol[symbol]
    kept: npt.NDArray[np.bool_] = (words.ts >= piece.from_ms) & (words.ts < piece.until_ms)
    return words, kept


def _column(name: str, parts: Sequence[tuple[str, Words, npt.NDArray[np.bool_]]]) -> npt.NDArray[np.float64]:
    return _joined([words.columns[name][kept] for _, words, kept in parts], np.dtype(np.float64))


def _joined(parts: Sequence[npt.NDArray[np.generic]], kind: np.dtype) -> npt.NDArray:  # type: ignore[type-arg]
    return np.concatenate(parts) if parts else np.empty(0, kind)
