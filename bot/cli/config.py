"""``bot config``: which settings are in force, who said each, and whether they are right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from bot.settings import LoadedSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Show and check settings.")

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option("--config", metavar="FILE", help="YAML settings; repeat it, later ones win."),
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting; repeat it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WIDEST = 60
"""Columns that a value has in the table at least; a longer one pushes its own source aside."""


@app.command()
def show(config: ConfigFiles = None, setting: Assignments = None, as_json: AsJson = False) -> None:
    """Print every setting that is in force and where it was said; secrets stay hidden.

    Example: bot config show --config config/paper.yaml --set sizing.equity_fraction=0.1
    """
    loaded = _load(config, setting)
    rows = [(name, _plain(value), loaded.sources[name]) for name, value in _values(loaded.settings, ())]
    if as_json:
        typer.echo(
            json.dumps({name: {"value": value, "source": source} for name, value, source in rows}, indent=2)
        )
        return
    shown = [
        min(len(_cell(row[1])), WIDEST) for row in rows
    ]  # a long list must not push every source off the screen
    widths = [max(len(row[0]) for row in rows), max(shown)]
    for name, value, source in rows:
        typer.echo(f"{name:<{widths[0]}}  {_cell(value):<{widths[1]}}  {source}")


@app.command()
def check(config: ConfigFiles = None, setting: Assignments = None, as_json: AsJson = False) -> None:
    """Check the settings without starting anything; all that are wrong are named, and end with exit code 4.

    Example: bot config check --config config/live.yaml
    """
    from bot.errors import ConfigError
    from bot.exchange_client import require_streamed

    loaded = _load(config, setting)
    settings = loaded.settings
    told = (_fault(require_strategy, loaded), _fault(require_streamed, settings.exchange.id))
    faults = [fault for fault in told if fault]
    if faults:
        raise ConfigError("; ".join(faults))
    if as_json:
        typer.echo(json.dumps({"ok": True, "mode": settings.mode}))
        return
    typer.echo(f"the settings are right (mode {settings.mode})")


def _fault(ask: Callable[[Any], None], about: Any) -> str:
    """What a question says is wrong; nothing where all is right."""
    from bot.errors import ConfigError

    try:
        ask(about)
    except ConfigError as error:
        return str(error)
    return ""


def require_strategy(loaded: LoadedSettings) -> None:
    """Refuse a strategy, parameter set or parameter that there is not; ConfigError names who said it."""
    from bot.errors import ConfigError
    from bot.settings.loading import DEFAULTS_FILE
    from strategies import factory_by_symbol, strategy_factory, symbol_choices

    chosen = loaded.settings.strategy
    try:
        strategy_factory(chosen.name, parameter_set=chosen.parameter_set, overrides=chosen.parameters)
        factory_by_symbol(symbol_choices(chosen, loaded.settings.exchange.symbols))
    except ConfigError as error:
        told = [who for name, who in loaded.sources.items() if name.startswith("strategy.")]
        places = [who for who in dict.fromkeys(told) if not who.startswith(("default", DEFAULTS_FILE))]
        place = f"{', '.join(places)}: " if places else ""
        raise ConfigError(f"{place}strategy: {error}") from error


@app.command(hidden=True)
def docs(page: Annotated[str, typer.Argument(help="settings or commands.")] = "settings") -> None:
    """Print docs/settings.md, made from the settings themselves, or docs/reference-commands.md, made from the commands.

    Example: bot config docs > docs/settings.md
    """
    from bot.cli.command_page import commands_page
    from bot.errors import UsageError

    pages = {"settings": settings_page, "commands": commands_page}
    if page not in pages:
        raise UsageError(f"bot config docs {page}: write {' or '.join(pages)}")
    typer.echo(pages[page](), nl=False)


def assignments(texts: list[str] | None) -> dict[str, Any]:
    """``section.key=value`` words as overrides; raises UsageError for a word without ``=``, and for a secret."""
    from bot.errors import UsageError
    from bot.settings.layers import is_secret

    values: dict[str, Any] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text}: write section.key=value, such as sizing.equity_fraction=0.1")
        if is_secret(tuple(name.split("."))) and value != "null":
            raise UsageError(
                f"--set {name}: every user of this machine can read a command line; "
                f"set BOT__{name.upper().replace('.', '__')}_FILE to a file that only you can read"
            )
        values[name] = value
    return values


def _load(config: list[Path] | None, setting: list[str] | None) -> LoadedSettings:
    from bot.settings import load_with_sources

    return load_with_sources(config or [], assignments(setting))


def _values(model: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every field, in the order of the model; sources have the same names."""
    for name in type(model).model_fields:
        here, value = (*path, name), getattr(model, name)
        if hasattr(type(value), "model_fields"):
            yield from _values(value, here)
        elif isinstance(value, dict) and value:
            yield from ((".".join((*here, key)), _told(inner)) for key, inner in value.items())
        else:
            yield ".".join(here), value


