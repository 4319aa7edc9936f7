"""The network with attention and two horizons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.errors import ModelError
from models.architectures import Network, build
from models.recipe_sections import AttentionSection
from tests.onnx_graph import onnx_outputs, some_windows

pytestmark = pytest.mark.training
WINDOW, FEATURES = 12, 5


def section(**changes: object) -> AttentionSection:
    """A small network."""
    sizes = {"units": 8, "layers": 2, "heads": 4, "dropout": 0.2, "head_units": [6, 4]} | changes
    return AttentionSection.model_validate({"kind": "attention_multitask"} | sizes)


def small_network(*, rolling: bool = False) -> Network:
    """The small network with large weights around its attention, so that this is no even share."""
    import keras

    keras.utils.set_random_seed(3)
    network = build(section(), WINDOW, FEATURES, outputs=6, rolling=rolling)
    for name, factor in (("projection", 4.0), ("steps_attention", 3.0), ("long_direction", 3.0)):
        layer = network.served.get_layer(name)
        layer.set_weights([weight * factor for weight in layer.get_weights()])
    return network


@pytest.fixture(scope="module")
def network() -> Network:
    """The small network, for tests that leave it as it is."""
    return small_network()


def test_it_has_its_weights() -> None:
    """62 columns, two layers of 128 units each way, four heads, prediction heads of 64 and 32: every part by formula."""
    chosen = section(units=128, head_units=[64, 32])
    network = build(chosen, WINDOW, 62, outputs=6)
    encoder = 2 * 4 * 128 * (62 + 128 + 1) + 2 * 4 * 128 * (2 * 128 + 128 + 1)
    projection = 128 * (2 * 128 + 1)
    attention = 4 * 128 * (128 + 1)  # query, key, value and the way out
    head = 64 * (128 + 1) + 32 * (64 + 1) + (1 + 2) * (32 + 1)
    assert network.trained.count_params() == encoder + projection + attention + 2 * head
    assert network.served.count_params() == network.trained.count_params()


def test_it_has_six_outputs_and_no_other_number() -> None:
    """Trend, down and up at two horizons make six outputs; a request for one is refused."""
    with pytest.raises(ModelError, match="6 outputs, not 1"):
        build(section(), WINDOW, FEATURES)


def test_outputs_stand_in_the_order_of_the_target(network: Network) -> None:
    """Columns are trend, down, up of the short and then of the long horizon, as each head's own layers say."""
    import keras

    names = ["short_trend", "short_direction", "long_trend", "long_direction"]
    parts = keras.Model(network.trained.inputs, [network.trained.get_layer(name).output for name in names])
    windows = some_windows(8, WINDOW, FEATURES)
    expected = np.concatenate(parts.predict(windows, verbose=0), axis=1)
    said = network.trained.predict(windows, verbose=0)
    assert said.shape == (8, 6)
    np.testing.assert_array_equal(said, expected)


def test_trends_stay_within_one_and_logits_do_not(network: Network) -> None:
    """Only the trend columns pass through tanh, whatever activation is asked for: logits go beyond one."""
    asked = build(section(), WINDOW, FEATURES, outputs=6, activation="sigmoid").trained
    asked.set_weights(network.trained.get_weights())
    said = asked.predict(some_windows(64, WINDOW, FEATURES), verbose=0)
    assert np.abs(said[:, [0, 3]]).max() <= 1.0
    assert np.abs(said[:, [1, 2, 4, 5]]).max() > 1.0


def test_attention_is_a_share_of_each_step(network: Network) -> None:
    """The served model's second output has a row a window that is not negative and adds up to 1, the heads' mean."""
    import keras

    windows = some_windows(16, WINDOW, FEATURES)
    forecast, attention = network.served.predict(windows, verbose=0)
    assert [tuple(output.shape) for output in network.served.outputs] == [(None, 6), (None, WINDOW)]
    assert forecast.shape == (16, 6)
    assert attention.shape == (16, WINDOW)
    assert attention.min() >= 0.0
    np.testing.assert_allclose(attention.sum(axis=1), 1.0, atol=1e-5)
    assert attention.std(axis=1).min() > 1e-3
    _, scores = network.served.get_layer("steps_attention").output
    by_head = keras.Model(network.served.inputs, scores).predict(windows, verbose=0)
    np.testing.assert_allclose(attention, by_head.mean(axis=1)[:, 0], atol=1e-6)


def test_the_last_step_asks(network: Network) -> None:
    """What the attention is asked with is the projected sequence's last step."""
    import keras

    layers = [network.served.get_layer(name).output for name in ("projection", "last_step")]
    parts = keras.Model(network.served.inputs, layers)
    steps, last = parts.predict(some_windows(4, WINDOW, FEATURES), verbose=0)
    assert last.shape == (4, 1, 8)
    np.testing.assert_array_equal(last, steps[:, -1:])


def test_what_is_trained_is_what_is_served() -> None:
    """A training step changes the served model's forecast with the trained model's: they share their weights."""
    network = small_network()
    windows = some_windows(16, WINDOW, FEATURES)
    before, _ = network.served.predict(windows, verbose=0)
    network.trained.compile(optimizer="sgd", loss="mse")
    network.trained.fit(windows, np.ones((16, 6), np.float32), verbose=0)
    after, _ = network.served.predict(windows, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, network.trained.predict(windows, verbose=0), atol=1e-6)


@pytest.mark.parametrize("rolling", [False, True])
def test_its_graph_says_what_keras_says(tmp_path: Path, rolling: bool) -> None:
    """The exported graph gives forecast, then attention, each within 1e-5 of Keras."""
    model = small_network(rolling=rolling).served
    windows = some_windows(64, WINDOW, FEATURES)
    expected = model.predict(windows, verbose=0)
    actual = onnx_outputs(model, windows, tmp_path)
    assert [output.shape for output in actual] == [(64, 6), (64, WINDOW)]
    for said, wanted in zip(actual, expected, strict=True):
        assert np.std(wanted) > 1e-3
        np.testing.assert_allclose(said, wanted, rtol=0, atol=1e-5)


def test_a_stored_model_is_read_back(network: Network, tmp_path: Path) -> None:
    """The served model's .keras file gives the same forecast and attention."""
    import keras

    path = tmp_path / "model.keras"
    network.served.save(path)
    windows = some_windows(8, WINDOW, FEATURES)
    again = keras.models.load_model(path).predict(windows, verbose=0)
    for said, wanted in zip(again, network.served.predict(windows, verbose=0), strict=True):
        np.testing.assert_allclose(said, wanted, atol=1e-6)
