"""One address with its queue and its thread."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.daemon.outlet import MOST_AT_ONCE, SEVERITIES, Message, Outlet, Post, joined


class Target:
    """What an outlet sends to; fails where it is told to, and can be held."""

    def __init__(self, faults: list[str | Exception] | None = None) -> None:
        self.faults = faults or []
        self.taken: list[Message] = []
        self.tries = 0
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def __call__(self, message: Message) -> str | None:
        self.entered.set()
        assert self.free.wait(20)
        self.tries += 1
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        self.taken.append(message)
        return None


class Rig:
    """An outlet, what came of its messages, and why they failed."""

    def __init__(self, target: Post | str, *, capacity: int = 100, attempts: int = 3) -> None:
        self.outcomes: Counter[str] = Counter()
        self.faults: list[tuple[str, str, int]] = []
        self.outlet = Outlet(
            "json-1",
            lambda: target,
            capacity=capacity,
            attempts=attempts,
            on_outcome=lambda outcome: self.outcomes.update([outcome]),
            on_fault=lambda *fault: self.faults.append(fault),
            first_wait_seconds=0.01,
        )


def note(text: object, level: str = "info") -> Message:
    """A message."""
    return Message(str(text), "body", level)


@pytest.fixture
def closing() -> Iterator[list[Rig]]:
    """Rigs that are closed at the end."""
    rigs: list[Rig] = []
    yield rigs
    for rig in rigs:
        rig.outlet.close(5)


def test_what_waits_together_is_sent_as_one_in_order(closing: list[Rig]) -> None:
    """The first goes at once; those that came meanwhile follow in one message."""
    target = Target()
    target.free.clear()
    closing.append(rig := Rig(target))
    rig.outlet.start()
    rig.outlet.put(note(0))
    assert target.entered.wait(20)
    for number in range(1, 4):
        rig.outlet.put(note(number))
    target.free.set()
    assert rig.outlet.close(20) == 0
    assert [message.title for message in target.taken] == ["0", "3 messages"]
    assert target.taken[1].body == "1\nbody\n\n2\nbody\n\n3\nbody"
    assert rig.outcomes == {"sent": 4}


@given(st.lists(st.sampled_from(SEVERITIES), min_size=1, max_size=MOST_AT_ONCE))
def test_several_messages_are_as_grave_as_the_gravest(levels: list[str]) -> None:
    """Nothing urgent hides among what is not."""
    one = joined([note(number, level) for number, level in enumerate(levels)])
    assert one.level == max(levels, key=SEVERITIES.index)


def test_a_message_that_fails_is_tried_again(closing: list[Rig]) -> None:
    """Whether the library says no or raises; the message is sent once."""
    target = Target(["no", ValueError("what?")])
    closing.append(rig := Rig(target))
    rig.outlet.put(note("a"))
    rig.outlet.start()
    while rig.outcomes.total() < 1:
        threading.Event().wait(0.005)
    assert target.tries == 3
    assert [message.title for message in target.taken] == ["a"]
    assert (rig.outcomes, rig.faults) == ({"sent": 1}, [])


def test_a_message_that_fails_for_good_is_told_and_the_next_is_tried(closing: list[Rig]) -> None:
    """After so many attempts it is given up, with the last reason."""
    target = Target(["no"] * 2 + [OSError("gone")])
    closing.append(rig := Rig(target))
    rig.outlet.put(note("a"))
    rig.outlet.start()
    while not rig.faults:
        threading.Event().wait(0.005)
    rig.outlet.put(note("b"))
    assert rig.outlet.close(20) == 0
    assert rig.faults == [("json-1", "OSError: gone", 1)]
    assert [message.title for message in target.taken] == ["b"]
    assert rig.outcomes == {"failed": 1, "sent": 1}


def test_a_full_line_drops_the_newest_and_counts(closing: list[Rig]) -> None:
    """A receiver that takes nothing costs a bounded queue, whatever is told."""
    target = Target()
    target.free.clear()
    closing.append(rig := Rig(target, capacity=5))
    rig.outlet.start()
    rig.outlet.put(note("first"))
    assert target.entered.wait(20)
    taken = [rig.outlet.put(note(number)) for number in range(1000)]
    assert taken == [True] * 5 + [False] * 995
    assert rig.outcomes == {"dropped": 995}
    target.free.set()
    assert rig.outlet.close(20) == 0
    assert rig.outcomes == {"dropped": 995, "sent": 6}


def test_an_end_does_not_wait_for_a_dead_receiver(closing: list[Rig]) -> None:
    """What is under way and what waits is counted as lost."""
    target = Target()
    target.free.clear()
    rig = Rig(target)
    rig.outlet.start()
    rig.outlet.put(note("under way"))
    assert target.entered.wait(20)
    rig.outlet.put(note("waiting"))
    assert rig.outlet.close(0.05) == 2
    assert not rig.outlet.put(note("too late"))
    target.free.set()


def test_an_end_makes_no_pauses(closing: list[Rig]) -> None:
    """While the bot ends a failed message is not tried again."""
    target = Target(["no"] * 9)
    rig = Rig(target, attempts=9)
    rig.outlet.put(note("a"))
    rig.outlet.finish()
    rig.outlet.start()
    assert rig.outlet.close(20) == 0
    assert target.tries == 1
    assert rig.outcomes == {"failed": 1}


@pytest.mark.parametrize("broken", [False, True])
def test_an_address_that_cannot_be_used_is_told_and_drops(closing: list[Rig], broken: bool) -> None:
    """Once, with its reason; whatever is meant for it is dropped from then on."""
    rig = Rig("apprise does not know it")
    if broken:

        def failing() -> str:
            raise ImportError("no apprise")

        rig.outlet._connect = failing
    closing.append(rig)
    rig.outlet.put(note("a"))
    rig.outlet.start()
    while not rig.faults:
        threading.Event().wait(0.005)
    reason = "ImportError: no apprise" if broken else "apprise does not know it"
    assert rig.faults == [("json-1", reason, 1)]
    assert not rig.outlet.put(note("b"))
    assert rig.outcomes == {"dropped": 2}
