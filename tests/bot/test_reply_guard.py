"""Replies that are no replies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.errors import DataError
from bot.reply_guard import guard_replies


class Asked:
    """Answers everything with one thing."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply
        self.calls: list[tuple[Any, ...]] = []

    async def request(self, path: str, api: Any, method: str, params: Any, config: Any) -> Any:
        """Answer."""
        self.calls.append((path, api, method, params, config))
        return self.reply


def reply_to(reply: Any, path: str, method: str = "GET") -> Any:
    """What comes through."""
    exchange = Asked(reply)
    guard_replies(exchange, frozenset({"openOrders"}))
    answer = asyncio.run(exchange.request(path, "private", method, {"a": 1}, config={"cost": 2}))
    assert exchange.calls == [(path, "private", method, {"a": 1}, {"cost": 2})]
    return answer


@pytest.mark.parametrize(
    ("path", "reply"),
    [("openOrders", []), ("openOrders", [{"id": 1}]), ("account", {"a": 1}), ("brackets", [1]), ("key", {})],
)
def test_a_reply_of_its_form_comes_through_as_it_is(path: str, reply: Any) -> None:
    """Rows where rows are asked for, and JSON elsewhere, are handed on untouched, and the request as well."""
    assert reply_to(reply, path) is reply


@pytest.mark.parametrize(
    ("path", "reply", "words"),
    [
        ("openOrders", "<html>busy</html>", "a text that begins '<html>busy"),
        ("openOrders", {"orders": []}, "dict"),
        ("openOrders", [{"id": 1}, None], "a list of NoneType, dict"),
        ("openOrders", None, "NoneType"),
        ("account", "<html>", "a text"),
        ("account", None, "NoneType"),
    ],
)
def test_another_form_is_refused_with_what_it_was(path: str, reply: Any, words: str) -> None:
    """A page, nothing, or rows of nothing are no answer."""
    with pytest.raises(DataError, match=words):
        reply_to(reply, path)


def test_an_answer_to_a_command_is_no_list_of_rows() -> None:
    """A path that lists when it is asked answers a command on it with a structure."""
    assert reply_to({"code": 200}, "openOrders", "DELETE") == {"code": 200}
