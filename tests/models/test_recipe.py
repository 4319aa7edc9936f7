"""Recipes from YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.errors import ConfigError
from models.recipe import Recipe, load_recipe, parse_recipe, recipe_names
from models.recipe_sections import StackedLstmSection


def test_every_recipe_that_comes_along_loads() -> None:
    """All recipes in config/recipes are sound and carry the name of their file."""
    assert {"scalping", "minmax-close"} <= set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).name == name


def test_the_classic_recipe_is_faithful() -> None:
    """The min-max recipe has the figures of the system that it follows."""
    recipe = load_recipe("minmax-close")
    assert recipe.split.shares == (0.70, 0.15, 0.0, 0.15)
    assert (recipe.scaler.kind, recipe.target.kind, recipe.target.horizon) == ("minmax", "next_close", 1)
    training = recipe.training
    assert (training.loss, training.learning_rate, training.early_stopping_patience) == ("mse", 1e-3, 10)
    plateau = training.plateau
    assert plateau is not None
    assert (plateau.factor, plateau.patience, plateau.min_learning_rate) == (0.5, 5, 1e-7)


def test_fields_can_be_changed_one_by_one() -> None:
    """``key=value`` changes that field, its digest, and nothing else."""
    plain = load_recipe("scalping")
    changed = load_recipe("scalping", ["training.batch_size=64", "architecture.units=[8]"])
    assert isinstance(changed.architecture, StackedLstmSection)
    assert (changed.training.batch_size, changed.architecture.units) == (64, [8])
    assert changed.training.learning_rate == plain.training.learning_rate
    assert changed.digest() != plain.digest()
    assert load_recipe("scalping", ["training.batch_size=512"]).digest() == plain.digest()


@pytest.mark.parametrize(
    ("name", "pair", "sentence"),
    [
        ("scalping", "target.kind=direction", "huber does not fit the target direction"),
        ("scalping", "target.kind=trend_and_direction", "second_horizon"),
        ("direction", "target.kind=scaled_return", "binary_crossentropy does not fit"),
        ("forest", "scaler.kind=rolling", "rolling is computed inside a network"),
        ("ensemble", "target.kind=log_return", "an? ensemble learns scaled_return"),
        ("attention-multitask", "architecture.heads=3", "multiple of heads"),
        ("attention-multitask", "training.plateau={}", "two schedules"),
        ("scalping", "target.barrier=1.0", "barrier belongs to triple_barrier"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(name: str, pair: str, sentence: str) -> None:
    """A target, loss, scaler and architecture must fit each other; the sentence says which does not."""
    with pytest.raises(ConfigError, match=sentence):
        load_recipe(name, [pair])


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("training.batchsize=64", "training.batchsize: is not a field"),
        ("training.batch_size=-1", "training.batch_size: .*greater"),
        ("training.batch_size=many", "training.batch_size: "),
        ("batch_size=1", "batch_size: is not a field"),
        ("nowhere.deep=1", "nowhere.deep is not a field"),
        ("training.seed", "takes key=value"),
        ("features=scalping-v9", "scalping-v9"),
        ("split.train=0.9", "add up to"),
        ("split.embargo=5", "split.embargo: must be at least 60"),
        ("target.kind=next_close", "needs a close column"),
        ("training.learning_rate=.nan", "training.learning_rate: "),
        ("name=../evil", "name: "),
    ],
)
def test_wrong_fields_are_named(pair: str, sentence: str) -> None:
    """Unknown keys and values out of range are refused in one sentence that names the field."""
    with pytest.raises(ConfigError, match=sentence):
        load_recipe("scalping", [pair])


def test_a_file_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    """A missing file, malformed YAML, and an unknown key each name the file; a good file loads."""
    path = tmp_path / "mine.yaml"
    with pytest.raises(ConfigError, match=r"mine\.yaml cannot be read"):
        load_recipe(str(path))
    path.write_text("name: [")
    with pytest.raises(ConfigError, match=r"mine\.yaml is not YAML"):
        load_recipe(str(path))
    path.write_text("just words")
    with pytest.raises(ConfigError, match=r"mine\.yaml is not a recipe"):
        load_recipe(str(path))
    document = load_recipe("scalping").model_dump(mode="json") | {"name": "mine", "surprise": 1}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match=r"mine\.yaml: surprise: is not a field"):
        load_recipe(str(path))
    del document["surprise"]
    path.write_text(yaml.safe_dump(document))
    assert load_recipe(str(path)).name == "mine"
    with pytest.raises(ConfigError, match=r"no recipe 'unheard-of'.*scalping"):
        load_recipe("unheard-of")


def test_json_reads_back() -> None:
    """What is stored with a model makes the same recipe again."""
    recipe = load_recipe("scalping")
    again = Recipe.model_validate_json(recipe.to_json())
    assert again == recipe
    assert parse_recipe(recipe.model_dump(), "here") == recipe
