"""OKX's orders that the exchange has carried out but does not show yet: queries are answered as if they were not there. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.okx_codes import NOT_CANCELED, UNKNOWN_ORDER

_IDS = (("clOrdId", "ordId"), ("algoClOrdId", "algoId"))
"""Names of the client's id and of the exchange's number, of orders and of conditional ones."""


class OkxHiding:
    """What OKX's answers say while a desk hides orders."""

    def __init__(self, desk: FaultDesk) -> None:
        self._desk = desk

    def refusal(self, method: str, path: str, params: Mapping[str, str]) -> int | None:
        """The code for a request about an order that is hidden; None for any other."""
        if not self._desk.hides or (method == "POST" and "/cancel-" not in path):
            return None
        if not self._is_hidden(params):
            return None
        return NOT_CANCELED if method == "POST" else UNKNOWN_ORDER

    def shown(self, method: str, text: str) -> str | None:
        """An answer without the rows of hidden orders; None where nothing is to be left out.

        The answer to the order itself is complete, and tells which number is hidden.
        """
        try:
            answer = json.loads(text)
        except ValueError:
            return None
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            return None
        if method == "POST":
            for row in rows:
                self._learn(row)
            return None
        kept = [row for row in rows if not (isinstance(row, dict) and self._is_hidden(row))]
        return json.dumps({**answer, "data": kept}, separators=(",", ":")) if len(kept) < len(rows) else None

    def _learn(self, row: Any) -> None:
        for name, number in _IDS:
            if isinstance(row, dict) and row.get(name) and row.get(number):
                self._desk.name_number(str(row[name]), f"{number}:{row[number]}")

    def _is_hidden(self, row: Mapping[str, Any]) -> bool:
        return any(
            self._desk.hidden(str(row.get(name, "")))
            or self._desk.hidden_number(f"{number}:{row.get(number, '')}")
            for name, number in _IDS
        )
