"""Whether a request is meant for this machine, and how seldom refusals are told."""

from __future__ import annotations

import pytest

from bot.web.asgi import TELL_EVERY_SECONDS, Knocks, is_meant_for


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        (None, True),
        (b"127.0.0.1:8080", True),
        (b"LOCALHOST", True),
        (b"[::1]:80", True),
        (b"127.1.2.3:80", True),
        (b"example.org", False),
        (b"127.0.0.1.example.org:80", False),
        (b"localhost:80:80", False),
        (b"", False),
        (b"\xff\xfe", False),
    ],
)
def test_a_host_is_ours_or_not(host: bytes | None, ours: bool) -> None:
    """Names of the loopback and the address itself, with or without a port, and nothing else."""
    assert is_meant_for(host, "127.1.2.3") is ours


def test_refusals_are_told_once_a_minute_with_their_number() -> None:
    """The first at once; those of the next minute with the first after it."""
    now = [0]
    knocks = Knocks(lambda: now[0])
    assert knocks.count() == 1
    assert [knocks.count() for _ in range(5)] == [None] * 5
    now[0] = int(TELL_EVERY_SECONDS * 1e9)
    assert knocks.count() == 6
    assert knocks.count() is None
