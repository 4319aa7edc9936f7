"""Who is let in at OKX."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from bot.simexchange.okx_signing import LOGIN_TEXT, OkxGate, signature
from bot.simexchange.orders import Refusal
from bot.simexchange.signing import ApiKey, ExchangeTime, Security

NOW_MS = 1_684_454_400_000
MACHINE_MS = 1_800_000_000_000
PATH = "/api/v5/account/balance?ccy=USDT"


def gate(*, may_trade: bool = True, skew_ms: int = 0) -> OkxGate:
    """A gate at a market time of 2023, on a machine of 2027."""
    time = ExchangeTime(lambda: NOW_MS, lambda: NOW_MS, 1.0, lambda: skew_ms)
    return OkxGate(ApiKey("key", "secret", may_trade=may_trade), "pass", time, lambda: MACHINE_MS)


def headers(at_ms: int = NOW_MS, changed: Mapping[str, str | None] = MappingProxyType({})) -> dict[str, str]:
    """A signed GET."""
    stamp = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    given: dict[str, str | None] = {
        "OK-ACCESS-KEY": "key",
        "OK-ACCESS-PASSPHRASE": "pass",
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-SIGN": signature(f"{stamp}GET{PATH}", "secret"),
    }
    given |= {f"OK-ACCESS-{name}": value for name, value in changed.items()}
    return {name: value for name, value in given.items() if value is not None}


def code_of(given: dict[str, str], security: Security = Security.READ, **more) -> int:
    """The code of the refusal, 0 where it is let in; one with another status than 401 is negative."""
    try:
        gate(**more).admit(security, given, "GET", PATH, "")
    except Refusal as refusal:
        return refusal.code if refusal.status == 401 else -refusal.code
    return 0


def test_a_signed_request_is_let_in_and_an_open_route_asks_nothing() -> None:
    """With the right headers, or with none where none are needed."""
    assert code_of(headers()) == 0
    assert code_of({}, Security.NONE) == 0


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"KEY": None}, 50103), ({"PASSPHRASE": None}, 50104), ({"SIGN": None}, 50106), ({"TIMESTAMP": None}, 50107),
        ({"KEY": "other"}, 50111), ({"PASSPHRASE": "other"}, 50105), ({"SIGN": "other"}, 50113),
        ({"TIMESTAMP": "noon"}, 50112), ({"TIMESTAMP": "2023-05-19T00:00:00.001Z"}, 50113),
    ],
)  # fmt: skip
def test_each_fault_of_a_signature_has_its_code(changed: dict[str, str | None], code: int) -> None:
    """Header by header; a time that was not signed breaks the signature."""
    assert code_of(headers(changed=changed)) == code


@pytest.mark.parametrize(("off_ms", "code"), [(-29_000, 0), (29_000, 0), (-31_000, 50102), (31_000, 50102)])
def test_the_time_may_be_half_a_minute_off(off_ms: int, code: int) -> None:
    """Either way; the exchange's own clock counts, also where it is wrong."""
    assert code_of(headers(NOW_MS + off_ms)) == code
    assert code_of(headers(NOW_MS + off_ms + 60_000), skew_ms=60_000) == code


def test_a_key_that_may_only_read_does_not_trade() -> None:
    """It reads, and is refused where it would trade."""
    assert code_of(headers(), may_trade=False) == 0
    assert code_of(headers(), Security.TRADE, may_trade=False) == 50120


def login(**changed: str) -> list[dict[str, str]]:
    """The arguments of a login, dated by the machine as ccxt does."""
    stamp = changed.pop("timestamp", str(MACHINE_MS // 1000))
    given = {
        "apiKey": "key",
        "passphrase": "pass",
        "timestamp": stamp,
        "sign": signature(stamp + LOGIN_TEXT, "secret"),
    }
    return [{**given, **changed}]


def test_a_login_is_dated_by_the_machine_or_by_the_market() -> None:
    """Ccxt dates it by the machine's clock; a client that knows the market's time may use that."""
    gate().admit_login(login())
    gate().admit_login(login(timestamp=str(NOW_MS // 1000)))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([], 60009), ("text", 60009), ([{}, {}], 60009), (login(apiKey="other"), 60005),
        (login(passphrase="other"), 60024),  # noqa: S106
        (login(sign="other"), 60007), (login(timestamp="1"), 60006),
        (login(timestamp="noon"), 60004),
    ],
)  # fmt: skip
def test_each_fault_of_a_login_has_its_code(args: object, code: int) -> None:
    """The codes of the stream's errors."""
    with pytest.raises(Refusal) as told:
        gate().admit_login(args)
    assert told.value.code == code
