"""Files that people hand over as YAML: whatever they hold, they are refused with one sentence, soon and in little memory."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.bounded_yaml import DEEPEST, LONGEST_TEXT, MOST_VALUES, BoundedLoader, bounded_load, bounded_text
from bot.errors import BotError, ConfigError
from bot.settings import load_settings
from bot.simexchange.fault_files import read_plan
from models.price_config import load_config
from models.recipe import load_recipe

READERS: dict[str, Callable[[Path], object]] = {
    "settings": lambda file: load_settings([file], environ={}),
    "recipe": lambda file: load_recipe(str(file)),
    "fault plan": read_plan,
    "price model": lambda file: load_config(str(file)),
}
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MAPPINGS = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{{', '.join(f'k{m}: *a{n - 1}' for m in range(10))}}}\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: v}}\n" for n in range(1, 12)
)
BOMBS = {
    "aliases of lists": ALIASES,
    "aliases of sections": MAPPINGS,
    "aliases that merge": MERGES,
    "a list in itself": "a: &a [*a]\n",
    "a section in itself": "a: &a {b: *a}\n",
    "deep lists": "a: " + "[" * 100_000,
    "deep closed lists": "a: " + "[" * 200 + "]" * 200,
    "deep sections": "".join(f"{' ' * n}a:\n" for n in range(500)) + " " * 500 + "b: 1\n",
    "deep flow": "{a: " * 50_000,
    "much": "a: 1\n" * (LONGEST_TEXT // 5 + 1),
    "one long line": "mode: " + "x" * LONGEST_TEXT,
    "many values": "a: [" + "1, " * (MOST_VALUES + 10) + "1]\n",
    "an object": "a: !!python/object/apply:os.system ['echo harm > harm']\n",
    "a module": "a: !!python/module:subprocess\n",
    "a name": "a: !!python/name:os.system\n",
    "a new object": "a: !!python/object/new:os.system ['echo harm > harm']\n",
    "an unknown tag": "a: !harm 1\n",
    "an unhashable key": "{[a]: 1}\n",
    "a date of no month": "a: 2024-13-45\n",
    "a huge number": "a: " + "9" * 10_000 + "\n",
    "an unknown alias": "a: *b\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "noise": "\x00\x01\x02",
    "a tab": "a:\n\t- 1\n",
    "a lone surrogate": 'a: "\\ud800"\n',
}
SPENT_BYTES = 300 << 20


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, bomb: str
) -> None:
    """Settings, recipes, fault plans, model configurations: one error of ours that names the file; nothing is carried out."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMBS[bomb])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BotError) as refused:
        READERS[reader](file)
    sentence = str(refused.value)
    assert isinstance(refused.value, ConfigError)
    assert "bomb.yaml" in sentence
    assert len(sentence) < 1_000
    assert not (tmp_path / "harm").exists()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < SPENT_BYTES


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_an_end_is_not_read_to_it(reader: str, tmp_path: Path) -> None:
    """A device that gives bytes for ever, and a sparse file of a tebibyte, are refused after a quarter of a megabyte."""
    sparse = tmp_path / "sparse.yaml"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    zeros = tmp_path / "zeros.yaml"
    zeros.symlink_to("/dev/zero")
    for endless in (sparse, zeros):
        with pytest.raises(ConfigError, match="longer than 262144 bytes"):
            READERS[reader](endless)


def test_aliases_within_bounds_still_work(tmp_path: Path) -> None:
    """Who names a list once and uses it twice is no attacker."""
    text = "a: &list [1, 2]\nb: *list\nc: {<<: {d: 1}, e: 2}\n"
    assert bounded_load(text) == yaml.safe_load(text)
    file = tmp_path / "x.yaml"
    file.write_text("retrain: &x {}\ngate: *x\n")
    assert load_settings([file], environ={}).mode == "paper"
    assert bounded_text(file).startswith("retrain")


_plain = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
_trees = st.recursive(
    _plain,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=5), below, max_size=4),
)


@given(_trees)
def test_what_is_within_bounds_is_read_as_ever(tree: object) -> None:
    """For any plain value the bounded loader gives what the library's own gives."""
    text = yaml.safe_dump(tree)
    assert bounded_load(text) == yaml.safe_load(text)


@given(st.text(max_size=200) | st.text("[]{}:-*&!<'\"|>\n #,?%@ab", max_size=200))
def test_noise_is_a_value_or_an_error_of_yaml(text: str) -> None:
    """Whatever the text, nothing else is raised."""
    with contextlib.suppress(yaml.YAMLError):
        bounded_load(text)


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    """The deepest and the largest document that is taken, and one more of each."""
    deepest = "[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1)
    assert bounded_load(deepest)
    with pytest.raises(yaml.YAMLError, match="deeper"):
        bounded_load(f"[{deepest}]")
    with pytest.raises(yaml.YAMLError, match="longer"):
        BoundedLoader(" " * (LONGEST_TEXT + 1))
