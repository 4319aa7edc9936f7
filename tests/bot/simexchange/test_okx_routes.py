"""How parameters of OKX's routes are read, and how often they may be asked."""

from __future__ import annotations

import pytest

from bot.simexchange.okx_routes import OkxLimits, number_of_rows, text, whole
from bot.simexchange.orders import Refusal


def test_one_request_too_many_in_two_seconds_is_refused() -> None:
    """Each route by itself, until the stretch is over; limits that are not enforced refuse nothing."""
    limits = OkxLimits(enforced=True)
    for _ in range(3):
        limits.charge(10.0, "a", 3)
    limits.charge(10.0, "b", 3)
    with pytest.raises(Refusal) as told:
        limits.charge(11.9, "a", 3)
    assert (told.value.code, told.value.status) == (50011, 429)
    limits.charge(12.0, "a", 3)
    loose = OkxLimits(enforced=False)
    for _ in range(9):
        loose.charge(10.0, "a", 3)


def test_values_of_json_and_of_queries_are_read_alike() -> None:
    """Booleans and numbers of a body are the words of a query."""
    assert [text({"a": value}, "a") for value in (True, False, None, 5, "x")] == [
        "true",
        "false",
        "",
        "5",
        "x",
    ]
    assert text({}, "a") == ""
    assert (whole({"a": 5}, "a"), whole({"a": "5"}, "a"), whole({}, "a")) == (5, 5, None)
    assert (number_of_rows({}), number_of_rows({"limit": "7"}), number_of_rows({"limit": 500})) == (
        100,
        7,
        100,
    )


@pytest.mark.parametrize("given", [{"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"limit": "²"}])
def test_a_wrong_number_is_named(given: dict[str, str]) -> None:
    """With OKX's code and the parameter's name."""
    with pytest.raises(Refusal, match="Parameter limit error") as told:
        number_of_rows(given)
    assert told.value.code == 51000
