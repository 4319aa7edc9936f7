"""The listen key's life."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.listen_key import VALID_SECONDS, ListenKey
from bot.simexchange.orders import Refusal


def made() -> ListenKey:
    """A key whose values are numbered."""
    numbers = count()
    return ListenKey(lambda: f"key{next(numbers)}")


def test_it_lasts_an_hour_and_as_long_as_it_is_renewed() -> None:
    """Valid until the hour is over; renewing moves the end; after it a new one is made."""
    key = made()
    assert key.current(0.0) is None
    assert key.open(0.0) == "key0"
    assert key.current(VALID_SECONDS - 1) == "key0"
    assert key.renew(VALID_SECONDS - 1) == "key0"
    assert key.open(2 * VALID_SECONDS - 2) == "key0"
    assert key.current(3 * VALID_SECONDS - 3) == "key0"
    assert key.current(3 * VALID_SECONDS - 2) is None
    with pytest.raises(Refusal, match="does not exist"):
        key.renew(3 * VALID_SECONDS - 2)
    assert key.open(3 * VALID_SECONDS) == "key1"


@given(st.lists(st.sampled_from(["open", "renew", "expire"])))
def test_a_key_that_ended_never_comes_back(steps: list[str]) -> None:
    """Whatever is done with it."""
    key, ended = made(), set()
    for step in steps:
        if step == "open":
            assert key.open(0.0) not in ended
        elif step == "expire" and (gone := key.expire()):
            ended.add(gone)
        elif step == "renew" and key.current(0.0):
            assert key.renew(0.0) not in ended
    assert key.current(0.0) not in ended
