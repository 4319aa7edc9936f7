"""Commands from a chat, over real sockets: who is heard, what is done once, what is refused, and what Telegram does wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.clock import monotonic_ns, wall_ms
from bot.daemon.commanding import CommandDesk
from bot.daemon.control_reads import Recordings
from bot.daemon.telegram import TelegramDesk, TelegramRules
from bot.daemon.telegram_api import LARGEST_REPLY
from bot.daemon.telegram_mark import MARK_FILE
from bot.errors import EngineProtocolError, TransientError
from bot.redaction import forget_secrets, redacted
from tests import canary
from tests.bot.daemon.test_control import Notebook
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, Silent, random_market, random_predictions
from tests.telegram_stand_in import CHAT, STRANGER, TOKEN, Canned, TelegramStandIn, refusal, telegram


@pytest.fixture(autouse=True)
def forgotten():
    """Leave no secret behind."""
    yield
    forget_secrets()


class Listening:
    """A desk that listens to a stand-in."""

    def __init__(self, folder: Path, server: TelegramStandIn) -> None:
        self.folder = folder
        self.server = server
        self.operator = Notebook()
        self.log = Silent()
        self.shift_ms = 0
        self.rules = TelegramRules(
            TOKEN, frozenset({CHAT}), server.url, 1.0, 60.0, 0.01, 0.05, 0.05, least_seconds=0.005
        )

    def now_ms(self) -> int:
        return wall_ms() + self.shift_ms

    def events(self, name: str) -> list[dict[str, Any]]:
        return [fields for event, fields in self.log.lines if event == name]

    def say(self, text: str, *, age_seconds: float = 0.0, **more: Any) -> int:
        return self.server.say(text, sent_ms=self.now_ms() - int(age_seconds * 1000), **more)

    @asynccontextmanager
    async def on(self) -> AsyncIterator[None]:
        """It listens while the block runs."""
        desk = TelegramDesk(
            self.rules,
            self.operator,
            CommandDesk(self.operator, self.log),
            Recordings(self.folder / "journal.sqlite", None),
            self.folder,
            self.log,
            self.now_ms,
            monotonic_ns,
        )
        stop = asyncio.Event()
        serving = asyncio.create_task(desk.serve(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(serving, 10)

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so, and not for ever."""
        async with asyncio.timeout(20):
            while not happened():
                await asyncio.sleep(0.005)

    async def answers(self, count: int) -> list[str]:
        """The texts of so many answers."""
        await self.until(lambda: len(self.server.sent) >= count)
        return [text for _, text in self.server.sent]


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Listening]:
    """A desk that listens while the block runs."""
    async with telegram() as server:
        one = Listening(folder, server)
        async with one.on():
            yield one
    said = json.dumps([one.log.lines, one.server.sent], default=str)
    canary.assert_nowhere([folder], [said], secrets=[TOKEN])


# --- what it does -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pause", "resume", "halt", "flatten"])
async def test_a_command_of_an_allowed_chat_is_carried_out_with_its_reason_and_origin(
    tmp_path: Path, name: str
) -> None:
    """It reaches the operator as one of the control API does, is told in the log, and answered with what was done."""
    async with listening(tmp_path) as one:
        one.say(f"/{name} going\n  away")
        (text,) = await one.answers(1)
        assert one.operator.given == [(name, "going away")]
        assert one.operator.origins == [f"telegram chat {CHAT} user 42"]
        assert text.startswith(f"{name}: done. state {one.operator.state}")
        assert one.events("control.commanded")[0]["origin"] == f"telegram chat {CHAT} user 42"