def _told(value: Any) -> Any:
    """A value of a mapping; of a group of settings what it says."""
    return value.model_dump(exclude_unset=True) if hasattr(type(value), "model_fields") else value


def _plain(value: Any) -> Any:
    """A value for JSON; pydantic's secrets turn into asterisks."""
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float, dict)) else str(value)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# --- docs/settings.md -------------------------------------------------------------------------------------


def settings_page() -> str:
    """The page of documentation that lists every setting: its type, default, bounds and meaning."""
    from bot.settings import Settings

    tables = [_table("General", Settings, "", "")]
    for name, field in Settings.model_fields.items():
        section = _section(field)
        if section is not None:
            summary = (section.__doc__ or "").splitlines()[0]
            tables.append(_table(f"`{name}`", section, f"{summary}\n\n", f"{name}."))
    return f"{_HEAD}\n{''.join(tables).rstrip()}\n"


_HEAD = """# Settings

<!-- Generated by `bot config docs > docs/settings.md`; a test compares the two. -->

A value is looked for in this order, and the first place that has it wins:

1. flags: `--set section.key=value`, and those with a name of their own such as `--mode`;
2. the environment: `BOT__SECTION__KEY`; for a secret also `BOT__SECTION__KEY_FILE`, a file that holds it;
3. for a secret, a credential of systemd: `LoadCredential=exchange_api_key:…` sets `exchange.api_key`, and so on;
4. YAML files: `--config FILE`, of several the last;
5. `BOT_STATE_DIR`, for `state_dir` alone;
6. the defaults (`config/default.yaml`).

A secret on the command line is refused, and so is a file that holds one (a `_FILE`, a YAML file with a secret in it)
when others can read it: `chmod 600`. A file of another owner may be readable by its group (`root:bot`, mode 640).

In the environment and in flags a list is separated by commas or written as JSON, a mapping is written as JSON, and
`null` stands for no value. An unknown key, a wrong type or a value out of bounds ends the command with exit code 4
and one sentence that names the place and the field. `bot config show` prints what is in force and who said it;
`bot config check` only checks. Money is in quote currency; a fraction of 0.01 is 1 %.
"""


def _section(field: FieldInfo) -> Any:
    """The model class of a section, None for a plain field."""
    kind = field.annotation
    return kind if hasattr(kind, "model_fields") else None


def _table(title: str, model: Any, summary: str, prefix: str) -> str:
    rows = [
        f"| `{prefix}{name}` | {_kind(field)} | {_default(field)} | {_bounds(field)} | {field.description} |\n"
        for name, field in model.model_fields.items()
        if _section(field) is None
    ]
    head = "| setting | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
    return f"\n## {title}\n\n{summary}{head}{''.join(rows)}"


def _kind(field: FieldInfo) -> str:
    """The type in words of a YAML file."""
    from typing import Literal, get_args, get_origin

    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] or [field.annotation]
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{kind}`" for kind in kinds)
    whole = field.annotation if get_origin(field.annotation) in {tuple, dict} else kinds[0]
    name = getattr(get_origin(whole) or whole, "__name__", str(whole))
    if name == "Annotated":
        name = getattr(get_args(whole)[0], "__name__", str(whole))
    return _KINDS[name]


_KINDS = {
    "str": "text",
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
    "Path": "path",
    "SecretStr": "secret",
    "tuple": "list",
    "dict": "mapping",
}


def _default(field: FieldInfo) -> str:
    value = _plain(field.get_default(call_default_factory=True))
    return f"`{_cell(value)}`"


def _bounds(field: FieldInfo) -> str:
    """Bounds in signs, such as ``> 0, <= 1``."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    found = [
        f"{sign} {getattr(part, name):,g}" if getattr(part, name) < 1e6 else f"{sign} {getattr(part, name):g}"
        for part in field.metadata
        for name, sign in signs.items()
        if getattr(part, name, None) is not None
    ]
    return ", ".join(found)
