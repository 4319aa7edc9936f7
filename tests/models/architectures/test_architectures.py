"""Building networks by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from bot.errors import ModelError
from models.architectures import BUILDERS, build
from models.recipe_sections import (
    AttentionSection,
    BaseRateSection,
    BidirectionalSection,
    DeepLstmSection,
    NetworkSection,
    StackedLstmSection,
)
from tests.onnx_graph import some_windows


def test_every_network_of_the_recipes_has_a_builder() -> None:
    """The kinds that a recipe may name as a network are the kinds that can be built."""
    kinds = {get_args(section.model_fields["kind"].annotation)[0] for section in get_args(NetworkSection)}
    assert set(BUILDERS) == kinds


def test_what_is_no_network_is_refused() -> None:
    """A base rate cannot be built as a network, and the refusal names what can."""
    with pytest.raises(ModelError, match=r"a base_rate is not a network .*stacked_lstm"):
        build(BaseRateSection(kind="base_rate"), 5, 3)  # type: ignore[arg-type]


def test_keras_waits_for_the_first_network() -> None:
    """Importing architectures, losses and sample weights imports neither Keras nor TensorFlow."""
    code = (
        "import sys, models.architectures, models.losses, models.sample_weights\n"
        "print(sorted({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.training
@pytest.mark.parametrize(
    "section",
    [
        StackedLstmSection(kind="stacked_lstm", units=[4, 3], dropout=0.2),
        DeepLstmSection(kind="deep_lstm", units=[4, 3], dropout=0.2, dense=[5]),
        BidirectionalSection(kind="bidirectional", units=[4, 3], dropout=0.2),
    ],
    ids=lambda section: section.kind,
)
@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh"])
def test_a_plain_network_has_the_outputs_and_activation_asked_for(
    section: NetworkSection, activation: str
) -> None:
    """What is trained is served; outputs [n, outputs] come from one dense layer of the activation asked for."""
    network = build(section, 5, 3, outputs=7, activation=activation)
    assert network.served is network.trained
    assert network.trained.name == section.kind
    assert network.trained.output_shape == (None, 7)
    assert network.trained.get_layer("forecast").activation.__name__ == activation
    assert network.trained(some_windows(2, 5, 3)).shape == (2, 7)


@pytest.mark.training
def test_the_input_has_its_name_whatever_follows() -> None:
    """The input is named window, with or without the rolling scaler, so that callers can feed it by name."""
    section = StackedLstmSection(kind="stacked_lstm", units=[3], dropout=0.0)
    for rolling in (False, True):
        assert build(section, 5, 3, rolling=rolling).trained.inputs[0].name == "window"


@pytest.mark.slow
@pytest.mark.training
def test_a_stored_network_is_read_by_another_process(tmp_path: Path) -> None:
    """After register_layers a fresh process reads a .keras file with every layer of ours and forecasts the same."""
    section = AttentionSection(
        kind="attention_multitask", units=4, layers=1, heads=2, dropout=0.0, head_units=[3]
    )
    model = build(section, 5, 3, outputs=6, rolling=True).served
    model.save(tmp_path / "model.keras")
    windows = some_windows(4, 5, 3)
    np.save(tmp_path / "windows.npy", windows)
    code = (
        "import sys, keras, numpy as np\n"
        "from pathlib import Path\n"
        "from models.architectures import register_layers\n"
        "register_layers()\n"
        "folder = Path(sys.argv[1])\n"
        "model = keras.models.load_model(folder / 'model.keras')\n"
        "forecast, attention = model.predict(np.load(folder / 'windows.npy'), verbose=0)\n"
        "np.savez(folder / 'said.npz', forecast=forecast, attention=attention)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, timeout=120)
    said = np.load(tmp_path / "said.npz")
    for name, wanted in zip(("forecast", "attention"), model.predict(windows, verbose=0), strict=True):
        np.testing.assert_allclose(said[name], wanted, atol=1e-6)