async def test_questions_are_answered_from_what_is_known(tmp_path: Path) -> None:
    """Status, trades and help; none of the answers holds a word that a tap would send."""
    candles = random_market(61, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(61, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    async with listening(tmp_path) as one:
        for word in ("/status", "/trades", "/HELP@Desk_Bot", "/start"):
            one.say(word)
        status, trades, helped, started = await one.answers(4)
        assert "state trading" in status
        assert trades.startswith("the last 10 trades:\n")
        assert "flatten" in helped
        assert started == helped
        assert not any("/" in word[:1] for text in (status, trades, helped) for word in text.split())


async def test_a_wrong_word_does_nothing_and_is_told(tmp_path: Path) -> None:
    """A slip of the finger is no command, nor is talk, nor a word for another bot of the group."""
    async with listening(tmp_path) as one:
        for text in ("flatten", "please /flatten", "/flatten@other_bot", "", "/fltten", "/"):
            one.say(text)
        answers = await one.answers(2)
        assert "Did you mean flatten?" in answers[0]
        assert "nothing was done" in answers[0]
        assert one.operator.given == []


async def test_a_stranger_is_not_heard_and_gets_no_answer(tmp_path: Path) -> None:
    """Nothing is done, nothing is answered, and a night of it is one line of the log."""
    async with listening(tmp_path) as one:
        for _ in range(30):
            one.say("/flatten", chat=STRANGER)
        one.say("/status")
        await one.answers(1)
        assert one.operator.given == []
        assert {chat for chat, _ in one.server.sent} == {CHAT}
        assert one.events("telegram.refused") == [{"chat_id": STRANGER, "user_id": 42, "count": 1}]


async def test_a_refused_command_and_a_bug_are_answered_and_end_nothing(tmp_path: Path) -> None:
    """What the operator raises is told; it listens on."""
    async with listening(tmp_path) as one:
        one.operator.fault = TransientError("the exchange does not answer")
        one.say("/flatten")
        assert await one.answers(1) == ["flatten: NOT done: the exchange does not answer"]
        one.operator.fault = EngineProtocolError("out of order")
        one.say("/halt")
        assert (await one.answers(2))[1] == "halt: it failed; the log says why"
        assert one.events("telegram.broken")
        one.operator.fault = None
        one.say("/trades")
        one.say("/pause")
        assert (await one.answers(4))[2].startswith("trades: there is no journal")
        assert one.operator.given == [("pause", "by hand")]


# --- once, and not too late -------------------------------------------------------------------------------


async def test_a_command_is_carried_out_once_whatever_is_sent_again(tmp_path: Path) -> None:
    """The same update in one reply, in the next reply and after a restart; and out of order is put in order."""
    async with telegram() as server:
        one = Listening(tmp_path, server)
        server.forget = False
        one.say("/halt second", update_id=901)
        one.say("/pause first", update_id=900)
        server.updates.append(server.updates[0])
        async with one.on():
            await one.until(lambda: len(one.operator.given) >= 2)
            await one.until(lambda: server.count("getUpdates") > 5)
        assert one.operator.given == [("pause", "first"), ("halt", "second")]
        async with one.on():
            before = server.count("getUpdates")
            await one.until(lambda: server.count("getUpdates") > before + 5)
        assert len(one.operator.given) == 2
        assert stat.S_IMODE((tmp_path / MARK_FILE).stat().st_mode) == 0o600
        assert TOKEN.partition(":")[2] not in (tmp_path / MARK_FILE).read_text()


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"bot": 7654321, "next_id": true, "at_ms": 1}', "\x00", None]
)
async def test_what_was_sent_before_the_start_is_refused_and_said_so(
    tmp_path: Path, kept: str | None
) -> None:
    """Also where the file that says how far we were is damaged, or of another bot, or gone."""
    if kept is not None:
        (tmp_path / MARK_FILE).write_text(kept)
    async with telegram() as server:
        one = Listening(tmp_path, server)
        one.say("/flatten", age_seconds=30)
        one.say("/resume", age_seconds=20)
        async with one.on():
            (text,) = await one.answers(1)
        assert one.operator.given == []
        assert text.startswith("NOT carried out")
        assert text.count("it was sent before the bot started") == 2
        assert [line["command"] for line in one.events("telegram.stale")] == ["flatten", "resume"]


async def test_what_comes_late_forwarded_or_from_the_future_is_refused(tmp_path: Path) -> None:
    """A command that was held up is not carried out; nor one that was written elsewhere."""
    async with listening(tmp_path) as one:
        one.shift_ms = 3_600_000
        one.say("/flatten", age_seconds=120)
        one.say("/flatten", forward_origin={"type": "user"})
        one.say("/flatten", age_seconds=-300)
        one.server.add(
            {"update_id": 9_000, "message": {"chat": {"id": CHAT}, "text": "/flatten", "date": "soon"}}
        )
        await one.until(lambda: len(one.events("telegram.stale")) == 4)
        said = "\n".join(await one.answers(1))
        await one.until(lambda: "future" in "\n".join(text for _, text in one.server.sent))
        assert one.operator.given == []
        assert "NOT carried out" in said


async def test_the_mark_is_kept_before_it_acts(tmp_path: Path) -> None:
    """A bot that dies while it carries a command out does not carry it out again."""
    async with listening(tmp_path) as one:
        one.operator.hold = asyncio.Event()
        number = one.say("/flatten")
        await one.until((tmp_path / MARK_FILE).exists)
        assert json.loads((tmp_path / MARK_FILE).read_text())["next_id"] == number + 1
        assert one.operator.given == []
        one.operator.hold.set()
        await one.answers(1)


async def test_a_folder_that_cannot_be_written_is_told_and_stops_no_command(tmp_path: Path) -> None:
    """A halt is more urgent than a mark; what is old is refused by its date all the same."""
    (tmp_path / MARK_FILE).mkdir()
    async with listening(tmp_path) as one:
        one.say("/halt")
        await one.answers(1)
        assert one.operator.given == [("halt", "by hand")]
        assert len(one.events("telegram.unmarked")) == 1


# --- what Telegram does wrong -----------------------------------------------------------------------------

