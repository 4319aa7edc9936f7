"""The losses that recipes name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.losses import make_loss, multitask_class, multitask_parts
from models.recipe_sections import LossWeightSection, TrainingSection

WEIGHTS = LossWeightSection(regression=2.0, classification=0.25)


def samples(count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a tie now and then, and outputs."""
    rng = np.random.default_rng(5)
    rise = rng.choice([0.0, 0.5, 1.0], size=(count, 2))
    trend = rng.uniform(-1.0, 1.0, size=(count, 2))
    labels = np.column_stack([trend[:, 0], rise[:, 0], trend[:, 1], rise[:, 1]])
    return labels.astype(np.float32), rng.normal(size=(count, 6)).astype(np.float32)


def multitask(**changes: object) -> TrainingSection:
    """The training section of a multitask recipe."""
    return TrainingSection.model_validate({"loss": "multitask", "loss_weights": WEIGHTS} | changes)


def by_softmax(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """The documented loss of each sample, written out by probabilities."""
    total = np.zeros(len(labels))
    for trend, rise, said, down, up in ((0, 1, 0, 1, 2), (2, 3, 3, 4, 5)):
        powers = np.exp(outputs[:, [down, up]].astype(np.float64))
        log_p = np.log(powers / powers.sum(axis=1, keepdims=True))
        entropy = -(1.0 - labels[:, rise]) * log_p[:, 0] - labels[:, rise] * log_p[:, 1]
        total += 2.0 * (outputs[:, said] - labels[:, trend]) ** 2 + 0.25 * entropy
    return total


@pytest.mark.parametrize("name", ["huber", "mse", "binary_crossentropy"])
def test_plain_losses_are_keras_own(name: str) -> None:
    """Losses that Keras has are handed on by name."""
    assert make_loss(TrainingSection.model_validate({"loss": name})) == name


def test_parts_by_hand() -> None:
    """One sample: errors 0.5 and -1, an even guess of a rise, and a certain right one of a fall."""
    labels = [[0.5, 1.0, -0.5, 0.0]]
    outputs = [[1.0, 0.3, 0.3, -1.5, 1000.0, 0.0]]
    parts = multitask_parts(labels, outputs, WEIGHTS)
    assert parts == pytest.approx({
        "regression_short": 0.25,
        "classification_short": math.log(2.0),
        "regression_long": 1.0,
        "classification_long": 0.0,
        "total": 2.0 * 1.25 + 0.25 * math.log(2.0),
    })  # fmt: skip


def test_parts_add_up_to_the_documented_loss() -> None:
    """The total is the mean of the loss written out by softmax probabilities, and the weighted sum of the parts."""
    labels, outputs = samples()
    parts = multitask_parts(labels, outputs, WEIGHTS)
    assert parts["total"] == pytest.approx(by_softmax(labels, outputs).mean())
    regression = parts["regression_short"] + parts["regression_long"]
    classification = parts["classification_short"] + parts["classification_long"]
    assert parts["total"] == pytest.approx(2.0 * regression + 0.25 * classification)


def test_a_certain_mistake_costs_its_logit() -> None:
    """Logits far beyond what exp can hold give the finite loss that they stand for."""
    outputs = [[0.0, 5000.0, 0.0, 0.0, 0.0, 5000.0]]
    parts = multitask_parts([[0.0, 1.0, 0.0, 0.5]], outputs, WEIGHTS)
    assert parts["classification_short"] == 5000.0
    assert parts["classification_long"] == 2500.0


@pytest.mark.training
def test_keras_gives_one_value_a_sample() -> None:
    """Unreduced, the Keras loss is [n], each the documented loss of its sample."""
    labels, outputs = samples()
    loss = multitask_class()(regression=2.0, classification=0.25, reduction=None)
    np.testing.assert_allclose(np.asarray(loss(labels, outputs)), by_softmax(labels, outputs), rtol=1e-5)
    assert np.isfinite(np.asarray(loss(labels, outputs * np.float32(1e4)))).all()


@pytest.mark.training
def test_keras_reduces_with_and_without_sample_weights() -> None:
    """Reduced, it is the total of the parts; with weights, the mean of weight times loss."""
    labels, outputs = samples()
    loss = make_loss(multitask())
    assert float(loss(labels, outputs)) == pytest.approx(
        multitask_parts(labels, outputs, WEIGHTS)["total"], rel=1e-5
    )
    weights = np.linspace(0.0, 2.0, len(labels)).astype(np.float32)
    expected = (by_softmax(labels, outputs) * weights).mean()
    assert float(loss(labels, outputs, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.training
def test_training_finds_what_the_loss_asks_for() -> None:
    """A constant model learns the mean trend and the share of rises at both horizons, so its gradients are right."""
    import keras

    labels = np.tile(np.array([[0.6, 1.0, -0.2, 0.0], [0.2, 0.5, -0.6, 0.0]], np.float32), (32, 1))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(6, kernel_initializer="zeros")])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=make_loss(multitask()))
    model.fit(np.ones((64, 1), np.float32), labels, epochs=150, batch_size=64, verbose=0)
    said = model.predict(np.ones((1, 1), np.float32), verbose=0)[0]
    assert said[[0, 3]] == pytest.approx([0.4, -0.4], abs=0.02)
    assert 1.0 / (1.0 + math.exp(said[1] - said[2])) == pytest.approx(0.75, abs=0.02)
    assert said[5] - said[4] < -3.0


@pytest.mark.training
def test_equal_logits_have_a_gradient() -> None:
    """Where both logits are equal, as dead ReLU layers make them, the loss still pulls towards the label."""
    import tensorflow as tf

    outputs = tf.Variable(tf.zeros((1, 6)))
    with tf.GradientTape() as tape:
        value = make_loss(multitask())(tf.constant([[0.0, 1.0, 0.0, 0.0]]), outputs)
    gradient = tape.gradient(value, outputs).numpy()[0]
    assert gradient == pytest.approx([0.0, 0.125, -0.125, 0.0, -0.125, 0.125])


@pytest.mark.training
def test_a_compiled_model_is_read_back_with_its_loss(tmp_path) -> None:
    """A stored model has the same multitask loss, weights and all."""
    import keras

    labels, outputs = samples()
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    model.compile(optimizer="sgd", loss=make_loss(multitask()))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.loss, multitask_class())
    assert again.evaluate(outputs, labels, verbose=0) == pytest.approx(
        model.evaluate(outputs, labels, verbose=0)
    )
