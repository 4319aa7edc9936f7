"""One exchange of ccxt without the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import ccxt.pro
import pytest

from bot.one_exchange import exchange_class, streamed_exchanges

DESCRIBED = """
import hashlib, json, sys
def described(kind):
    told = json.dumps(kind().describe(), sort_keys=True, default=lambda one: getattr(one, "__name__", str(type(one))))
    lineage = [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]
    return [lineage, hashlib.sha256(told.encode()).hexdigest()]
"""
ALONE = """
from bot.one_exchange import exchange_class
kinds = [exchange_class(name) for name in sys.argv[1:]]
import ccxt
same = [issubclass(getattr(ccxt, name), Exception) for name in ("NetworkError", "OrderNotFound")]
fetched = sum(name.startswith("ccxt.async_support.") for name in sys.modules)
print(json.dumps({"told": [described(kind) for kind in kinds], "fetched": fetched, "errors": same,
                  "by_name": [getattr(ccxt.pro, name) is kind for name, kind in zip(sys.argv[1:], kinds)],
                  "plain": type(ccxt.okx()).__module__}))
"""
WHOLE = """
import ccxt.pro
print(json.dumps([described(getattr(ccxt.pro, name)) for name in sys.argv[1:]]))
"""
WANTED = ccxt.pro.exchanges if os.environ.get("TESTS") == "all" else ["binanceusdm", "binance", "okx"]


def printed(code: str, *words: str) -> Any:
    """What a process of its own prints, as JSON."""
    command = [sys.executable, "-c", DESCRIBED + code, *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """What each exchange is where ccxt was imported whole."""
    return dict(zip(WANTED, printed(WHOLE, *WANTED), strict=True))


@pytest.mark.parametrize("name", WANTED)
def test_an_exchange_alone_is_the_one_of_the_whole_library(name: str, whole: dict[str, Any]) -> None:
    """Its ancestors and all that it says of itself are the same, and the others are not there."""
    alone = printed(ALONE, name)
    assert alone["told"] == [whole[name]]
    assert alone["by_name"] == [True]
    assert alone["errors"] == [True, True]
    assert alone["fetched"] < 40
    assert alone["plain"] == "ccxt.okx", "an exchange without streaming is found too, once asked for"


def test_a_second_exchange_in_the_same_process_is_itself_too(whole: dict[str, Any]) -> None:
    """What one fetched of another serves that other: a subclass first, then its parent, then a stranger."""
    assert printed(ALONE, *WANTED)["told"] == [whole[name] for name in WANTED]


def test_they_are_those_that_ccxt_names() -> None:
    """The list is ccxt's own."""
    assert streamed_exchanges() == sorted(ccxt.pro.exchanges)


def test_a_library_that_was_imported_whole_stays() -> None:
    """Its classes are given as they are."""
    assert exchange_class("kraken") is ccxt.pro.kraken


def test_an_unknown_name_is_refused() -> None:
    """As an import would."""
    with pytest.raises(ImportError):
        exchange_class("nowhere")


def test_a_name_that_is_nowhere_is_no_attribute() -> None:
    """What asks whether there is one is told so, as by any module."""
    code = (
        "import sys, json\nfrom bot.one_exchange import exchange_class\nexchange_class('okx')\nimport ccxt\n"
        "print(json.dumps([hasattr(ccxt, 'nowhere'), hasattr(ccxt.pro, 'nowhere'), hasattr(ccxt, '__all__'),"
        " ccxt.async_support.Exchange.__module__, ccxt.Exchange.__module__]))"
    )
    found = printed(code)
    assert found == [False, False, False, "ccxt.async_support.base.exchange", "ccxt.base.exchange"]
