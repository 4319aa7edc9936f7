"""Every exception that this project raises on purpose, and the exit code that each one ends a command with.

::

    BotError                  1   the base; a command that fails for another reason exits with 1 too
    ├── UsageError            2   the words of the command are off
    ├── NotRunningError       3   no daemon answers for this state folder
    ├── ConfigError           4   a setting is wrong: refuse to start
    ├── DataError             5   candles are wrong: drop the window, or refuse the file
    ├── ModelError            6   a model artifact is refused
    ├── HaltError             7   stop trading, keep running
    ├── DifferenceError       8   parity or an audit found a difference
    ├── TransientError        1   the outside world failed in a way that a retry may mend
    ├── StorageError          1   the disk refused: full, read-only, gone
    └── EngineProtocolError   1   our own bug: the engine was driven out of order; crash

A refusal (risk) or a hold (strategy) is a value, never an exception.
"""

from __future__ import annotations

from bot.redaction import redacted


class BotError(Exception):
    """The base of every exception raised on purpose; its text is one clear sentence for a person, without a secret."""

    exit_code = 1

    def __init__(self, *args: object) -> None:
        super().__init__(*(redacted(word) if isinstance(word, str) else word for word in args))


class UsageError(BotError):
    """The words of a command are off."""

    exit_code = 2


class NotRunningError(BotError):
    """No daemon is running for this state folder."""

    exit_code = 3


class ConfigError(BotError):
    """A setting is missing, unknown or out of range; names the file and the field."""

    exit_code = 4


class DataError(BotError):
    """Candles or predictions are malformed; names the file and the row or column."""

    exit_code = 5


class ModelError(BotError):
    """A model artifact is incomplete, altered or of another feature set; it is not loaded."""

    exit_code = 6


class HaltError(BotError):
    """Trading must stop; the program keeps running."""

    exit_code = 7


class DifferenceError(BotError):
    """Two things that must be equal are not; names the first difference."""

    exit_code = 8


class TransientError(BotError):
    """The network or an exchange failed in a way that a retry may mend."""


class StorageError(BotError):
    """The disk refused a write; what was stored before is as it was."""


class EngineProtocolError(BotError):
    """The engine was driven out of order: a bug of ours, never to be caught."""
