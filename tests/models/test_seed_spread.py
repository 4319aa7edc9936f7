"""The spread of figures over seeds."""

from __future__ import annotations

from typing import Any

import pytest

from models.seed_spread import FIGURES, seed_spread


def report(accuracy: float | None) -> dict[str, Any]:
    """A report with one figure."""
    return {"forecasts": {"model": dict.fromkeys(FIGURES) | {"direction_accuracy": accuracy}}}


def test_the_spread_is_that_of_a_sample() -> None:
    """Mean, standard deviation with n - 1, least and greatest are those of the seeds."""
    found = seed_spread({7: report(0.50), 8: report(0.52), 9: report(0.54)})
    assert found["each"]["8"]["direction_accuracy"] == 0.52
    assert found["spread"]["direction_accuracy"] == pytest.approx(
        {"mean": 0.52, "deviation": 0.02, "lowest": 0.50, "highest": 0.54}
    )


def test_what_no_seed_has_is_left_out() -> None:
    """A figure that is missing everywhere has no spread; one seed alone has no deviation."""
    found = seed_spread({7: report(0.5), 8: report(None)})
    assert list(found["spread"]) == ["direction_accuracy"]
    assert found["spread"]["direction_accuracy"]["deviation"] is None
