"""Secrets hidden by value and by name."""

from __future__ import annotations

import base64
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BotError, ConfigError
from bot.redaction import (
    forget_secrets,
    keep_secret,
    line_without_secrets,
    names_a_secret,
    redacted,
    redacted_closely,
    redacted_value,
    without_secrets,
)

PRINTED = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=12, max_size=40)
PROSE = st.text(string.ascii_lowercase + " ", max_size=30)


@pytest.fixture(autouse=True)
def forgotten():
    """Leave no secret behind."""
    yield
    forget_secrets()


@given(secret=PRINTED, before=PROSE, after=PROSE)
def test_no_form_of_a_kept_secret_is_shown(secret, before, after):
    """Whatever is around it: plain, in an address, in JSON, in base64 or as Python shows it, the value is gone."""
    forget_secrets()
    keep_secret(secret)
    forms = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret),
        repr(secret),
        base64.b64encode(secret.encode()).decode(),
    ]
    for form in forms:
        text = f"{before} {form} {after}"
        assert secret not in without_secrets(text)
        assert secret.encode() not in line_without_secrets(text.encode())
        assert base64.b64encode(secret.encode()).decode() not in without_secrets(text)


@given(text=st.text())
def test_nothing_is_changed_where_there_is_no_secret(text):
    """Without a kept secret a text is itself."""
    assert without_secrets(text) == text
    assert line_without_secrets(text.encode("utf-8", "surrogatepass")) == text.encode(
        "utf-8", "surrogatepass"
    )


def test_short_words_and_nothing_are_no_secrets():
    """A value of a few letters is not looked for: it would hide half of every line."""
    keep_secret("", None, "k", "short")
    assert without_secrets("a short key") == "a short key"


@pytest.mark.parametrize(
    "text",
    [
        "GET https://x/fapi/v1/order?symbol=BTCUSDT&timestamp=1&signature=SECRETVALUE",
        '{"listenKey":"SECRETVALUE"}',
        "{'apiKey': 'SECRETVALUE'}",
        "{'X-MBX-APIKEY': 'SECRETVALUE'}",
        "wss://fstream.binance.com/ws/SECRETVALUE" + "a" * 40,
        "mailto://me:SECRETVALUE@host.example",
        "api_secret=SECRETVALUE",
        "PUT /fapi/v1/listenKey?listenKey=SECRETVALUE 400",
    ],
)
def test_what_addresses_and_replies_carry_is_hidden(text):
    """Signatures, listen keys, keys of headers and passwords of addresses do not reach the text of an error."""
    assert "SECRETVALUE" not in redacted(text)
    assert "SECRETVALUE" not in str(ConfigError(text))


def test_prose_about_secrets_stays():
    """A sentence that names a setting is not mangled in an error; a log field is stricter."""
    text = "exchange.api_key: mode live needs it; set BOT__EXCHANGE__API_KEY_FILE=/etc/bot/api_key"
    assert redacted(text) == text
    assert redacted_closely("password: hunter22") == "password: ***"
    assert redacted_closely("Authorization: Bearer abc.def") == "Authorization: Bearer ***"


def test_errors_do_not_hold_a_kept_secret():
    """Neither text nor representation of an error of ours shows a secret that was kept before it was raised."""
    keep_secret("very-private-value")
    error = BotError("refused very-private-value", 7)
    assert "very-private" not in f"{error} {error!r} {error.args}"
    assert error.args == ("refused ***", 7)


def test_nested_values_are_searched():
    """Names are looked at in every mapping, texts in every list."""
    shown = redacted_value({"a": [{"secretKey": 1, "b": "x?signature=abc"}], "n": 2})
    assert shown == {"a": [{"secretKey": "***", "b": "x?signature=***"}], "n": 2}


@pytest.mark.parametrize(
    "name", ["apiKey", "API_SECRET", "listen_key", "token", "Authorization", "signature"]
)
def test_telling_names(name):
    """These names tell of a secret; plain ones do not."""
    assert names_a_secret(name)
    assert not names_a_secret("symbol")
