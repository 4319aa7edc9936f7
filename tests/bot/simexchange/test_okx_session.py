"""Which of a session's subscriptions a message belongs to."""

from __future__ import annotations

import pytest

from bot.simexchange.fault_stream import Line
from bot.simexchange.okx_session import OkxSession, text_of

NAME = "BTC-USDT-SWAP"


@pytest.mark.parametrize(
    ("arg", "channel", "hears"),
    [
        ({"channel": "orders", "instType": "ANY"}, "orders", True),
        ({"channel": "orders", "instType": "SWAP"}, "orders", True),
        ({"channel": "orders", "instType": "SWAP", "instId": NAME}, "orders", True),
        ({"channel": "orders", "instType": "SWAP", "instId": "ETH-USDT-SWAP"}, "orders", False),
        ({"channel": "orders", "instType": "SPOT"}, "orders", False),
        ({"channel": "orders", "instType": "ANY"}, "orders-algo", False),
        ({"channel": "account"}, "account", True),
    ],
)
def test_a_message_goes_to_subscriptions_of_its_channel_and_instrument(
    arg, channel: str, hears: bool
) -> None:
    """By channel, kind of instrument and instrument; where none is named, of all."""
    session = OkxSession(None, Line(None), "private")
    session.args[text_of(arg)] = arg
    assert session.listens(channel, NAME) == ([text_of(arg)] if hears else [])


def test_the_same_subscription_has_the_same_text() -> None:
    """Whatever the order of its fields: it is made once."""
    assert text_of({"channel": "orders", "instType": "ANY"}) == text_of(
        {"instType": "ANY", "channel": "orders"}
    )
