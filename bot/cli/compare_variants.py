"""The variants of ``bot compare``: a name, and what is different, in the words of ``bot backtest``.

``--variant "wide: stop_loss=0.01 take_profit=0.02"`` changes two parameters; ``strategy=``, ``model=``, ``predictions=``,
``seed=`` and ``config=`` are the flags of those names, every other key is one of ``--set``. ``--variants FILE`` holds the
same as YAML: ``wide: {stop_loss: 0.01, take_profit: 0.02}``; a list repeats a key.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bot.cli.backtest_input import Wishes
from bot.errors import UsageError

SOURCES: Final[tuple[str, ...]] = ("model", "predictions", "seed")
"""Where predictions come from; a variant's own takes the place of the others'."""

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Variant:
    """What is different.

    Attributes:
        name: For the table.
        entries: Key and value as written, in order.
    """

    name: str
    entries: tuple[tuple[str, str], ...]


def told_variants(texts: Sequence[str], file: Path | None) -> list[Variant]:
    """Those of a file, then those of the flags.

    Raises:
        UsageError: A text or an entry that is not written so, two of one name, or fewer than two in all.
    """
    found = [*(_of_file(file) if file is not None else ()), *map(variant_of, texts)]
    names = [one.name for one in found]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise UsageError(f"--variant {doubled} is given twice; give each a name of its own")
    if len(found) < 2:
        raise UsageError(
            f'only {", ".join(names) or "nothing"} is given, and a comparison needs two variants; --variant "default:" is the '
            "flags as they are"
        )
    return found


def variant_of(text: str) -> Variant:
    """Read ``NAME: KEY=VALUE KEY=VALUE``; a value with spaces stands in quotes."""
    name, colon, rest = text.partition(":")
    where = f"--variant {text!r}"
    if not colon:
        raise UsageError(f'{where}: write "NAME: KEY=VALUE ...", such as "wide: stop_loss=0.01"')
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    entries = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"{where}: {word} is not KEY=VALUE, such as stop_loss=0.01 or model=latest")
        entries.append((key, value))
    return Variant(_checked_name(name, where), tuple(entries))


def wishes_of(variant: Variant, base: Wishes) -> Wishes:
    """The flags of all with those of a variant over them.

    Raises:
        UsageError: Several sources of predictions, or a value that cannot be read.
    """
    said: dict[str, list[str]] = {}
    for key, value in variant.entries:
        said.setdefault(key, []).append(value)
    strategies, configs = said.pop("strategy", []), said.pop("config", [])
    source = {key: said.pop(key) for key in SOURCES if key in said}
    changes = [f"{key}={value}" for key, values in said.items() for value in values]
    own = {_plain(key) for key in said}
    kept = [one for one in base.changes if _plain(one.partition("=")[0].strip()) not in own]
    wishes = replace(
        base,
        strategy=tuple(strategies) or base.strategy,
        changes=(*kept, *changes),
        configs=(*base.configs, *map(Path, configs)),
    )
    return _with_source(wishes, source, variant.name) if source else wishes


def _with_source(wishes: Wishes, source: Mapping[str, Sequence[str]], name: str) -> Wishes:
    """The wishes with predictions from one other place."""
    if len(source) > 1 or any(len(values) > 1 for values in source.values()):
        raise UsageError(f"variant {name}: give one of model, predictions and seed, once")
    (key, (value,)) = next(iter(source.items()))
    told: dict[str, Any] = dict.fromkeys(SOURCES)
    if key == "seed":
        if not value.isdecimal():
            raise UsageError(f"variant {name}: seed must be a whole number, not {value!r}")
        told["seed"] = int(value)
    else:
        told[key] = Path(value) if key == "predictions" else value
    return replace(wishes, **told)


def _plain(key: str) -> str:
    """A key of ``--set`` in the one way to write it."""
    return key.removeprefix("strategy.")


def _of_file(path: Path) -> list[Variant]:
    """Variants out of YAML: name to key to value."""
    from bot.errors import ConfigError
    from bot.settings.layers import yaml_layer

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: the variants cannot be read ({reason})") from error
    tree = yaml_layer(text, str(path)).tree
    return [_of_entry(path, name, told) for name, told in tree.items()]


def _of_entry(path: Path, name: str, told: Any) -> Variant:
    """One variant of a file."""
    where = f"{path}: {name}"
    if told is None:
        told = {}
    if not isinstance(told, Mapping):
        raise UsageError(f"{where}: a variant holds keys and values, such as {{stop_loss: 0.01}}")
    entries = []
    for key, value in told.items():
        for single in value if isinstance(value, list) else [value]:
            if not isinstance(single, bool | int | float | str):
                raise UsageError(f"{where}.{key}: must be a number, a word, true or false, or a list of such")
            entries.append((str(key), str(single).lower() if isinstance(single, bool) else str(single)))
    return Variant(_checked_name(name, where), tuple(entries))


def _checked_name(name: str, where: str) -> str:
    found = name.strip()
    if not found or len(found) > _LONGEST_NAME or not found.isprintable():
        raise UsageError(f"{where}: a variant needs a name of 1 to {_LONGEST_NAME} letters before the colon")
    return found
