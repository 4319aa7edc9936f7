"""Parameters as people give them are read in the type of what they replace, or refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ConfigError
from strategies.parameters import chosen_parameters, refuse_negative, refuse_wide


@dataclass(frozen=True)
class Some:
    """A number, a whole number and a truth."""

    share: float = 0.5
    count: int = 3
    strict: bool = True


SETS = {"default": Some(), "loose": Some(strict=False)}


@given(st.floats(0, 1), st.integers(0, 10**6), st.booleans())
def test_text_is_read_as_the_value_it_replaces(share: float, count: int, strict: bool):
    """What ``--set`` gives as text is the same as the value itself."""
    told = {"share": share, "count": count, "strict": strict}
    by_value = chosen_parameters("some", SETS, "default", told)
    by_text = chosen_parameters("some", SETS, "default", {key: str(value) for key, value in told.items()})
    assert by_value == by_text == Some(share, count, strict)
    assert [type(value) for value in (by_text.share, by_text.count, by_text.strict)] == [float, int, bool]


def test_a_set_is_where_it_starts():
    """What is not told is that of the set."""
    assert chosen_parameters("some", SETS, "loose", {"count": "4"}) == Some(count=4, strict=False)


@pytest.mark.parametrize(
    ("name", "told", "words"),
    [
        ("bold", {}, "some has no parameter set 'bold': use default, loose"),
        ("default", {"shar": 1}, "some has no parameter 'shar': did you mean share?"),
        ("default", {"zzz": 1}, "it has count, share, strict"),
        ("default", {"share": "nan"}, "some.share must be a finite number"),
        ("default", {"share": True}, "some.share must be a number"),
        ("default", {"count": 1.5}, "some.count must be a whole number"),
        ("default", {"strict": "yes"}, "some.strict must be true or false"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, told: dict[str, object], words: str):
    """Strategy, parameter and value are in the sentence."""
    with pytest.raises(ConfigError) as refused:
        chosen_parameters("some", SETS, name, told)
    assert words in str(refused.value)


def test_ranges_are_checked_by_name():
    """Below 0, and distances that are no fractions."""
    with pytest.raises(ConfigError, match=r"some\.count must not be negative, and is -1"):
        refuse_negative("some", Some(count=-1))
    for share in (0.0, 1.0):
        with pytest.raises(ConfigError, match=r"some\.share must lie between 0 and 1"):
            refuse_wide("some", Some(share=share), "share")
