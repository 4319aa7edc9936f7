"""What ``bot compare`` shows: two tables and a verdict for each model, on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

BEGIN = "<!-- comparison:begin -->"
END = "<!-- comparison:end -->"
_NONE = "–"
_FILE_WIDTH = 250
"""Columns of a table that is read by a program or from a file."""
_NAMES = {
    "base_rate": "base rate",
    "persistence": "persistence",
    "last_return_sign": "last return's sign",
    "logistic_regression": "logistic regression",
    "lightgbm": "LightGBM",
}
_UNFITTED = ("persistence", "last_return_sign")
_SKILL_COLUMNS = (
    "forecast", "min", "log loss", "gain, millinats", "AUC", "MCC", "right %", "calibration slope",
    "over best baseline",
)  # fmt: skip
_MONEY_COLUMNS = ("forecast", "min", "net return %", "trades", "one forecast, µs", "training, s")


def store(out: Path, document: Mapping[str, Any]) -> None:
    """Write ``comparison.json`` and ``comparison.md``; StorageError when the disk refuses."""
    from models.durable import disk, replace_file
    from models.hashing import canonical_json

    for name, content in (
        ("comparison.json", canonical_json(document)),
        ("comparison.md", markdown(document).encode()),
    ):
        with disk(out / name):
            out.mkdir(parents=True, exist_ok=True)
            replace_file(out / name, content)


def check_marks(page: Path, put: str | None = None) -> None:
    """See that a page has the two marks, once each and in order; and put a text between them, if one is given.

    Raises:
        UsageError: The page cannot be read, or lacks the marks.
        StorageError: The disk refused; the page is as it was.
    """
    from models.durable import disk, replace_file

    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"--write-docs {page}: it cannot be read ({fault})") from fault
    begin, end = text.find(BEGIN), text.find(END)
    if text.count(BEGIN) != 1 or text.count(END) != 1 or end < begin:
        raise UsageError(f"--write-docs {page}: it must hold the lines {BEGIN} and {END}, once each")
    if put is not None:
        whole = f"{text[: begin + len(BEGIN)]}\n\n{put.strip()}\n\n{text[end:]}"
        with disk(page):
            replace_file(page, whole.encode())


def markdown(document: Mapping[str, Any]) -> str:
    """The whole comparison as Markdown, without a heading."""
    parts = [_what(document)]
    for columns, rows in ((_SKILL_COLUMNS, _skill_rows(document)), (_MONEY_COLUMNS, _money_rows(document))):
        lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
        parts.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]))
    parts.append("\n".join(f"- {sentence}" for sentence in _verdicts(document)))
    parts += _footnotes(document)
    return "\n\n".join(parts) + "\n"


def print_comparison(document: Mapping[str, Any]) -> None:
    """The same on standard output; on a terminal in narrower tables, each interval below its figure."""
    from rich.console import Console

    console = Console()
    loose = not console.is_terminal
    console.print(_what(document), highlight=False, markup=False, soft_wrap=loose)
    skill, money = list(_skill_rows(document)), list(_money_rows(document))
    if loose:
        _print_table(Console(width=_FILE_WIDTH), _SKILL_COLUMNS, skill)
        _print_table(Console(width=_FILE_WIDTH), _MONEY_COLUMNS, money)
    else:
        for places in ((0, 1, 2, 3, 8), (0, 1, 4, 5, 6, 7)):
            columns = [_SKILL_COLUMNS[place] for place in places]
            _print_table(console, columns, [[row[place] for place in places] for row in skill], narrow=True)
        _print_table(console, _MONEY_COLUMNS, money, narrow=True)
    for line in (*_verdicts(document), *_footnotes(document)):
        console.print(line, highlight=False, markup=False, soft_wrap=loose)


def print_rows(console: Console, columns: Sequence[str], rows: list[list[str]]) -> None:
    """A table, narrow on a terminal and wide for a program or a file."""
    if console.is_terminal:
        _print_table(console, columns, rows, narrow=True)
    else:
        from rich.console import Console as Wide

        _print_table(Wide(width=_FILE_WIDTH), columns, rows)


def _print_table(
    console: Console, columns: Sequence[str], rows: list[list[str]], *, narrow: bool = False
) -> None:
    """One table; a narrow one has each interval below its figure."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in rows:
        name, *figures = (cell.replace("**", "") for cell in row)
        if narrow:
            figures = [cell.replace(" (", "\n(").replace(" … ", "…") for cell in figures]
        table.add_row(Text(name), *map(Text, figures))
    console.print(table)


