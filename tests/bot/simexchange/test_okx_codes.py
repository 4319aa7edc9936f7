"""OKX's words for refusals."""

from __future__ import annotations

import pytest

from bot.simexchange.okx_codes import TEXTS, in_words_of_okx, refused
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal


def request(kind: OrderKind, side: str) -> OrderRequest:
    """A conditional order."""
    return OrderRequest("BTCUSDT", side, kind, 1.0, "a", stop_price=90.0, reduce_only=True)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (-2019, 51008), (-2022, 51169), (-4116, 51016), (-1111, 51121), (-2013, 51603), (-2011, 51400),
        (-1007, 50004), (-1100, 51000), (-4016, 51137), (-9999, 51000), (51008, 51008),
    ],
)  # fmt: skip
def test_each_refusal_has_a_code_of_okx(given: int, code: int) -> None:
    """The account's codes become OKX's, and one of OKX stays; never does a negative one go out."""
    told = in_words_of_okx(Refusal(given, "why"))
    assert told.code == code
    assert str(told) in {TEXTS.get(code), "why", "Parameter clOrdId error"}


@pytest.mark.parametrize(
    ("kind", "side", "code"),
    [
        (OrderKind.STOP_MARKET, "SELL", 51280),
        (OrderKind.STOP_MARKET, "BUY", 51278),
        (OrderKind.TAKE_PROFIT_MARKET, "SELL", 51279),
        (OrderKind.TAKE_PROFIT_MARKET, "BUY", 51277),
    ],
)
def test_a_trigger_on_the_wrong_side_is_told_by_kind_and_side(kind: OrderKind, side: str, code: int) -> None:
    """OKX has a code for each of the four."""
    assert in_words_of_okx(Refusal(-2021, "x"), request(kind, side)).code == code


def test_errors_of_orders_come_with_status_200() -> None:
    """So are the account's refusals, whatever their status was."""
    assert (in_words_of_okx(Refusal(-2019, "x", 400)).status, refused(51400).status) == (200, 200)
