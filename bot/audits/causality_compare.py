"""Where two answers part on what was known at a moment: to the bit, or within a tolerance for streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.audits.causality import Finding, Learned, Rows, Times, Values, minute_words
from bot.core.market import MINUTE_MS

STREAM_TOLERANCE = 1e-9
"""Between a stream and a batch: absolute, and relative for numbers above 1."""

UNALTERED = "nothing was altered"
NOT_REPEATABLE = (
    "the pipeline does not answer the same question the same way, so that nothing can be proved of it"
)


def rows_difference(
    before: Rows, after: Rows | None, moment_ms: int, altered: str
) -> tuple[int, Finding | None]:
    """Compare what was known at a moment, to the bit.

    Args:
        before: Of the market as it was.
        after: Of the market with another future; None where the stage says nothing of the symbol any more.
        moment_ms: What closes later was altered.
        altered: What was done, in words.

    Returns:
        How many values were compared, and the first difference in time.
    """
    chosen = before.known <= moment_ms
    if after is None:
        size = int(chosen.sum())
        return size, _vanished(before, before.ts[chosen], moment_ms, altered) if size else None
    left, right = before.ts[chosen], after.ts[after.known <= moment_ms]
    common, mine, theirs = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    if len(common) < len(left) or len(common) < len(right) or before.columns != after.columns:
        lost, come = np.setdiff1d(left, right), np.setdiff1d(right, left)
        if len(lost):
            return len(left), _vanished(before, lost, moment_ms, altered)
        return len(left), _appeared(before, come, moment_ms, altered)
    one, two = before.values[chosen][mine], after.values[after.known <= moment_ms][theirs]
    unequal = differs(one, two)
    if not unequal.any():
        return one.size, None
    return one.size, _changed(before, common, (one, two), unequal, moment_ms, altered)


def appeared_finding(after: Rows, moment_ms: int, altered: str) -> Finding | None:
    """What to say of a stage and symbol that had no rows before the market was altered; None if they are later ones."""
    come = after.ts[after.known <= moment_ms]
    return _appeared(after, come, moment_ms, altered) if len(come) else None


def learned_difference(
    before: Learned, after: Learned | None, moment_ms: int, altered: str
) -> tuple[int, Finding | None]:
    """Compare what was learnt from candles that close by ``moment_ms``; the result as of ``rows_difference``."""
    count = sum(_flat(value).size for value in before.values.values())
    if after is None:
        return count, Finding(f"{before.stage} was not learnt at all when {altered}", moment_ms=moment_ms)
    for name in sorted({*before.values, *after.values}):
        if name not in before.values or name not in after.values:
            sentence = f"{before.stage}: {name} is there only sometimes when {altered}"
            return count, Finding(sentence, column=name, moment_ms=moment_ms)
        one, two = _flat(before.values[name]), _flat(after.values[name])
        if one.shape == two.shape and not differs(one, two).any():
            continue
        why = (
            NOT_REPEATABLE
            if altered == UNALTERED
            else f"it is said to be learnt from candles until {minute_words(before.until_ms)}, but knows what came later"
        )
        told = f"{before.stage}: {name} {_pair(one, two)} when {altered}; {why}"
        return count, Finding(told, column=name, moment_ms=moment_ms)
    return count, None


def stream_difference(batch: Rows, stream: Rows, until_ms: int) -> tuple[int, Finding | None]:
    """Compare rows made update by update with those of the batch that are known by ``until_ms``, within 1e-9."""
    wanted = batch.ts[batch.ts + MINUTE_MS <= until_ms]
    common, mine, theirs = np.intersect1d(batch.ts, stream.ts, assume_unique=True, return_indices=True)
    extra, lost = np.setdiff1d(stream.ts, batch.ts), np.setdiff1d(wanted, stream.ts)
    if len(extra) or len(lost):
        at = int((extra if len(extra) else lost)[0])
        which = "only the stream has" if len(extra) else "the stream lacks"
        sentence = f"{batch.stage} of {batch.symbol}: {which} the row of {minute_words(at)}"
        return len(common), Finding(sentence, at, batch.symbol)
    one, two = batch.values[mine], stream.values[theirs]
    unequal = _beyond(one, two)
    if not unequal.any():
        return one.size, None
    row, column = _first(unequal)
    at, name = int(common[row]), batch.columns[column]
    sentence = (
        f"{batch.stage} of {batch.symbol} at {minute_words(at)}: {name} is {_show(two[row, column])} in the stream and "
        f"{_show(one[row, column])} in the batch: live it would see something else"
    )
    return one.size, Finding(sentence, at, batch.symbol, name)


def changed_at_all(before: Rows, after: Rows | None, chosen: npt.NDArray[np.bool_]) -> bool:
    """Whether any value of the chosen rows is another one in the other answer, or is not there."""
    if after is None or before.columns != after.columns:
        return True
    common, mine, theirs = np.intersect1d(
        before.ts[chosen], after.ts, assume_unique=True, return_indices=True
    )
    if len(common) < int(chosen.sum()):
        return True
    return bool(differs(before.values[chosen][mine], after.values[theirs]).any())


def differs(one: Values, two: Values) -> npt.NDArray[np.bool_]:
    """Which elements of two arrays of one shape differ: numbers by their bits (any NaN is like any other)."""
    if one.dtype != two.dtype:
        return np.ones(one.shape, np.bool_)
    if one.dtype.kind != "f":
        unequal: npt.NDArray[np.bool_] = np.asarray(one != two, np.bool_)
        return unequal
    bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[one.dtype.itemsize]
    changed = np.ascontiguousarray(one).view(bits) != np.ascontiguousarray(two).view(bits)
    found: npt.NDArray[np.bool_] = changed & ~(np.isnan(one) & np.isnan(two))
    return found


def _beyond(one: Values, two: Values) -> npt.NDArray[np.bool_]:
    """Which elements differ by more than the tolerance of a stream."""
    if one.dtype.kind != "f" or two.dtype.kind != "f":
        return differs(one, two)
    # float32 has no 1e-9 to speak of: there the same bits are asked for.
    if one.dtype.itemsize < 8 or two.dtype.itemsize < 8:
        return differs(one, two)
    room = STREAM_TOLERANCE * np.maximum(1.0, np.abs(one))
    near = np.isclose(one, two, rtol=0.0, atol=0.0, equal_nan=True)
    with np.errstate(invalid="ignore"):
        near |= np.abs(one - two) <= room
    return ~near


def _first(unequal: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Row and column of the first difference in time."""
    row = int(np.argmax(unequal.any(axis=1)))
    return row, int(np.argmax(unequal[row]))


