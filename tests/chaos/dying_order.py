"""``bot``, killed by itself at a point of an order's life: ``python -m tests.chaos.dying_order run …``.

``DIE_AT`` says where, ``DIE_LEG`` of which order: the first one whose id ends in that letter.

===========  ==================================================================================================
``intent``   the journal has it, nothing was sent
``send``     the exchange has carried it out, and nothing of its answer or its executions was taken in
``ack``      its answer was taken in and journaled, none of its executions was
``fill``     its execution was taken in and journaled, nothing that follows from it was sent
===========  ==================================================================================================
"""

from __future__ import annotations

import os
import signal
import sys

from bot.core.venue import OrderSeen, PlaceOrder, PlacePair, TradeSeen, VenueCommand, VenueEvent
from bot.daemon.live import LiveBroker

_point, _leg = os.environ["DIE_AT"], os.environ["DIE_LEG"]
_perform, _deliver = LiveBroker._perform, LiveBroker.deliver
_chosen: list[str] = []


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _names(command: VenueCommand) -> list[str]:
    if isinstance(command, PlaceOrder):
        return [command.intent.client_order_id]
    if isinstance(command, PlacePair):
        return [command.stop.client_order_id, command.target.client_order_id]
    return []


async def _performing(broker: LiveBroker, command: VenueCommand) -> None:
    if not _chosen:
        _chosen.extend(name for name in _names(command) if name.endswith(_leg))
        if _chosen and _point == "intent":
            _die()
    if not (_chosen and _chosen[0] in _names(command)):
        await _perform(broker, command)
        return
    for event in await broker._gateway.perform(command):
        if _point == "send":
            _die()
        broker.deliver(event)


def _delivering(broker: LiveBroker, event: VenueEvent) -> None:
    if not _chosen or _point == "intent":
        _deliver(broker, event)
    elif _point == "fill":
        _deliver(broker, event)
        if isinstance(event, TradeSeen) and event.fill.client_order_id == _chosen[0]:
            _die()
    elif _point == "ack" and isinstance(event, OrderSeen) and event.client_order_id == _chosen[0]:
        _deliver(broker, event)
        _die()


LiveBroker._perform = _performing  # type: ignore[method-assign,assignment]
LiveBroker.deliver = _delivering  # type: ignore[method-assign,assignment]

if __name__ == "__main__":
    from bot.cli import main

    sys.exit(main())