def _what(document: Mapping[str, Any]) -> str:
    """What was compared, and when."""
    return (
        f"{', '.join(document['symbols'])}: trained on {_day(document['trained_from'])} to "
        f"{_day(document['test_from'])}, compared on {_day(document['test_from'])} to "
        f"{_day(document['test_until'])}, on the {document['shared_minutes']:,} minutes that all can forecast. "
        "In parentheses 95 % intervals by block bootstrap."
    )


def _skill_rows(document: Mapping[str, Any]) -> Iterator[list[str]]:
    """The table of forecasts."""
    for row, name in _named(document):
        skill: Mapping[str, Any] = row["skill"] or {}
        yield [
            name,
            str(row["horizon_minutes"]),
            _figure(skill.get("log_loss"), ".5f"),
            _figure(skill.get("gain"), "+.2f"),
            _figure(skill.get("auc"), ".4f"),
            _figure(skill.get("mcc"), "+.4f"),
            _figure(skill.get("accuracy"), ".2f", 100.0),
            _figure(skill.get("slope"), "+.2f"),
            _figure(row["gain_over_best_baseline"], "+.2f"),
        ]


def _money_rows(document: Mapping[str, Any]) -> Iterator[list[str]]:
    """The table of money and time."""
    for row, name in _named(document):
        if row["net_return"] is None:
            continue
        seconds = row["training_seconds"]
        yield [
            name,
            str(row["horizon_minutes"]),
            _figure(row["net_return"], "+.2f", 100.0),
            f"{row['net_return']['trades']:,}",
            _figure(row["inference_us"], ".0f"),
            _NONE if seconds is None else f"{seconds:,.1f}",
        ]
    hold = document["buy_and_hold"]
    if hold is not None:
        yield ["buy and hold", _NONE, _figure(hold, "+.2f", 100.0), _NONE, _NONE, _NONE]


def _named(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each row with the name it is shown by: models in bold, baselines with their ground where there are several."""
    rows = document["forecasters"]
    grounds: dict[int, set[str]] = {}
    for row in rows:
        grounds.setdefault(row["horizon_minutes"], set()).add(row["ground"])
    for row in rows:
        name = _NAMES.get(row["name"], row["name"])
        if row["is_model"]:
            yield row, f"**{name}**"
        elif len(grounds[row["horizon_minutes"]]) > 1 and row["name"] not in _UNFITTED:
            yield row, f"{name} (as {row['ground']})"
        else:
            yield row, name


def _verdicts(document: Mapping[str, Any]) -> Iterator[str]:
    """Each model's verdict, and at the end which add nothing."""
    models = [row for row in document["forecasters"] if row["is_model"]]
    for row in models:
        own = (
            ""
            if row["shared_minutes"] or not row["samples"]
            else f" (It abstains in {1.0 - row['coverage']:.0%} of the minutes: measured on its own "
            f"{row['samples']:,}.)"
        )
        yield row["verdict"] + own
    for adds, words in ((True, "Adds something"), (False, "Adds nothing"), (None, "Cannot be told")):
        names = [row["name"] for row in models if row["adds"] is adds]
        if names:
            yield f"{words}: {', '.join(names)}."


def _footnotes(document: Mapping[str, Any]) -> Iterator[str]:
    """What the columns mean."""
    yield (
        "Min: minutes ahead. Gain: of log loss over the base rate of the train slice. Calibration slope: logistic, of what came on the "
        "logit of P(up); 1 is right. Best baseline: the one of the same horizon with the lowest log loss on these "
        "minutes. Right: sign of the forecast against the move from the last close, ties left out. Persistence says "
        "one half."
    )
    yield (
        f"Net return: strategy {document['strategy']} over the same days, fees, spread, slippage and funding paid; "
        "interval from weeks of daily returns drawn anew; buy-and-hold without costs. One forecast: median of single "
        "inferences on one thread, features left out. Training: one run, so without an interval."
    )
    yield _trials_words(document.get("trials", 1))


def _trials_words(trials: int) -> str:
    """What the verdicts ask for."""
    from models.trials import deflated_confidence

    if trials == 1:
        return "A model that knows nothing has a chance of about 1 in 40 to seem to add something."
    return (
        f"The ledger has {trials:,} different trials on these minutes: a verdict asks for {100.0 * deflated_confidence(trials):.4g} %"
        ", so that of all of them, knew they nothing, the chance that any seems to add something is about 1 in 40."
    )


def _figure(figure: Mapping[str, Any] | None, form: str, factor: float = 1.0) -> str:
    """A figure with its interval."""
    if figure is None:
        return _NONE
    value = format(figure["value"] * factor, form)
    if figure["low"] is None:
        return value
    return f"{value} ({figure['low'] * factor:{form}} … {figure['high'] * factor:{form}})"


def _day(text: str) -> str:
    """The day of a time."""
    return text[:10]