def _changed(
    before: Rows,
    ts: Times,
    values: tuple[Values, Values],
    unequal: npt.NDArray[np.bool_],
    moment_ms: int,
    altered: str,
) -> Finding:
    """The sentence of a value that the future changed, and how far it looked for that."""
    row, column = _first(unequal)
    at, name = int(ts[row]), before.columns[column]
    ahead = (moment_ms - (at + MINUTE_MS)) // MINUTE_MS + 1
    rows = int(unequal.any(axis=1).sum())
    if altered == UNALTERED:
        far, ahead = NOT_REPEATABLE, 0
    elif ahead <= 0:
        far = "it is said to be known before its own candle has closed"
    elif rows > len(ts) // 2 and len(ts) > 10:
        far = f"{rows} of {len(ts)} rows changed: it depends on the whole series"
    else:
        far = f"it looks at least {ahead} minute{'s' if ahead != 1 else ''} ahead"
    sentence = (
        f"{before.stage} of {before.symbol} at {minute_words(at)}: {name} "
        f"{_pair(values[0][row, column], values[1][row, column])} when {altered}; {far}"
    )
    return Finding(sentence, at, before.symbol, name, moment_ms, max(0, ahead))


def _vanished(before: Rows, lost: Times, moment_ms: int, altered: str) -> Finding:
    at = int(lost[0])
    whole = f"all {len(lost)} rows" if len(lost) > 1 else "the row"
    sentence = (
        f"{before.stage} of {before.symbol}: {whole} from {minute_words(at)} on {'are' if len(lost) > 1 else 'is'} gone "
        f"when {altered}: what comes later decides which rows there are"
    )
    return Finding(sentence, at, before.symbol, None, moment_ms)


def _appeared(before: Rows, come: Times, moment_ms: int, altered: str) -> Finding:
    if not len(come):
        sentence = f"{before.stage} of {before.symbol}: it has other columns when {altered}"
        return Finding(sentence, None, before.symbol, None, moment_ms)
    at = int(come[0])
    sentence = (
        f"{before.stage} of {before.symbol}: {len(come)} rows from {minute_words(at)} on appear when {altered}: what comes "
        "later decides which rows there are"
    )
    return Finding(sentence, at, before.symbol, None, moment_ms)


def _flat(value: Any) -> Values:
    """A number, array or bytes as a one-dimensional array."""
    if isinstance(value, bytes):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, Mapping):
        return np.array([repr(sorted(value.items()))], dtype=object)
    made = np.asarray(value)
    return (
        made.ravel()
        if made.dtype != object
        else np.array([repr(item) for item in made.ravel()], dtype=object)
    )


def _pair(one: Any, two: Any) -> str:
    """From what to what, for a reader."""
    if isinstance(one, np.ndarray):
        if one.dtype == np.uint8:
            return f"had {one.size} bytes and has other bytes"
        if one.shape != two.shape:
            return f"had {one.size} values and has {two.size}"
        place = int(np.argmax(differs(one, two)))
        one, two = one[place], two[place]
    return f"was {_show(one)} and is {_show(two)}"


def _show(value: Any) -> str:
    """A value in full, since the last digit may be what differs."""
    return repr(value.item()) if isinstance(value, np.generic) else repr(value)
