"""A network that is refitted in place: it learns, goes on from where it was, and repeats itself by its seed."""

import numpy as np
import pytest

pytestmark = pytest.mark.training

WINDOW = 8


def _lesson(seed: int):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(6000, 3)).astype(np.float32)
    ends = np.arange(WINDOW, 6000)
    target = table[ends - 3, 1].astype(np.float64)  # something that the newest row does not show
    return table, ends, target


def test_it_learns_what_lies_back_in_the_window_and_goes_on_from_there():
    """The error falls far below that of saying nothing, a later fit begins where the first ended, and seeds repeat."""
    from models.rolling_fit import RollingFit

    table, ends, target = _lesson(1)
    said = []
    for _ in range(2):
        network = RollingFit(table, window=WINDOW, units=(8,), dropout=0.0, learning_rate=0.02, seed=3)
        network.fit(ends[:4096], target[:4096], ends[4500:], target[4500:], epochs=10)
        first = np.mean((network.say(ends[4500:]) - target[4500:]) ** 2)
        network.fit(ends[:4096], target[:4096], ends[4500:], target[4500:], epochs=2)
        second = np.mean((network.say(ends[4500:]) - target[4500:]) ** 2)
        said.append(network.say(ends[:10]))
    assert first < 0.5 * target.var()
    assert second <= first + 1e-9
    np.testing.assert_allclose(said[0], said[1], atol=1e-5)
    assert network.say(ends[:0]).shape == (0,)
