"""The training curves as a picture."""

from __future__ import annotations

import io


def history_png(epochs: dict[str, list[float]], best_epoch: int) -> bytes:
    """A PNG of two panels, loss and mean absolute error by epoch, training beside validation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (metric, title) in zip(
        figure.subplots(1, 2), (("loss", "Loss"), ("mae", "Mean absolute error")), strict=True
    ):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if values := epochs.get(key):  # a fit without validation data has one curve a panel
                axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, label=label)
        axes.axvline(best_epoch, color="0.6", linestyle=":", label="kept")
        axes.set(title=f"{title} by epoch", xlabel="epoch", ylabel=title.lower())
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
