"""What a fault does: one class an action, and where each may be used. Pure.

Delays and durations are of the wall clock, in milliseconds or seconds as their names say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from bot.simexchange.fault_fields import (
    any_text,
    entry,
    flag,
    optional,
    real,
    scalars,
    share_list,
    text_list,
    whole,
    word,
)
from bot.simexchange.okx_codes import TEXTS as OKX_TEXTS

LAST_CODE = 69_999
"""The largest code of an error: those of Binance are negative, those of OKX have five digits."""

DAY_S = 86_400
DAY_MS = DAY_S * 1_000

TEXTS: Mapping[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is 2400 requests per minute.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1013: "Filter failure: NOTIONAL",
    -1015: "Too many new orders; current limit is 50 orders per 10 SECOND.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1111: "Precision is over the maximum defined for this asset.",
    -2010: "Account has insufficient balance for requested action.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -4164: "Order's notional must be no smaller than 100 (unless you choose reduce only).",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
}
"""Binance's texts by its codes; an action without a text of its own takes them from here."""


class Target(StrEnum):
    """What a fault waits for."""

    ROUTE = "route"
    STREAM = "stream"
    ORDER = "order"
    LISTEN_KEY = "listen_key"
    CLOCK = "clock"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class DropBefore:
    """The connection is cut, and the request is not carried out."""

    delay_ms: int = entry(whole(0, DAY_MS), 0)


@dataclass(frozen=True, slots=True)
class DropAfter:
    """The request is carried out, and the connection is cut without an answer."""

    delay_ms: int = entry(whole(0, DAY_MS), 0)


@dataclass(frozen=True, slots=True)
class Delay:
    """The request is carried out late, or is answered late."""

    delay_ms: int = entry(whole(1, DAY_MS))
    when: str = entry(word("before", "after"), "after")


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer than the true one.

    Attributes:
        status: Of the reply.
        code: The exchange's; with ``text`` it makes the body of its errors. OKX takes Binance's codes too.
        text: None takes the exchange's own text for the code.
        body: The whole body instead; what begins with ``<`` is HTML.
        retry_after_s: The ``Retry-After`` header.
        executed: Whether the request is carried out all the same.
        delay_ms: How long the answer takes.
    """

    status: int = entry(whole(200, 599))
    code: int | None = entry(optional(whole(-9_999, LAST_CODE)), None)
    text: str | None = entry(optional(any_text), None)
    body: str | None = entry(optional(any_text), None)
    retry_after_s: int | None = entry(optional(whole(0, DAY_S)), None)
    executed: bool = entry(flag, False)
    delay_ms: int = entry(whole(0, DAY_MS), 0)


@dataclass(frozen=True, slots=True)
class Spoil:
    """Carried out and answered with status 200, but what is in the answer cannot be used.

    Attributes:
        how: ``html`` (a page instead), ``null_rows`` (each row of a list is null), ``null_fields`` (each value of each row,
            or of an object, is null), ``cut`` (the second half of the text is missing), ``empty`` (no body).
    """

    how: str = entry(word("html", "null_rows", "null_fields", "cut", "empty"))


@dataclass(frozen=True, slots=True)
class Refuse:
    """A definite refusal in the exchange's words; nothing is carried out. OKX answers with status 200 whatever is said here."""

    code: int = entry(whole(-9_999, LAST_CODE))
    text: str | None = entry(optional(any_text), None)
    status: int = entry(whole(400, 499), 400)


@dataclass(frozen=True, slots=True)
class Restart:
    """The exchange's process ends; whoever runs it starts it again with ``--resume``.

    Attributes:
        delay_ms: How long after.
        how: ``kill`` (at once, as by SIGKILL) or ``stop`` (in order, as by SIGTERM).
        executed: On a route: whether the request is carried out before. It is never answered.
    """

    delay_ms: int = entry(whole(0, DAY_MS), 0)
    how: str = entry(word("kill", "stop"), "kill")
    executed: bool = entry(flag, False)


@dataclass(frozen=True, slots=True)
class Cut:
    """Sockets are closed: those that the message goes to, or on the exchange all of them.

    Attributes:
        close_frame: Say goodbye (code 1001) or just be gone (the client sees 1006).
        sent: Whether the message goes out before.
        refuse_s: New streams are refused for so long: accepted and closed at once.
        rest: Requests are refused for so long as well.
    """

    close_frame: bool = entry(flag, False)
    sent: bool = entry(flag, False)
    refuse_s: float = entry(real(0, DAY_S), 0.0)
    rest: bool = entry(flag, False)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The message is sent again, at once."""

    times: int = entry(whole(1, 100), 1)


@dataclass(frozen=True, slots=True)
class Reorder:
    """The message waits until ``by`` later ones of its socket have gone, at most ``seconds``."""

    by: int = entry(whole(1, 1_000), 1)
    seconds: float = entry(real(0.001, DAY_S), 5.0)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Only the first part of the message's text is sent."""

    share: float = entry(real(0.01, 0.99), 0.5)


