"""One WebSocket client of OKX: what it has subscribed to, and whether it has logged in."""

from __future__ import annotations

import json
from typing import Any

from bot.simexchange.fault_stream import Line
from bot.simexchange.user_session import UserSession

Arg = dict[str, Any]
"""What a subscription names: ``channel``, and ``instId`` or ``instType``."""


class OkxSession(UserSession):
    """A session of any of the three addresses; its client keeps it up with the text ``ping``.

    Attributes:
        place: ``public``, ``private`` or ``business``.
        logged_in: Whether it may listen to the account.
        args: Its subscriptions, by their JSON text.
    """

    def __init__(self, socket: Any, line: Line, key: str = "") -> None:
        """``key``: the place, by the end of the URL."""
        super().__init__(socket, line, key)
        self.place = key
        self.logged_in = False
        self.args: dict[str, Arg] = {}

    def listens(self, channel: str, inst_id: str) -> list[str]:
        """Its subscriptions, as texts, that a message of a channel about an instrument belongs to."""
        return [
            text
            for text, arg in self.args.items()
            if arg["channel"] == channel
            and (not inst_id or arg.get("instId") in {None, "", inst_id})
            and arg.get("instType", "SWAP") in {"SWAP", "ANY"}
        ]

    async def answer_ping(self) -> None:
        """Answer the text ``ping``, beside what is queued, unless the line is deaf."""
        if not self.line.deaf:
            await self.socket.send_str("pong")


def text_of(arg: Arg) -> str:
    """A subscription as a text that is the same for the same one."""
    return json.dumps(arg, separators=(",", ":"), sort_keys=True)
