"""Pieces of a report page: sections, tables, cards and charts, escaped. Other pages are made of them too.

No piece carries a script or a style of its own: the page has one of each, so that it may forbid all others. A chart
is plotly's JSON, which the page's script draws in the colours of the theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import orjson

NONE = "–"
"""What stands where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        title: Its heading, as plain text.
        html_fragment: Its body as HTML; who makes it escapes what comes from outside (``table_html`` and the other
            functions here do). It may hold no script and no style: the page forbids them.
        near_top: Whether it follows the key figures at once; else it stands after the trades.
    """

    title: str
    html_fragment: str
    near_top: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says, plain text.
        tone: Classes of the page's style, such as ``good``, ``bad``, ``quiet``, ``wide``; the text says the same.
        heat: -1 to 1: how strongly the cell is coloured, blue above 0 and orange below.
    """

    text: str
    tone: str = ""
    heat: float | None = None


def section_html(section: Section, name: str | None = None) -> str:
    """A section with its heading; ``name`` is what links call it, where that is not its title's."""
    name = name or anchor(section.title)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{escape(section.title)}</h2>{section.html_fragment}</section>'
    )


def table_html(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    words: int = 1,
    style: str = "",
) -> str:
    """A table with a caption, heads of columns and heads of rows, which scrolls by itself where it is too wide.

    Args:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells; the first of each row is the row's head.
        words: How many columns from the left hold words; the others hold figures and stand to the right.
        style: A class of the page's style for the whole table.
    """
    first = rows[0] if rows else ()
    tones = [cell.tone if isinstance(cell, Cell) and "words" in cell.tone else "" for cell in first]
    heads = "".join(
        f'<th scope="col"{_sided(place, words, tones[place] if place < len(tones) else "")}>{escape(name)}</th>'
        for place, name in enumerate(head)
    )
    body = "".join(
        f"<tr>{''.join(_cell(cell, place, words) for place, cell in enumerate(row))}</tr>" for row in rows
    )
    told = f' class="{escape(style)}"' if style else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table{told}>'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def note_html(text: str) -> str:
    """A line of explanation."""
    return f'<p class="note">{escape(text)}</p>'


def chart_html(figure: Any, *, label: str, height: int = 340) -> str:
    """A plotly figure that the page draws in the colours of its theme.

    Args:
        figure: A ``plotly.graph_objects.Figure``, or its JSON as a mapping with ``data`` and ``layout``. In JSON a
            colour such as ``@own`` or ``@text/0.5`` is a variable of the style, with opacity, and ``@times`` in place of
            an ``x`` is the list ``times`` beside ``data``.
        label: What it shows, in one sentence, for those who cannot see it.
        height: Pixels.
    """
    told = figure if isinstance(figure, Mapping) else orjson.loads(figure.to_json())
    layout = {name: value for name, value in told.get("layout", {}).items() if name != "template"}
    chosen = {"data": told["data"], "layout": layout, "times": told.get("times")}
    return (
        f'<div class="chart" role="img" aria-label="{escape(label)}" style="height:{height}px">'
        f"{json_html(chosen)}</div>"
    )


def json_html(value: Any, *, name: str = "") -> str:
    """A value as a block of JSON that no browser runs and no text in it can end."""
    text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY).decode()
    told = f' id="{escape(name)}"' if name else ""
    inert = text.replace("<", "\\u003c")
    return f'<script type="application/json"{told}>{inert}</script>'


def anchor(title: str) -> str:
    """A title as a name that a link may point to."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title.lower())
    return "-".join(plain.split()) or "section"


def named(sections: Sequence[Section], taken: Sequence[str] = ()) -> dict[str, Section]:
    """Sections by the name that a link may point to, each name once, none of those that are taken."""
    found: dict[str, Section] = {}
    for section in sections:
        name = first = anchor(section.title)
        number = 1
        while name in found or name in taken:
            number += 1
            name = f"{first}-{number}"
        found[name] = section
    return found


def _cell(cell: str | Cell, place: int, words: int) -> str:
    told = cell if isinstance(cell, Cell) else Cell(cell)
    kind = 'th scope="row"' if place == 0 else "td"
    hot = (
        ""
        if told.heat is None
        else f" heat-{'up' if told.heat >= 0 else 'down'} h{round(abs(told.heat) * 10)}"
    )
    return f"<{kind}{_sided(place, words, told.tone + hot)}>{escape(told.text)}</{kind[:2]}>"


def _sided(place: int, words: int, more: str = "") -> str:
    """The class of a cell."""
    names = " ".join(dict.fromkeys([*(["words"] if place < words else []), *more.split()]))
    return f' class="{escape(names)}"' if names else ""