@dataclass(frozen=True, slots=True)
class Stall:
    """The sockets of this message send nothing for a while; pings are answered.

    Attributes:
        seconds: How long.
        lose: Whether what should have been sent is lost, this message first, or comes late.
    """

    seconds: float = entry(real(0.001, DAY_S))
    lose: bool = entry(flag, True)


@dataclass(frozen=True, slots=True)
class NoPong:
    """The sockets of this message send nothing for a while, not even pongs; what should have been sent is lost."""

    seconds: float = entry(real(0.001, DAY_S))


@dataclass(frozen=True, slots=True)
class Drop:
    """The message is never sent."""


@dataclass(frozen=True, slots=True)
class Late:
    """The message is sent later; those after it may pass it."""

    delay_ms: int = entry(whole(1, DAY_MS))


@dataclass(frozen=True, slots=True)
class Mutate:
    """Fields of the message are changed or left out; a field is named by its path, ``k.x``."""

    set: tuple[tuple[str, str | float | bool | None], ...] = entry(scalars, (), dict)
    remove: tuple[str, ...] = entry(text_list, (), list)


@dataclass(frozen=True, slots=True)
class Correct:
    """A candle is sent twice with different values: the message, and after ``messages`` more its correction.

    Attributes:
        by_bps: How far off the close of the wrong one is.
        wrong: Which of the two is wrong; REST always shows the right values.
        messages: How many messages of the socket go between them.
        seconds: The longest that the second waits.
    """

    by_bps: float = entry(real(-1_000, 1_000), 5.0)
    wrong: str = entry(word("first", "last"), "last")
    messages: int = entry(whole(0, 1_000), 1)
    seconds: float = entry(real(0.001, DAY_S), 5.0)


@dataclass(frozen=True, slots=True)
class Replay:
    """After the message, the one that fitted ``back`` matches before is sent once more."""

    back: int = entry(whole(1, 100), 1)


@dataclass(frozen=True, slots=True)
class PartialFill:
    """The order executes in these shares of its quantity, one trade each; what they leave does not execute."""

    shares: tuple[float, ...] = entry(share_list, write=list)


@dataclass(frozen=True, slots=True)
class VisibleAfter:
    """The order is carried out, but queries and the user stream do not know of it for a while."""

    delay_ms: int = entry(whole(1, DAY_MS))


@dataclass(frozen=True, slots=True)
class Expire:
    """All listen keys expire."""


@dataclass(frozen=True, slots=True)
class Skew:
    """The exchange's clock, as it tells it and holds timestamps against it, is off by ``ms``.

    Attributes:
        ms: Positive: ahead.
        seconds: How long; None: until another skew.
    """

    ms: int = entry(whole(-DAY_MS, DAY_MS))
    seconds: float | None = entry(optional(real(0.001, DAY_S)), None)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Every request is answered with 503 for a while, new streams too."""

    seconds: float = entry(real(0.001, DAY_S))


Action: TypeAlias = (
    DropBefore
    | DropAfter
    | Delay
    | Answer
    | Spoil
    | Refuse
    | Restart
    | Cut
    | Duplicate
    | Reorder
    | Corrupt
    | Stall
    | NoPong
    | Drop
    | Late
    | Mutate
    | Correct
    | Replay
    | PartialFill
    | VisibleAfter
    | Expire
    | Skew
    | Maintenance
)

_ROUTE, _STREAM = frozenset({Target.ROUTE}), frozenset({Target.STREAM})

KINDS: Mapping[str, tuple[type[Any], frozenset[Target]]] = {
    "drop_before": (DropBefore, _ROUTE),
    "drop_after": (DropAfter, _ROUTE),
    "delay": (Delay, _ROUTE),
    "answer": (Answer, _ROUTE),
    "spoil": (Spoil, _ROUTE),
    "refuse": (Refuse, _ROUTE | {Target.ORDER}),
    "restart": (Restart, _ROUTE | {Target.EXCHANGE}),
    "cut": (Cut, _STREAM | {Target.EXCHANGE}),
    "duplicate": (Duplicate, _STREAM),
    "reorder": (Reorder, _STREAM),
    "corrupt": (Corrupt, _STREAM),
    "stall": (Stall, _STREAM),
    "no_pong": (NoPong, _STREAM),
    "drop": (Drop, _STREAM),
    "late": (Late, _STREAM),
    "mutate": (Mutate, _STREAM),
    "correct": (Correct, _STREAM),
    "replay": (Replay, _STREAM),
    "partial_fill": (PartialFill, frozenset({Target.ORDER})),
    "visible_after": (VisibleAfter, frozenset({Target.ORDER})),
    "expire": (Expire, frozenset({Target.LISTEN_KEY})),
    "skew": (Skew, frozenset({Target.CLOCK})),
    "maintenance": (Maintenance, frozenset({Target.EXCHANGE})),
}
"""The word of each action, its class, and what it may act on."""

_WORDS = {kind: name for name, (kind, _) in KINDS.items()}


def word_of(action: Action) -> str:
    """The word that a plan has for an action."""
    return _WORDS[type(action)]


def text_of(code: int, given: str | None) -> str:
    """The text of an error: the one given, or the exchange's for the code."""
    return given if given is not None else {**TEXTS, **OKX_TEXTS}.get(code, "An error occurred.")
