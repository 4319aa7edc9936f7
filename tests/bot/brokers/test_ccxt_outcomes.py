"""What each exception means for a request that trades."""

from __future__ import annotations

from typing import Any

import aiohttp
import ccxt
import pytest
from ccxt.base.errors import error_hierarchy
from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.ccxt_outcomes import (
    LONGEST_REASON,
    MEANINGS,
    Meaning,
    code_of,
    outcome_of,
    scrubbed,
    told,
)
from bot.errors import DataError
from tests.offline_exchange import USDM


def names_of(tree: dict[str, Any]) -> list[str]:
    """Every class of ccxt's tree."""
    return [name for top, below in tree.items() for name in (top, *names_of(below))]


def body(code: int, text: str = "no") -> str:
    """A text of ccxt's with the exchange's reply in it."""
    return f'binanceusdm {{"code":{code},"msg":"{text}"}}'


def test_every_class_of_ccxt_is_classified() -> None:
    """Each class of ccxt's tree has its own line in the table, and no line is of a class that is gone."""
    assert sorted(MEANINGS) == sorted(names_of(error_hierarchy))


@pytest.mark.parametrize(
    "name", [*names_of(error_hierarchy["BaseError"]["OperationFailed"]), "OperationFailed"]
)
def test_whatever_failed_on_the_way_is_uncertain(name: str) -> None:
    """No class of OperationFailed is ever taken for a refusal, whatever code its text carries."""
    for text in ("timed out", body(-2019), body(-1007), body(-4164)):
        assert outcome_of(getattr(ccxt, name)(text), USDM).meaning is Meaning.UNCERTAIN


@pytest.mark.parametrize(
    ("error", "meaning", "code"),
    [
        (ccxt.InsufficientFunds(body(-2019)), Meaning.REFUSED, "-2019"),
        (ccxt.InsufficientFunds("binance Account has insufficient balance"), Meaning.REFUSED, "insufficient_funds"),
        (ccxt.OrderImmediatelyFillable(body(-2021)), Meaning.REFUSED, "-2021"),
        (ccxt.InvalidNonce(body(-1021)), Meaning.CLOCK, "-1021"),
        (ccxt.InvalidOrder(body(-5028)), Meaning.CLOCK, "-5028"),
        (ccxt.OrderNotFound(body(-2011)), Meaning.UNKNOWN_ORDER, "-2011"),
        (ccxt.InvalidOrder(body(-4116)), Meaning.DUPLICATE, "-4116"),
        (ccxt.InvalidOrder(body(-2010, "Duplicate order sent.")), Meaning.DUPLICATE, "-2010"),
        (ccxt.ExchangeError(body(-4999)), Meaning.REFUSED, "-4999"),
        (ccxt.ExchangeError(body(-1099)), Meaning.UNCERTAIN, "-1099"),
        (ccxt.ExchangeError("binanceusdm POST https://fapi.binance.com/fapi/v1/order"), Meaning.UNCERTAIN, "exchange_error"),
        (ccxt.BadRequest(body(-1007)), Meaning.UNCERTAIN, "-1007"),
        (KeyError("orderId"), Meaning.UNCERTAIN, "key_error"),
        (aiohttp.ClientOSError("reset"), Meaning.UNCERTAIN, "client_oserror"),
    ],
)  # fmt: skip
def test_the_codes_decide_where_the_class_does_not(error: Exception, meaning: Meaning, code: str) -> None:
    """The exchange's code is read out of the text, and where it is telling it decides."""
    outcome = outcome_of(error, USDM)
    assert (outcome.meaning, outcome.code) == (meaning, code)


def test_a_class_made_of_a_known_one_means_what_that_means() -> None:
    """A class that ccxt may add below a known one is classified by its nearest ancestor."""
    below = type("PriceTooFar", (ccxt.InvalidOrder,), {"__module__": "ccxt.base.errors"})
    assert outcome_of(below(body(-4016)), USDM).meaning is Meaning.REFUSED


def test_a_reason_says_what_the_network_did() -> None:
    """The cause that ccxt leaves out of its text is told."""
    error = ccxt.ExchangeNotAvailable("binanceusdm POST https://fapi.binance.com/fapi/v1/order")
    error.__cause__ = aiohttp.ClientOSError(104, "Connection reset by peer")
    assert told(error).endswith("order ([Errno 104] Connection reset by peer)")
    assert told(DataError("an order has no id")) == "an order has no id"


@given(
    key=st.text("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", min_size=16, max_size=64),
    name=st.sampled_from(["signature", "apiKey", "listenKey", "X-MBX-APIKEY"]),
    form=st.sampled_from(
        ["https://fapi.binance.com/fapi/v1/order?timestamp=1&{0}={1}", "{{'{0}': '{1}'}}", '"{0}":"{1}"',
         "wss://fstream.binance.com/private/ws?{0}={1}", "the line {0}={1} ended"]
    ),
)  # fmt: skip
def test_no_key_is_left_in_a_reason(key: str, name: str, form: str) -> None:
    """Keys, signatures and listen keys are gone from a text in every form in which a client writes them."""
    assert key not in scrubbed("RequestTimeout: binanceusdm GET " + form.format(name, key) + " failed")


def test_a_page_is_cut_short() -> None:
    """A page of HTML does not fill the journal."""
    text = scrubbed("ExchangeNotAvailable: <html>\n\n" + "<p>busy</p>\n" * 1000)
    assert len(text) <= LONGEST_REASON + 1
    assert "\n" not in text


def test_a_code_is_read_as_number_or_text() -> None:
    """Both spellings of a code in a reply are read, and none where there is none."""
    assert code_of('{"code":"-2013"}') == code_of('{"code": -2013}') == "-2013"
    assert not code_of("no reply")
