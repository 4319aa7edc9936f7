"""An hour of live trading in which nothing goes wrong, and the same hour with faults.

The market waits for the bot, so no time of the market passes while something is cleared up: a position without a stop for
a minute of the market is a bug, whatever the machine is busy with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.live_rig import LiveTape, assert_agreement, make_tape, outcome, prepare, run, said
from tests.order_rig import PROTECTION_MS, assert_no_secrets, naked_ms

SEED = 7
MINUTES = 105
SETTINGS: Final = {"execution.lookup_seconds": 6}
USDM, SPOT = "usdm", "spot"
PLACING: Final = {USDM: "POST /fapi/v1/order", SPOT: "POST /api/v3/order"}
PROTECTING: Final = {USDM: "POST /fapi/v1/algoOrder", SPOT: "POST /api/v3/orderList/oco"}


class Calm(NamedTuple):
    """A market, and what is traded on it while nothing goes wrong."""

    tape: LiveTape
    books: dict[str, Any]

    @property
    def trades(self) -> list[Any]:
        """Its round trips."""
        return list(self.books["trades"])


def live_calmly(folder: Path, kind: str) -> Calm:
    """The hour without a fault."""
    tape = make_tape(folder / "tape", seed=SEED, minutes=MINUTES, spot=kind == SPOT)
    state = prepare(folder / "state")
    run(state, tape, settings=SETTINGS)
    assert_agreement(state, tape)
    calm = Calm(tape, outcome(state))
    assert len(calm.trades) >= 3
    return calm


def disturbed(
    folder: Path,
    tape: LiveTape,
    faults: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any] = {},
) -> tuple[Path, dict[str, Any]]:
    """The same hour with faults; the books agree at its end, and nothing was held without a stop for a minute."""
    state = prepare(folder / "state")
    run(state, tape, faults=faults, settings={**SETTINGS, **settings})
    return state, assert_sound(state, tape, PROTECTION_MS)


def assert_sound(state: Path, tape: LiveTape, bound_ms: float) -> dict[str, Any]:
    """The books agree, nothing was naked for longer than that, and the keys are nowhere; gives the truth."""
    theirs = assert_agreement(state, tape)
    assert naked_ms(theirs, tape) <= bound_ms, said(state)
    assert_no_secrets(state)
    return theirs


def fault(name: str, action: str | Mapping[str, Any], **match: Any) -> dict[str, Any]:
    """An entry of a fault plan."""
    return {"name": name, "match": match, "action": action}
