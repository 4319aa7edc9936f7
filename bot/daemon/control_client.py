"""Asks a running daemon, as `bot pause` and `bot healthcheck` do: finds it by its state folder, standard library only."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from bot.daemon.control_files import Address, read_address, read_token
from bot.daemon.lock import holder
from bot.errors import BotError, ConfigError, NotRunningError, TransientError

PATIENCE_SECONDS: Final = 15.0
LARGEST_ANSWER: Final = 10_000_000


class Answer(NamedTuple):
    """What the daemon said.

    Attributes:
        status: Of HTTP.
        body: JSON values.
    """

    status: int
    body: dict[str, Any]


def give_command(state_dir: Path, name: str, reason: str) -> dict[str, Any]:
    """Give a command to the daemon of a state folder; returns the state after it.

    Raises:
        NotRunningError: No daemon runs there.
        ConfigError: Its token can't be read by this user, or is not the daemon's.
        TransientError: It runs, and does not answer.
        BotError: It refused; the text says why.
    """
    token = read_token(state_dir)
    address = find_daemon(state_dir)
    if token is None:
        raise ConfigError(f"{state_dir / 'control.token'} can't be read: run this as the user of the daemon")
    answer = ask(address, "POST", f"/v1/{name}", token, {"reason": reason})
    if answer.status == 200:
        return answer.body
    said = str(answer.body.get("error", f"it answered with status {answer.status}"))
    if answer.status == 401:
        raise ConfigError(f"the daemon of {state_dir} refuses the token: {said}")
    raise BotError(said)


def read_health(state_dir: Path, patience_seconds: float = PATIENCE_SECONDS) -> Answer:
    """Whether the daemon of a state folder gets on: status 200 or 503, and the body that says how.

    Raises:
        NotRunningError: No daemon runs there.
        TransientError: It runs, and does not answer.
    """
    address = find_daemon(state_dir)
    return ask(address, "GET", "/v1/health", read_token(state_dir), None, patience_seconds)


def find_daemon(state_dir: Path) -> Address:
    """Where the daemon of a state folder listens.

    Raises:
        NotRunningError: No daemon runs there.
        TransientError: One runs that has no control API, or not yet.
    """
    running = holder(state_dir)
    if running is None:
        raise NotRunningError(
            f"no daemon is running on {state_dir}: start it with bot run, or name its folder with --state-dir"
        )
    address = read_address(state_dir)
    if address is None or address.pid != running:
        raise TransientError(
            f"the daemon of {state_dir} (process {running}) does not take commands: it is starting or stopping, "
            "or its control.enabled is false"
        )
    return address


def ask(
    address: Address,
    method: str,
    path: str,
    token: str | None,
    body: dict[str, Any] | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Answer:
    """One request; TransientError where no proper answer comes."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - asks, never listens
    connection = http.client.HTTPConnection(host, address.port, timeout=patience_seconds)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        found = json.loads(reply.read(LARGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransientError(
            f"the daemon (process {address.pid}) does not answer on {address.netloc}: {error or type(error).__name__}"
        ) from error
    finally:
        connection.close()
    return Answer(reply.status, found if isinstance(found, dict) else {})
