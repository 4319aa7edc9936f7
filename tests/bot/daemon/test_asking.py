"""Questions that may have no answer."""

from __future__ import annotations

import pytest
from ccxt.base import errors as ccxt_errors

from bot.daemon import asking
from bot.daemon.asking import OPTIONAL_TRIES, Asker
from bot.daemon.doctor import Unknown
from bot.errors import EngineProtocolError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No test waits."""
    monkeypatch.setattr(asking, "PAUSE_SECONDS", 0.0)


class Question:
    """Fails as told, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    async def __call__(self) -> int:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return 42


async def test_what_passes_is_asked_again():
    """A failure of the network is asked again, after what may mend it; a refusal is not."""
    mended = []

    async def mend() -> None:
        mended.append(1)

    question = Question(ccxt_errors.RequestTimeout("late"), ccxt_errors.InvalidNonce("-1021"))
    assert await Asker(mend).ask(question) == 42
    assert (question.asked, len(mended)) == (3, 2)
    refused = Question(ccxt_errors.AuthenticationError("-2015"))
    assert await Asker(mend).ask(refused) == Unknown("AuthenticationError: -2015", may_pass=False)
    assert refused.asked == 1


async def test_patience_has_an_end():
    """After so many tries the reason is the fact; what is only good to know has fewer."""
    late = [ccxt_errors.RequestTimeout("late") for _ in range(9)]
    question = Question(*late)
    assert await Asker(tries=4).ask(question) == Unknown("RequestTimeout: late", may_pass=True)
    assert question.asked == 4
    question = Question(*late)
    await Asker(tries=4).ask(question, needed=False)
    assert question.asked == OPTIONAL_TRIES


async def test_a_reply_that_cannot_be_read_is_an_unknown_fact():
    """A missing field, as of a proxy's page, is asked again, and then told in one line of bounded length."""
    once = Question(KeyError("multiAssetsMargin"))
    assert (await Asker().ask(once), once.asked) == (42, 2)
    fact = await Asker(tries=2).ask(Question(KeyError("multiAssetsMargin"), KeyError("multiAssetsMargin")))
    assert isinstance(fact, Unknown)
    assert not fact.may_pass
    fact = await Asker(tries=1).ask(Question(ccxt_errors.ExchangeNotAvailable("<html>\n" + "x" * 9999)))
    assert isinstance(fact, Unknown)
    assert len(fact.reason) <= 300
    assert "\n" not in fact.reason


async def test_a_bug_is_raised():
    """What is none of an exchange's failures is not an unknown fact."""
    with pytest.raises(EngineProtocolError):
        await Asker().ask(Question(RuntimeError("ours")))


async def test_what_cannot_be_mended_is_asked_again_all_the_same():
    """A clock that can't be set anew does not hide the answer that comes."""

    async def mend() -> None:
        raise ccxt_errors.RequestTimeout("late too")

    assert await Asker(mend).ask(Question(ccxt_errors.RequestTimeout("late"))) == 42
