"""Variants as people write them: on the command line and in a file, and what they make of the flags of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.backtest_input import Wishes
from bot.cli.compare_variants import Variant, told_variants, variant_of, wishes_of
from bot.errors import BotError

BASE = Wishes(
    tapes=("a.parquet",),
    seed=1,
    changes=("threshold=0.001", "costs.taker_fee_bps=2"),
    configs=(Path("x.yaml"),),
)


def test_a_text_is_a_name_and_keys_with_values():
    """Symbols may hold colons, and a value with spaces stands in quotes."""
    found = variant_of(
        'mixed: strategy=forecast_hold@ETH/USDT:USDT stop_loss=0.01 predictions="my file.parquet"'
    )
    assert found == Variant(
        "mixed",
        (
            ("strategy", "forecast_hold@ETH/USDT:USDT"),
            ("stop_loss", "0.01"),
            ("predictions", "my file.parquet"),
        ),
    )
    assert variant_of("default:") == Variant("default", ())


def test_a_file_says_the_same():
    """Lists repeat a key, truths are written as flags are, an empty variant changes nothing."""
    path = Path("variants.yaml")
    path.write_text(
        "default:\nloose: {require_macd: false, stop_loss: 0.01}\n"
        'mixed:\n  strategy: ["a@X/Y", "b@Z/Y"]\n  seed: 3\n'
    )
    assert told_variants(["last: threshold=0.1"], path) == [
        Variant("default", ()),
        Variant("loose", (("require_macd", "false"), ("stop_loss", "0.01"))),
        Variant("mixed", (("strategy", "a@X/Y"), ("strategy", "b@Z/Y"), ("seed", "3"))),
        Variant("last", (("threshold", "0.1"),)),
    ]


def test_a_variants_words_stand_over_those_of_all():
    """The same key is replaced, in whatever way it is written; others stay; lists of files grow."""
    found = wishes_of(variant_of("v: strategy.threshold=0.5 stop_loss=0.1 config=y.yaml"), BASE)
    assert found.changes == ("costs.taker_fee_bps=2", "strategy.threshold=0.5", "stop_loss=0.1")
    assert found.configs == (Path("x.yaml"), Path("y.yaml"))
    assert (found.seed, found.tapes, found.strategy) == (1, BASE.tapes, None)
    named = wishes_of(variant_of("v: strategy=a strategy=b@X/Y"), BASE)
    assert named.strategy == ("a", "b@X/Y")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=4", (None, None, 4)),
        ("model=latest", ("latest", None, None)),
        ("predictions=p.parquet", (None, Path("p.parquet"), None)),
    ],
)
def test_a_source_of_predictions_takes_the_place_of_the_others(word, expected):
    """A variant's model is not held against the seed of all."""
    found = wishes_of(variant_of(f"v: {word}"), BASE)
    assert (found.model, found.predictions, found.seed) == expected


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("texts", "code", "words"),
    [
        (["a", "b:"], 2, 'write "NAME: KEY=VALUE ..."'),
        (["a: stop_loss", "b:"], 2, "stop_loss is not KEY=VALUE"),
        (["a: x='", "b:"], 2, "No closing quotation"),
        ([": x=1", "b:"], 2, "a variant needs a name of 1 to 40 letters"),
        ([f"{'n' * 41}: x=1", "b:"], 2, "a variant needs a name"),
        (["a:", "a: x=1"], 2, "--variant a is given twice"),
        (["a: x=1"], 2, 'only a is given, and a comparison needs two variants; --variant "default:"'),
    ],
)
def test_texts_that_say_nothing_are_refused(texts, code, words):
    """One sentence that shows how to write it."""
    with pytest.raises(BotError) as refused:
        told_variants(texts, None)
    assert refused.value.exit_code == code
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, 4, "variants.yaml: the variants cannot be read"),
        ("a: [1", 4, "variants.yaml line 1"),
        ("- a\n", 4, "variants.yaml"),
        ("a: 5\nb: {}\n", 2, "variants.yaml: a: a variant holds keys and values"),
        ("a: {x: {y: 1}}\nb: {}\n", 2, "variants.yaml: a.x: must be a number, a word"),
        ("a: {}\na: {}\n", 4, "a: the key comes twice"),
    ],
)
def test_files_that_cannot_be_read_are_named(text, code, words):
    """File, line and field."""
    if text is not None:
        Path("variants.yaml").write_text(text)
    with pytest.raises(BotError) as refused:
        told_variants([], Path("variants.yaml"))
    assert refused.value.exit_code == code
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("v: seed=1 model=x", "variant v: give one of model, predictions and seed, once"),
        ("v: seed=1 seed=2", "variant v: give one of model, predictions and seed, once"),
        ("v: seed=one", "variant v: seed must be a whole number, not 'one'"),
    ],
)
def test_sources_that_contradict_each_other_are_refused(text, words):
    """The variant is named."""
    with pytest.raises(BotError, match=words):
        wishes_of(variant_of(text), BASE)
