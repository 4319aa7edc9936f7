"""Which decision is meant: a whole id, as much of one as is unique, or the last.

An id is symbol and close of the candle, ``BTC/USDT:USDT@2024-01-31T00:01Z``. In ids of one symbol the order of letters is
that of time, so that a beginning of one is a stretch of minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from bot.core.decision import decision_id
from bot.core.market import Symbol
from bot.errors import DataError, UsageError
from bot.journal.explain import ExplainReader, KeptMinute

LAST: Final = "last"
"""The word for the newest decision."""

_SHAPE: Final = "dddd-dd-ddTdd:ddZ"
_LEAST: Final = "1970-01-01T00:00Z"
_FORM: Final = "%Y-%m-%dT%H:%MZ"
_FROM_ONE: Final = (6, 9)
"""Last digits of month and day, which have no 0."""


class UnknownDecisionError(DataError):
    """The journal holds no such decision."""


class Found(NamedTuple):
    """A decision.

    Attributes:
        minute: In which it was made.
        row: As it was journaled, JSON values.
    """

    minute: KeptMinute
    row: dict[str, Any]

    @property
    def decision_id(self) -> str:
        """Its id."""
        return str(self.row["decision_id"])


def find(reader: ExplainReader, wanted: str, *, symbol: Symbol | None = None, acted: bool = False) -> Found:
    """The decision that is meant.

    Args:
        reader: Of the journal.
        wanted: An id, a beginning of one, or ``last``.
        symbol: With ``last``: of this symbol, or of the one whose name begins so.
        acted: With ``last``: the newest that sent an order, or wished to and was refused.

    Raises:
        UnknownDecisionError: There is none.
        UsageError: It is no id, several begin so, or a symbol goes with an id.
    """
    text = wanted.strip()
    if text == LAST:
        return _newest(reader, symbol, acted=acted)
    if symbol is not None or acted:
        raise UsageError(f"--symbol and --acted go with {LAST}: the id {text!r} says which decision is meant")
    return _begun_with(reader, text)


def _newest(reader: ExplainReader, symbol: Symbol | None, *, acted: bool) -> Found:
    chosen = None if symbol is None else _symbol(reader, symbol)
    for minute in reader.minutes(newest_first=True):
        for row in minute.decisions:
            if chosen in {None, row["symbol"]} and (not acted or row["approved"] or row["refused"]):
                return Found(minute, row)
    what = "decision that sent or refused an order" if acted else "decision"
    raise UnknownDecisionError(
        f"the journal {reader.path} holds no {what}{f' on {chosen}' if chosen else ''} yet"
    )


def _symbol(reader: ExplainReader, text: str) -> Symbol:
    """The one symbol of the journal that is called so, or whose name begins so."""
    known = reader.symbols()
    if text in known:
        return text
    begun = [name for name in known if name.startswith(text)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise UsageError(f"several symbols begin with {text}: {', '.join(begun)}")
    raise UnknownDecisionError(
        f"the journal {reader.path} has no symbol {text!r}; it has {', '.join(known) or 'none'}"
    )


def _begun_with(reader: ExplainReader, text: str) -> Found:
    symbol, at, time = text.rpartition("@")
    if not at:
        symbol, time = text, ""
    found = []
    for one in _matching(reader, symbol, time, whole=bool(at) and symbol in reader.symbols()):
        if one.decision_id == text:
            return one
        found.append(one)
        if len(found) > 1:
            raise UsageError(
                f"several decisions begin with {text!r}, such as {found[0].decision_id} and {one.decision_id}: "
                "write more of it"
            )
    if not found:
        raise UnknownDecisionError(_none_so(reader, text))
    return found[0]


def _matching(reader: ExplainReader, symbol: str, time: str, *, whole: bool) -> Iterator[Found]:
    """Decisions on the symbol, or on those that begin so, in minutes that begin so, oldest first."""
    for minute in reader.minutes(least_ms(time)):
        if not decision_id("", minute.closed_at_ms)[1:].startswith(time):
            return
        for row in minute.decisions:
            if row["symbol"] == symbol or (not whole and row["symbol"].startswith(symbol)):
                yield Found(minute, row)


def least_ms(time: str) -> int:
    """The first minute, ms UTC, whose time of an id begins so; 0 for no text at all.

    Raises:
        UsageError: No time begins so.
    """
    fits = len(time) <= len(_SHAPE) and all(
        letter.isdigit() and letter.isascii() if wanted == "d" else letter == wanted
        for letter, wanted in zip(time, _SHAPE, strict=False)
    )
    if not fits:
        raise UsageError(f"{time!r} is no time of a decision: it looks like BTC/USDT:USDT@2024-01-31T00:01Z")
    if not time:
        return 0
    rest = _SHAPE[len(time) :]
    # The part that was begun goes on with noughts, those after it are the least there are.
    begun = len(rest) - len(rest.lstrip("d"))
    filled = time + "0" * begun
    if begun == 1 and len(filled) - 1 in _FROM_ONE and filled.endswith("00"):
        filled = f"{filled[:-1]}1"
    if begun == 2 and len(filled) - 1 in _FROM_ONE:
        filled = f"{filled[:-1]}1"
    whole = filled + _LEAST[len(filled) :]
    try:
        return int(datetime.strptime(whole, _FORM).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise UsageError(f"{time!r} is no time that a calendar has") from None


def _none_so(reader: ExplainReader, text: str) -> str:
    first = next(reader.minutes(), None)
    last = next(reader.minutes(newest_first=True), None)
    if first is None or last is None:
        return f"nothing was decided yet: the journal {reader.path} holds no minute"
    return (
        f"the journal {reader.path} holds no decision {text!r}; it has minutes from "
        f"{decision_id('', first.closed_at_ms)[1:]} to {decision_id('', last.closed_at_ms)[1:]} of "
        f"{', '.join(reader.symbols())} (`bot explain last` takes the newest)"
    )
