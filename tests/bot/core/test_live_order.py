"""The table of an order's life on the exchange."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.live_order import (
    MOVES,
    Asked,
    LiveOrder,
    Move,
    Phase,
    live_order_from_json,
    live_order_to_json,
)
from bot.core.orders import OrderRecord
from bot.core.venue import VenueStatus
from bot.errors import EngineProtocolError
from tests.core_builders import order

OURS = (Move.SEND, Move.AGAIN, Move.DROP, Move.COMPLETE)


@pytest.mark.parametrize("move", list(Move))
@pytest.mark.parametrize("phase", list(Phase))
def test_every_move_follows_the_table_and_no_other(phase: Phase, move: Move) -> None:
    """What the table does not have changes nothing; it raises where the move was our own."""
    live = LiveOrder(order(), phase=phase)
    after = MOVES.get((phase, move))
    if after is not None:
        assert live.move(move)
        assert live.phase is after
    elif move in OURS:
        with pytest.raises(EngineProtocolError, match="no "):
            live.move(move)
        assert live.phase is phase
    else:
        assert not live.move(move)
        assert live.phase is phase


def test_nothing_leads_out_of_done_and_everything_leads_there() -> None:
    """An order that is over stays over; none is stuck for ever."""
    assert not [pair for pair in MOVES if pair[0] is Phase.DONE]
    reach = {Phase.DONE}
    for _ in Phase:
        reach |= {before for (before, _), after in MOVES.items() if after in reach}
    assert reach == set(Phase)


def test_only_what_was_absent_for_sure_is_sent_again() -> None:
    """SENT is reached from PLANNED alone, and PLANNED from UNCERTAIN by AGAIN alone."""
    assert [pair for pair, after in MOVES.items() if after is Phase.SENT] == [(Phase.PLANNED, Move.SEND)]
    assert [pair for pair, after in MOVES.items() if after is Phase.PLANNED] == [
        (Phase.UNCERTAIN, Move.AGAIN)
    ]


@given(moves=st.lists(st.sampled_from([move for move in Move if move not in OURS]), max_size=20))
def test_words_of_the_exchange_never_take_an_order_back(moves: list[Move]) -> None:
    """In whatever order they come, an order that was seen is never uncertain, refused or unsent again."""
    live = LiveOrder(order(), phase=Phase.SENT)
    seen = False
    for move in moves:
        live.move(move)
        seen = seen or live.phase in {Phase.OPEN, Phase.CLOSING}
        assert not seen or live.phase in {Phase.OPEN, Phase.CLOSING}


@given(
    phase=st.sampled_from(list(Phase)),
    asked=st.sampled_from(list(Asked)),
    final=st.none() | st.sampled_from(list(VenueStatus)),
    filled=st.floats(0, 1),
    look_ms=st.none() | st.integers(0, 2**45),
    told=st.booleans(),
)
def test_an_order_as_json_comes_back_the_same(
    phase: Phase, asked: Asked, final: VenueStatus | None, filled: float, look_ms: int | None, told: bool
) -> None:
    """Every field, exactly."""
    intent = order()
    live = LiveOrder(intent, OrderRecord(intent) if told else None, phase, asked, 5, ["7", "8"], filled)
    live.final, live.look_ms, live.words, live.twin_id = final, look_ms, "because", "twin"
    text = json.dumps(live_order_to_json(live), allow_nan=False)
    assert live_order_from_json(json.loads(text)) == live
