"""Tests of the tree of exceptions: its exit codes are a contract."""

from __future__ import annotations

import inspect
import re

import pytest

from bot import errors

CODES = {
    "BotError": 1,
    "UsageError": 2,
    "NotRunningError": 3,
    "ConfigError": 4,
    "DataError": 5,
    "ModelError": 6,
    "HaltError": 7,
    "DifferenceError": 8,
    "TransientError": 1,
    "StorageError": 1,
    "EngineProtocolError": 1,
}


@pytest.mark.parametrize(("name", "code"), list(CODES.items()))
def test_every_error_ends_a_command_with_its_code(name: str, code: int) -> None:
    """The code, and one base that catches them all with the sentence kept."""
    kind = getattr(errors, name)
    with pytest.raises(errors.BotError, match="one clear sentence") as caught:
        raise kind("one clear sentence")
    assert caught.value.exit_code == code


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every exception of the module is drawn there with its code, and nothing else is."""
    drawn = {name: int(code) for name, code in re.findall(r"(\w+Error)\s+(\d)", errors.__doc__ or "")}
    defined = {
        name: kind.exit_code
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.BotError)
    }
    assert drawn == defined == CODES
