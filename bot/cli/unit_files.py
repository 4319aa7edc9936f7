"""Unit files of systemd: a template's text with other values, quoted so that odd paths stay what they are. Pure.

What is quoted how: systemd.syntax(7), systemd.unit(5) (``%`` begins a specifier), systemd.service(5) (``$`` in a command line
begins a variable; the program itself is taken as it is).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from bot.errors import ConfigError

Changes: TypeAlias = Mapping[str, Sequence[str]]
"""New values of a key, one line each; none takes the key out."""

DIGEST: Final = (
    "# Written by bot install-service; change it by `systemctl edit`, not here. Digest of the rest: "
)

SYSTEM_ONLY: Final = frozenset(
    {
        "AmbientCapabilities",
        "CapabilityBoundingSet",
        "DevicePolicy",
        "Group",
        "IPAddressAllow",
        "IPAddressDeny",
        "LoadCredential",
        "PrivateDevices",
        "PrivateTmp",
        "PrivateUsers",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "RemoveIPC",
        "User",
    }
)
"""What only the manager of the whole machine can do; a user's own can't, and would refuse some of it."""

_KEY: Final = re.compile(r"([A-Za-z]+)=")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def require_sayable(text: str) -> str:
    """Refuse what no line of a unit can hold; raises ConfigError."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ConfigError(f"{text!r}: a unit file cannot hold a line break or another control character")
    return text


def quoted(word: str) -> str:
    """One word of a list: ``Environment=``, ``ReadWritePaths=``."""
    escaped = require_sayable(word).replace("%", "%%")
    if _PLAIN.fullmatch(escaped):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def command_line(program: str, words: Sequence[str]) -> str:
    """The value of ``ExecStart=``.

    Raises:
        ConfigError: The program's path has a ``$``, which cannot be said there, or a control character.
    """
    if "$" in program:
        raise ConfigError(f"{program}: systemd takes no $ in the path of a program; install it elsewhere")
    return " ".join([quoted(program), *(quoted(word).replace("$", "$$") for word in words)])


def lone_path(path: Path) -> str:
    """A path that is a whole value: ``WorkingDirectory=`` knows no quotes.

    Raises:
        ConfigError: It begins or ends with what systemd would cut off.
    """
    text = require_sayable(str(path))
    if text != text.strip() or text.endswith("\\"):
        raise ConfigError(f"{text!r}: systemd takes no such folder: it ends with a blank or a backslash")
    return text.replace("%", "%%")


def rendered(template: str, changes: Changes) -> str:
    """A template with other values; the comment above a key that is taken out goes with it.

    Args:
        template: A unit file.
        changes: Of a key's lines the first is replaced, the others go; a key that the template lacks is added at the
            end of ``[Service]``.
    """
    left = dict(changes)
    body = _without_head(template).splitlines()
    known = {found[1] for line in body if (found := _KEY.match(line))}
    added = {key: left.pop(key) for key in sorted(changes.keys() - known)}
    lines: list[str] = []
    comment: list[str] = []
    for line in body:
        if line.startswith("#"):
            comment.append(line)
            continue
        found = _KEY.match(line)
        key = found[1] if found else ""
        if key in changes:
            told = [f"{key}={value}" for value in left.pop(key, ())]
            lines += [*comment, *told] if told else []
        else:
            if line == "[Install]":
                _add(lines, added)
            lines += [*comment, line]
        comment = []
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip() + "\n")


def _without_head(template: str) -> str:
    """The text from the first section on."""
    return template[template.index("[Unit]") :]


def _add(lines: list[str], added: Changes) -> None:
    """Put what is new at the end of the section that ends here."""
    while lines and not lines[-1]:
        lines.pop()
    lines += [f"{key}={value}" for key, values in added.items() for value in values]
    lines.append("")


def signed(text: str) -> str:
    """A unit under a line that tells whether somebody has changed it."""
    return f"{DIGEST}{hashlib.sha256(text.encode()).hexdigest()[:16]}\n{text}"


def is_as_written(text: str) -> bool:
    """Whether a file is as it was written by us, whenever that was."""
    head, _, rest = text.partition("\n")
    return head.startswith(DIGEST) and signed(rest) == text
