"""Orders that the exchange has carried out but does not show yet: queries are answered as if they were not there. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.simexchange.fault_actions import text_of
from bot.simexchange.fault_desk import FaultDesk

NOT_FOUND = -2013
NOT_CANCELED = -2011
_GIVEN_IDS = ("origClientOrderId", "clientAlgoId", "listClientOrderId", "origListClientOrderId")
_GIVEN_NUMBERS = ("orderId", "algoId", "orderListId")
_SHOWN_IDS = ("clientOrderId", "clientAlgoId", "listClientOrderId")


class OrderHiding:
    """What answers say while a desk hides orders."""

    def __init__(self, desk: FaultDesk) -> None:
        self._desk = desk

    def refusal(self, method: str, params: Mapping[str, str]) -> tuple[int, str] | None:
        """Code and text for a request about an order that is hidden; None for any other."""
        if method == "POST" or not self._desk.hides:
            return None
        by_id = any(self._desk.hidden(params[name]) for name in _GIVEN_IDS if name in params)
        by_number = any(
            self._desk.hidden_number(f"{name}:{params[name]}") for name in _GIVEN_NUMBERS if name in params
        )
        if not by_id and not by_number:
            return None
        code = NOT_CANCELED if method == "DELETE" else NOT_FOUND
        return code, text_of(code, None)

    def shown(self, method: str, text: str) -> str | None:
        """An answer without the rows of hidden orders; None where nothing is to be left out.

        The answer to the order itself is complete, and tells which number is hidden.
        """
        try:
            answer = json.loads(text)
        except ValueError:
            return None
        if method == "POST":
            self._learn(answer)
            return None
        if not isinstance(answer, list):
            return None
        rows = [row for row in answer if not self._is_hidden(row)]
        return json.dumps(rows, separators=(",", ":")) if len(rows) < len(answer) else None

    def _learn(self, answer: Any) -> None:
        if not isinstance(answer, dict):
            return
        for name, number in (("clientOrderId", "orderId"), ("clientAlgoId", "algoId")):
            if name in answer and number in answer:
                self._desk.name_number(str(answer[name]), f"{number}:{answer[number]}")
        for report in answer.get("orderReports") or answer.get("orders") or []:
            self._learn(report)

    def _is_hidden(self, row: Any) -> bool:
        if not isinstance(row, dict):
            return False
        by_id = any(self._desk.hidden(str(row[name])) for name in _SHOWN_IDS if name in row)
        return by_id or any(
            self._desk.hidden_number(f"{name}:{row[name]}") for name in _GIVEN_NUMBERS if name in row
        )
