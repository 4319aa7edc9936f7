"""Which decision is meant."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.explain_lookup import UnknownDecisionError, find, least_ms
from bot.core.decision import decision_id
from bot.core.market import MINUTE_MS
from bot.errors import UsageError
from bot.journal.explain import ExplainReader
from tests.daemon_harness import SYMBOLS
from tests.journal_rig import Life, live_through

MINUTE_TIMES = st.integers(0, 4_102_444_800 // 60).map(lambda minute: minute * MINUTE_MS)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ExplainReader:
    """The journal of a bot that ran past midnight."""
    folder = asyncio.run(live_through(tmp_path_factory.mktemp("lookup"), [Life(90)], minutes=90))
    return ExplainReader(folder / "journal.sqlite")


def test_last_is_the_newest_and_may_be_narrowed(reader: ExplainReader) -> None:
    """By symbol, by the beginning of its name, and by whether something was sent or refused."""
    assert find(reader, "last").minute.closed_at_ms == find(reader, "last", symbol="ETH").minute.closed_at_ms
    assert find(reader, "last", symbol="BTC").row["symbol"] == SYMBOLS[0]
    assert find(reader, "last", symbol=SYMBOLS[1]).row["symbol"] == SYMBOLS[1]
    acted = find(reader, "last", acted=True)
    assert acted.row["approved"] or acted.row["refused"]
    later = reader.minutes(acted.minute.closed_at_ms + MINUTE_MS)
    assert not any(row["approved"] or row["refused"] for minute in later for row in minute.decisions)


def test_a_beginning_will_do_where_it_is_unique(reader: ExplainReader) -> None:
    """The minute and a part of the symbol, or all but the last letter; two that fit are named in the refusal."""
    whole = f"{SYMBOLS[0]}@2024-01-01T01:07Z"
    for text in (whole, whole[:-1], "BTC@2024-01-01T01:07", f" {whole} "):
        assert find(reader, text).decision_id == whole, text
    for text in ("BTC/USDT:USDT@2024-01-01T01:0", "@2024-01-01T01:07Z", "BTC", ""):
        with pytest.raises(UsageError, match=r"such as .* and .*: write more of it"):
            find(reader, text)


@pytest.mark.parametrize(
    "text", ["BTC/USDT:USDT@yesterday", "BTC@2024/01/01", "BTC@2024-01-01T01:07Zulu", "BTC@2024-02-30T00:00Z"]
)
def test_what_is_no_id_is_told_so(reader: ExplainReader, text: str) -> None:
    """A time that does not look like one, or that no calendar has."""
    with pytest.raises(UsageError, match="is no time"):
        find(reader, text)


def test_what_is_not_there_is_told_with_what_is(reader: ExplainReader) -> None:
    """Another minute, another symbol, and a symbol without a decision."""
    with pytest.raises(
        UnknownDecisionError, match="it has minutes from 2024-01-01T00:01Z to 2024-01-01T01:30Z of BTC"
    ):
        find(reader, f"{SYMBOLS[0]}@2024-01-01T01:31Z")
    with pytest.raises(UnknownDecisionError, match="holds no decision 'DOGE'"):
        find(reader, "DOGE")
    with pytest.raises(
        UnknownDecisionError, match="has no symbol 'DOGE'; it has BTC/USDT:USDT, ETH/USDT:USDT"
    ):
        find(reader, "last", symbol="DOGE")
    with pytest.raises(UsageError, match="go with last"):
        find(reader, f"{SYMBOLS[0]}@2024-01-01T01:07Z", symbol="BTC")


@given(MINUTE_TIMES, st.integers(0, 17))
def test_the_first_minute_of_a_beginning_is_never_after_one_that_begins_so(at_ms: int, letters: int) -> None:
    """Whatever part of a time is given: the look begins at or before every minute that begins so, and at one that does."""
    beginning = decision_id("", at_ms)[1:][:letters]
    least = least_ms(beginning)
    assert least <= at_ms
    if letters:
        spelled = datetime.fromtimestamp(least / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ").rjust(17, "0")
        assert spelled.startswith(beginning)
