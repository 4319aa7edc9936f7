"""What an exception means for what was asked: surely refused, perhaps carried out, or a word of its own. Pure.

A request that trades is uncertain unless the exchange itself said that it did not take it. So a class of ccxt's tree is
a refusal only if it comes from an answer that was read and understood (or was raised before anything was sent); all
of ``OperationFailed`` (network, timeouts, 5xx, pages instead of JSON, rate limits) is uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

import aiohttp

from bot.brokers.ccxt_habits import VenueHabits
from bot.errors import BotError
from bot.redaction import redacted_closely

LONGEST_REASON = 300
"""Characters of a reason; a page of HTML says nothing more in its rest."""


class Meaning(Enum):
    """What became of a request."""

    REFUSED = "surely not carried out, and would not be again"
    CLOCK = "surely not carried out, since its timestamp was off"
    UNKNOWN_ORDER = "surely not carried out, since there is no such order"
    DUPLICATE = "not carried out, since an order of this client id was there already"
    UNCERTAIN = "perhaps carried out; of a question: ask again"


_REFUSED, _UNCERTAIN = Meaning.REFUSED, Meaning.UNCERTAIN

MEANINGS: Final[Mapping[str, Meaning]] = {
    # Raised for codes that ccxt has no name for, and for replies that break off: the code decides.
    "BaseError": _UNCERTAIN,
    "ExchangeError": _UNCERTAIN,
    # The exchange read the request and did not want it.
    "AuthenticationError": _REFUSED,
    "PermissionDenied": _REFUSED,
    "AccountNotEnabled": _REFUSED,
    "AccountSuspended": _REFUSED,
    "ArgumentsRequired": _REFUSED,
    "BadRequest": _REFUSED,
    "BadSymbol": _REFUSED,
    "OperationRejected": _REFUSED,
    "NoChange": _REFUSED,
    "MarginModeAlreadySet": _REFUSED,
    "MarketClosed": _REFUSED,
    "ManualInteractionNeeded": _REFUSED,
    "RestrictedLocation": _REFUSED,
    "InsufficientFunds": _REFUSED,
    "InvalidAddress": _REFUSED,
    "AddressPending": _REFUSED,
    "InvalidOrder": _REFUSED,
    "OrderNotFound": Meaning.UNKNOWN_ORDER,
    "OrderNotCached": _REFUSED,
    "OrderImmediatelyFillable": _REFUSED,
    "OrderNotFillable": _REFUSED,
    "DuplicateOrderId": Meaning.DUPLICATE,
    "ContractUnavailable": _REFUSED,
    # Raised by ccxt before anything is sent.
    "NotSupported": _REFUSED,
    "InvalidProxySettings": _REFUSED,
    "ExchangeClosedByUser": _REFUSED,
    # Nobody knows.
    "OperationFailed": _UNCERTAIN,
    "NetworkError": _UNCERTAIN,
    "DDoSProtection": _UNCERTAIN,
    "RateLimitExceeded": _UNCERTAIN,
    "ExchangeNotAvailable": _UNCERTAIN,
    "OnMaintenance": _UNCERTAIN,
    "InvalidNonce": _UNCERTAIN,  # the exchange's code makes it CLOCK
    "ChecksumError": _UNCERTAIN,
    "RequestTimeout": _UNCERTAIN,
    "BadResponse": _UNCERTAIN,
    "NullResponse": _UNCERTAIN,
    "CancelPending": _UNCERTAIN,
    "UnsubscribeError": _UNCERTAIN,
}
"""Every class of ccxt's tree; a class that is not here is what its nearest ancestor is."""

_CODE = re.compile(r"\"code\"\s*:\s*\"?(-?\d+)")
_CODE_OF_AN_ORDER = re.compile(r"\"sCode\"\s*:\s*\"?([1-9]\d*)")
_QUERY = re.compile(r"((?:https?|wss?)://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an exception means.

    Attributes:
        meaning: For the request.
        code: The exchange's, or where the text has none the name of ccxt's class in snake case.
        reason: A sentence without keys.
    """

    meaning: Meaning
    code: str
    reason: str


def outcome_of(error: BaseException, habits: VenueHabits) -> Outcome:
    """What this exception means on this exchange."""
    text = str(error)
    name = _ccxt_name(error)
    code = code_of(text)
    word = code or _WORD.sub("_", name or type(error).__name__).lower()
    return Outcome(_meaning(name, code, text, habits), word, told(error))


def code_of(text: str) -> str:
    """The exchange's code in a text of ccxt's, that of the order before that of the request; "" where there is none."""
    found = _CODE_OF_AN_ORDER.search(text) or _CODE.search(text)
    return found[1] if found else ""


def told(error: BaseException) -> str:
    """An exception as a sentence that may be read by anybody: no key, no signature, no query of an address."""
    if isinstance(error, BotError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
        cause = error.__cause__
        if isinstance(cause, (aiohttp.ClientError, OSError)) and str(cause):
            text += f" ({cause})"  # ccxt's own text names the request only
    return scrubbed(text)


def scrubbed(text: str) -> str:
    """A text without the queries of addresses and without what is named like a secret, on one line, cut short."""
    plain = _SPACE.sub(" ", redacted_closely(_QUERY.sub(r"\1", text))).strip()
    return plain if len(plain) <= LONGEST_REASON else plain[:LONGEST_REASON] + "…"


def _meaning(name: str, code: str, text: str, habits: VenueHabits) -> Meaning:
    if not name or code in habits.uncertain_codes:
        return _UNCERTAIN
    if code in habits.clock_codes:
        return Meaning.CLOCK
    meaning = MEANINGS[name]
    if name == "ExchangeError" and code and habits.refuses(code):
        meaning = _REFUSED
    if meaning is _UNCERTAIN:
        return meaning
    if code in habits.duplicate_codes or "duplicate" in text.lower():
        return Meaning.DUPLICATE
    return Meaning.UNKNOWN_ORDER if code in habits.unknown_codes else meaning


def _ccxt_name(error: BaseException) -> str:
    """The nearest class of ccxt's tree; "" of an exception from elsewhere."""
    for kind in type(error).__mro__:
        if kind.__module__.startswith("ccxt.") and kind.__name__ in MEANINGS:
            return kind.__name__
    return ""
