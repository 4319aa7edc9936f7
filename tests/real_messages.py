"""Comparing what the simulated exchange says with real replies and messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.shared_data import shared_file


def real_message(*parts: str, exchange: str = "binance") -> Any:
    """A real reply or message of an exchange."""
    return json.loads(shared_file("exchange", exchange, *parts).read_text())


def missing_keys(real: Any, ours: Any, place: str = "") -> list[str]:
    """The keys of a real message that ours lacks, by their paths; of lists the first elements are compared."""
    if isinstance(real, Mapping):
        if not isinstance(ours, Mapping):
            return [place or "."]
        return [
            path
            for key, value in real.items()
            for path in (
                missing_keys(value, ours[key], f"{place}.{key}") if key in ours else [f"{place}.{key}"]
            )
        ]
    if isinstance(real, list) and real:
        return missing_keys(real[0], ours[0], f"{place}[]") if ours else [f"{place}[]"]
    return []


def unified(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of one of ccxt's structures that hold something, and of which type it is."""
    return {key: _kind(value) for key, value in parsed.items() if key != "info" and value is not None}


def _kind(value: Any) -> Any:
    if isinstance(value, Mapping):
        return unified(value)
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else type(value).__name__
