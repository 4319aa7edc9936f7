"""What training makes small: the losses that recipes name.

The multitask loss is, at each of two horizons, regression weight · (trend error)² + classification weight ·
cross entropy of the direction, summed. Labels [n, 4] are trend and rise (1, 0, or one half for a tie), outputs
[n, 6] trend, down logit and up logit, each at the short, then at the long horizon. The softmax cross entropy of
two logits against (1 - rise, rise) is softplus(d) - rise · d of their difference d = up - down.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from models.recipe_sections import LossWeightSection, TrainingSection

HORIZONS = ("short", "long")
_LABELS, _OUTPUTS = 2, 3


def make_loss(section: TrainingSection) -> Any:
    """What ``model.compile`` takes as the loss: a name of Keras', or our multitask loss with its weights."""
    if section.loss != "multitask":
        return section.loss
    weights = section.loss_weights
    return multitask_class()(regression=weights.regression, classification=weights.classification)


def multitask_parts(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, weights: LossWeightSection
) -> dict[str, float]:
    """The means of the multitask loss's parts over all samples, without Keras.

    Args:
        y_true: Labels [n, 4].
        y_pred: Outputs [n, 6].
        weights: Of the parts in the total.

    Returns:
        ``regression_short``, ``classification_short``, ``regression_long`` and ``classification_long`` before
        weighting, and ``total``, which is their weighted sum: the loss.
    """
    labels, outputs = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    means: dict[str, float] = {}
    total = 0.0
    for horizon, (squared, entropy) in zip(HORIZONS, _components(labels, outputs, _softplus), strict=True):
        means[f"regression_{horizon}"] = float(np.mean(squared))
        means[f"classification_{horizon}"] = float(np.mean(entropy))
        total += weights.regression * means[f"regression_{horizon}"]
        total += weights.classification * means[f"classification_{horizon}"]
    return means | {"total": total}


@cache
def multitask_class() -> Any:
    """The Keras loss ``MultitaskLoss``, known to ``keras.models.load_model`` from the first call on.

    It is made of ``keras.ops`` and operators, so every backend of Keras computes it.
    """
    import keras

    @keras.saving.register_keras_serializable(package="models")
    class MultitaskLoss(keras.losses.Loss):  # type: ignore[misc]
        """Squared error of the trend and cross entropy of the direction at two horizons, one value a sample."""

        def __init__(
            self,
            regression: float = 1.0,
            classification: float = 0.5,
            name: str = "multitask",
            **options: Any,
        ) -> None:
            super().__init__(name=name, **options)
            self.regression, self.classification = regression, classification

        def call(self, y_true: Any, y_pred: Any) -> Any:
            """Labels [n, 4] and outputs [n, 6] to [n]."""
            short, long = (
                self.regression * squared + self.classification * entropy
                for squared, entropy in _components(y_true, y_pred, keras.ops.softplus)
            )
            return short + long

        def get_config(self) -> dict[str, Any]:
            """What makes an equal loss."""
            weights = {"regression": self.regression, "classification": self.classification}
            return {**super().get_config(), **weights}

    return MultitaskLoss


def _components(y_true: Any, y_pred: Any, softplus: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    """(squared error of the trend, cross entropy of the direction), [n] each, of each horizon."""
    parts = []
    for number in range(len(HORIZONS)):
        trend, rise = (y_true[:, _LABELS * number + column] for column in range(_LABELS))
        said, down, up = (y_pred[:, _OUTPUTS * number + column] for column in range(_OUTPUTS))
        error, logit = said - trend, up - down
        parts.append((error * error, softplus(logit) - rise * logit))
    return parts


def _softplus(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log(1 + e^x), without overflow."""
    return np.logaddexp(0.0, values)