NOISE = (
    Canned(200, b"{"),
    Canned(200, b""),
    Canned(200, b"[]"),
    Canned(200, b"\xff\xfe\x00"),
    Canned(200, b"[" * 5000),
    Canned(200, b'{"ok": true, "result": 7}'),
    Canned(200, b'{"ok": "yes", "result": []}'),
    Canned(200, b'{"ok": false}'),
    Canned(502, b"<html>bad gateway</html>"),
    Canned(302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
    Canned(200, b'{"ok": true, "result": [' + b" " * (LARGEST_REPLY + 1) + b"]}"),
    Canned(200, gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}),
    Canned(200, b'{"ok": true, "result": [', cut=True),
    refusal(409, "Conflict: terminated by other getUpdates request"),
    refusal(429, "Too Many Requests", retry_after=0.02),
    refusal(429, "Too Many Requests", retry_after="soon"),
    refusal(500, "x" * 5000),
)


async def test_noise_instead_of_messages_ends_nothing(tmp_path: Path) -> None:
    """Malformed, huge, packed, cut, redirected and refused replies: it waits, asks again, and carries the next command out."""
    async with listening(tmp_path) as one:
        await one.until(lambda: one.events("telegram.started"))
        one.server.answer_next("getUpdates", *NOISE)
        await one.until(lambda: not one.server.canned["getUpdates"])
        one.say("/halt after all that")
        await one.answers(1)
        assert one.operator.given == [("halt", "after all that")]
        assert len(one.events("telegram.failing")) == 1  # and not once for each
        assert len(one.events("telegram.going_again")) == 1
        assert not one.events("telegram.broken")
        assert all(path.startswith(f"/bot{TOKEN}/") for path in one.server.paths)


UPDATES: tuple[Any, ...] = (
    None,
    7,
    [],
    {},
    {"update_id": "x"},
    {"update_id": True, "message": {}},
    {"update_id": 2**70, "message": {}},
    {"update_id": -5, "message": {}},
    {"update_id": 600},
    {"update_id": 601, "message": None},
    {"update_id": 602, "message": {"chat": 7, "text": "/flatten"}},
    {"update_id": 603, "message": {"chat": {"id": "1001"}, "text": "/flatten"}},
    {"update_id": 604, "message": {"chat": {"id": CHAT}, "text": ["/flatten"]}},
    {"update_id": 605, "edited_message": {"chat": {"id": CHAT}, "text": "/flatten"}},
)


async def test_what_is_no_message_is_passed_over(tmp_path: Path) -> None:
    """Updates of every wrong shape, beside a right one: that one is carried out, and none of them."""
    async with listening(tmp_path) as one:
        for update in UPDATES:
            one.server.add(update)
        one.say("/halt", update_id=700)
        await one.answers(1)
        assert one.operator.given == [("halt", "by hand")]
        assert not one.events("telegram.broken")


@pytest.mark.parametrize("code", [401, 404])
async def test_a_refused_token_is_an_error_told_once(tmp_path: Path, code: int) -> None:
    """It asks again now and then, for a token may come back; the log says it once, and never the token."""
    async with telegram() as server:
        one = Listening(tmp_path, server)
        server.answer_next("getMe", *[refusal(code, f"no bot{TOKEN} here")] * 4)
        async with one.on():
            await one.until(lambda: one.events("telegram.started"))
        assert len(one.events("telegram.token_refused")) == 1
        shown = redacted(str(one.log.lines))  # what the log does with every line
        canary.assert_nowhere([tmp_path], [shown], secrets=[TOKEN])


async def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    """``retry_after`` of a refusal is the least that it waits, and an absurd one is cut to an hour."""
    async with telegram() as server:
        one = Listening(tmp_path, server)
        server.answer_next("getMe", refusal(429, retry_after=10**9))
        async with one.on():
            await one.until(lambda: one.events("telegram.failing"))
            assert one.events("telegram.failing")[0]["wait_seconds"] == 3600.0
            assert server.count("getMe") == 1


async def test_an_answer_is_tried_again_and_given_up_in_time(tmp_path: Path) -> None:
    """A chat that blocked the bot costs one try, a moment's refusal another; the command is carried out all the same."""
    async with listening(tmp_path) as one:
        one.server.answer_next("sendMessage", refusal(403, "bot was blocked by the user"))
        one.say("/halt")
        await one.until(lambda: one.events("telegram.unanswered"))
        assert one.server.count("sendMessage") == 1
        one.server.answer_next("sendMessage", refusal(429, retry_after=0.01))
        one.say("/pause")
        await one.answers(1)
        assert one.operator.given == [("halt", "by hand"), ("pause", "by hand")]


async def test_nobody_there_is_no_fault_of_the_daemon(tmp_path: Path) -> None:
    """A server that cannot be reached is told once, without its address, and the desk ends in order when it is told to."""
    server = TelegramStandIn()
    server.url = "http://127.0.0.1:9"
    one = Listening(tmp_path, server)
    async with one.on():
        await one.until(lambda: one.events("telegram.failing"))
    assert "cannot be reached" in one.events("telegram.failing")[0]["cause"]
    canary.assert_nowhere([tmp_path], [str(one.log.lines)], secrets=[TOKEN])
