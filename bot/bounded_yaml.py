"""YAML that cannot be a bomb: a bound on its length, its depth, and on what it would be with every alias written out.

A file of ten lines can stand for more values than any memory holds (aliases of aliases), and one that nests ten thousand
deep breaks whoever walks it. Both are refused before a value is made, as ``yaml.YAMLError``, like all that is malformed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

LONGEST_TEXT: Final = 262_144
"""Bytes or characters; the settings that come with the program are a twentieth of that, and a bound on time: PyYAML reads
some 100 kB a second."""
DEEPEST: Final = 40
MOST_VALUES: Final = 10_000


class BoundedLoader(yaml.SafeLoader):
    """``yaml.SafeLoader`` within bounds: plain values only, no objects of Python."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_TEXT:
            raise yaml.YAMLError(f"it is longer than {LONGEST_TEXT} characters")
        super().__init__(text)
        self._depth = 0
        self._count = 0

    def get_single_node(self) -> yaml.Node | None:
        """The document's nodes, once they were found to be within bounds with every alias written out."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _values_in(node, {}, 1)
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node and those below it; ends as soon as a bound is passed."""
        self._depth += 1
        self._count += 1
        if self._depth > DEEPEST:
            raise _too_deep()
        if self._count > MOST_VALUES:
            raise _too_many()
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


def bounded_load(text: str) -> Any:
    """``yaml.safe_load`` within bounds; whatever is wrong with the text is a ``yaml.YAMLError``."""
    loader = BoundedLoader(text)
    try:
        return loader.get_single_data()
    except (ValueError, OverflowError) as error:  # such as a date of a thirteenth month
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def bounded_text(file: Path) -> str:
    """The text of a file, no more of which is read than a document may have.

    Raises:
        OSError, UnicodeDecodeError: It can't be read, or is no UTF-8.
        yaml.YAMLError: It is too long.
    """
    with file.open("rb") as opened:
        content = opened.read(LONGEST_TEXT + 1)
    if len(content) > LONGEST_TEXT:
        raise yaml.YAMLError(f"it is longer than {LONGEST_TEXT} bytes")
    return content.decode("utf-8")


def _values_in(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, every alias written out; each node is walked once."""
    counted = known.get(id(node))
    if counted == 0:
        raise yaml.YAMLError("a value contains itself")
    if depth > DEEPEST:
        raise _too_deep()
    if counted is not None:
        return counted
    known[id(node)] = 0  # under way: whoever finds it again before it is counted is inside of it
    total = 1 + sum(_values_in(below, known, depth + 1) for below in _below(node))
    if total > MOST_VALUES:
        raise _too_many()
    known[id(node)] = total
    return total


def _below(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _too_many() -> yaml.YAMLError:
    return yaml.YAMLError(f"it stands for more than {MOST_VALUES} values")


def _too_deep() -> yaml.YAMLError:
    return yaml.YAMLError(f"it nests deeper than {DEEPEST} levels")
