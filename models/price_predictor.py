"""The LSTM price predictor of the source documents, over the network of the recipe ``minmax-close``.

``bot train --recipe minmax-close`` fits the same network, and does what this class leaves to its caller: slices of time
with an embargo between them, baselines beside every figure, an artifact that the daemon can serve. Here it is for
notebooks, and for code written against the documents.
"""
# ruff: noqa: N803, N806  (X_train and the like are the documents' names, and may be given as keywords)

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.architectures import build
from models.history_plot import history_png
from models.price_config import DEFAULT_CONFIG, architecture, load_config, training
from models.recipe_sections import PlateauSection, TrainingSection

Array = npt.NDArray[Any]

CHECKPOINT = Path("models/checkpoints/best_model.keras")
_SUFFIXES = (".keras", ".h5")
_PREDICT_BATCH = 256


class LSTMPricePredictor:
    """A stacked LSTM that foretells the next close in the scaled space of its inputs.

    Sequences are [n, timesteps, features], usually of ``DataPreprocessor.create_sequences``. TensorFlow is imported by
    the first method that needs it.

    Attributes:
        config: The configuration, a dictionary. An edit counts from the next ``build_model`` (``lstm_units``,
            ``dropout_rate``, ``learning_rate``) or ``train`` (``epochs``, ``batch_size``) on.
        model: The compiled ``keras.Model``; None before ``build_model``, ``train`` or ``load_model``.
        history: The ``keras.callbacks.History`` of the last ``train``; None before.
    """

    def __init__(self, config_path: str = DEFAULT_CONFIG) -> None:
        """Read the configuration.

        Args:
            config_path: A YAML file; where the working folder has no ``config/config.yaml``, the default is the file
                that comes with the program.

        Raises:
            ConfigError: The file is missing or malformed; names the field.
        """
        self.config: dict[str, Any] = load_config(config_path)
        self.model: Any = None
        self.history: Any = None
        self._trained = False

    def build_model(self, input_shape: tuple[int, int]) -> Any:
        """Build and compile the network for (timesteps, features), print its summary and return it.

        LSTM layers of ``lstm_units`` units, dropout after each, one linear output; Adam, mean squared error, mean
        absolute error as metric. The default has 30,625 weights at (60, 6). What was trained before is forgotten.

        Raises:
            ValueError: ``input_shape`` is not two whole numbers above 0.
            ConfigError: An edited field is missing or out of range.
        """
        keras = _keras()
        if len(input_shape) != 2 or any(int(size) != size or size < 1 for size in input_shape):
            raise ValueError(f"input_shape must be (timesteps, features), both above 0, not {input_shape!r}")
        rate = training(self.config).learning_rate
        timesteps, features = (int(size) for size in input_shape)
        model = build(architecture(self.config), timesteps, features).trained
        _compile(keras, model, rate)
        model.summary()
        self.model, self.history, self._trained = model, None, False
        return model

    def train(
        self, X_train: Array, y_train: Array, X_val: Array | None = None, y_val: Array | None = None
    ) -> Any:
        """Fit the network and keep the weights of its best epoch.

        Early stopping after 10 epochs without a better ``val_loss``, half the learning rate after 5 (not below 1e-7),
        and the best model in ``models/checkpoints/best_model.keras`` of the working folder. Without validation data all
        three watch ``loss``.

        Args:
            X_train: Sequences [n, timesteps, features].
            y_train: Targets [n].
            X_val: Sequences to watch, later in time than those of training.
            y_val: Their targets; both or neither.

        Returns:
            ``keras.callbacks.History``; its ``history`` has loss, mae, learning_rate and, with validation data, val_loss
            and val_mae, one value an epoch.

        Raises:
            ValueError: Shapes do not fit each other or the network, or a value is not finite.
            ConfigError: An edited field is missing or out of range.
            ModelError: Training diverged.
        """
        options = training(self.config)
        X_train, y_train = _pairs(X_train, y_train, "X_train", "y_train")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together: give both or neither")
        validation = None
        if X_val is not None and y_val is not None:
            validation = _pairs(X_val, y_val, "X_val", "y_val")
        keras = _keras()
        if self.model is None:
            self.build_model((X_train.shape[1], X_train.shape[2]))
        self._check_shape(X_train, "X_train")
        if validation is not None:
            self._check_shape(validation[0], "X_val")
        if not self.model.compiled:
            _compile(keras, self.model, options.learning_rate)

        CHECKPOINT.parent.mkdir(parents=True, exist_ok=True)
        _say(f"Training model for up to {options.max_epochs} epochs...")
        self.history = self.model.fit(
            X_train,
            y_train,
            validation_data=validation,
            epochs=options.max_epochs,
            batch_size=options.batch_size,
            callbacks=_callbacks(keras, options, "loss" if validation is None else "val_loss"),
        )
        self._trained = _finite_weights(self.model)
        if not self._trained:
            raise ModelError("training diverged: the weights are not all numbers; try a lower learning_rate")
        return self.history

    def predict(self, X: Array) -> npt.NDArray[np.float32]:
        """What the network foretells for sequences [n, timesteps, features]: float32 [n, 1], scaled as the targets.

        Raises:
            ValueError: There is no trained model, or the shape does not fit it.
        """
        model = self._ready()
        X = _sequences(X, "X")
        self._check_shape(X, "X")
        predictions: npt.NDArray[np.float32] = np.asarray(
            model.predict(X, batch_size=_PREDICT_BATCH, verbose=0), dtype=np.float32
        )
        return predictions

    def evaluate(self, X_test: Array, y_test: Array) -> dict[str, float]:
        """Print and return mse, mae, rmse and direction_accuracy (0 to 1).

        ``direction_accuracy`` is the documents' definition: the share of neighbouring samples between which the
        prediction moves the way the target does, where no move is a direction too. It is legacy. It does not ask whether
        a forecast knew the next move from the last close: repeating the last close can score as well. True direction
        accuracy, with an interval and beside baselines, is what ``bot train`` and ``bot evaluate`` report.

        Raises:
            ValueError: There is no trained model, shapes do not fit, a value is not finite, or there are fewer than two
                samples (there is no direction between fewer).
        """
        self._ready()
        X_test, y_test = _pairs(X_test, y_test, "X_test", "y_test")
        if len(y_test) < 2:
            raise ValueError("evaluate needs at least two samples: a direction is a difference between two")
        predicted = self.predict(X_test)[:, 0].astype(np.float64)
        error = predicted - y_test
        same_way = np.sign(np.diff(predicted)) == np.sign(np.diff(y_test))
        mse = float(np.mean(error * error))
        metrics = {
            "mse": mse,
            "mae": float(np.mean(np.abs(error))),
            "rmse": float(np.sqrt(mse)),
            "direction_accuracy": float(np.mean(same_way)),
        }
        _say("Evaluation Metrics:")
        for name, value in metrics.items():
            _say(f"{name}: {value:.6f}")
        return metrics

    def plot_training_history(self, save_path: str | Path = "models/training_history.png") -> None:
        """Write a PNG of two panels, loss and mean absolute error by epoch; nothing where ``train`` has not run.

        The folder is created, and no window opens.

        Raises:
            ValueError: ``save_path`` does not end in .png.
            OSError: The file cannot be written.
        """
        if self.history is None:
            return
        path = Path(save_path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"the plot is a PNG: {path} must end in .png")
        epochs: dict[str, list[float]] = self.history.history
        watched = epochs.get("val_loss", epochs["loss"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(history_png(epochs, int(np.nanargmin(watched)) + 1))
        _say(f"Training history plot saved to {path}")

    def save_model(self, filepath: str | Path = "models/lstm_model.keras") -> None:
        """Write layers, weights and the optimizer's state to one file, creating its folder.

        The file appears whole or not at all; one that was there before stays until then.

        Raises:
            ValueError: There is no trained model, or the name ends neither in .keras nor in .h5 (an older format).
            OSError: The file cannot be written.
        """
        model = self._ready()
        path = Path(filepath)
        if path.suffix not in _SUFFIXES:
            raise ValueError(f"{path} must end in .keras (or .h5, an older format)")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
        try:
            model.save(unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        _say(f"Model saved to {path}")

    def load_model(self, filepath: str | Path = "models/lstm_model.keras") -> None:
        """Read a model of ``save_model`` or a checkpoint of ``train``; it predicts at once.

        A file that is refused leaves the model that was there in place.

        Raises:
            OSError: There is no such file, or it cannot be opened.
            ValueError: The file is corrupted, of an incompatible version of Keras, or no such model.
        """
        path = Path(filepath)
        path.open("rb").close()  # an OSError that says what is wrong; Keras calls a missing file a ValueError
        keras = _keras()
        try:
            # the older format loses which weights the optimizer's state belongs to: train() compiles anew
            model = keras.models.load_model(path, compile=path.suffix != ".h5")
        except Exception as fault:  # damage shows as whatever the parser that meets it happens to raise
            raise ValueError(
                f"{path} cannot be loaded: it is corrupted, or of another version of Keras"
            ) from fault
        shapes = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
        if not (_rank(shapes[0]) == 3 and _rank(shapes[1]) == 2 and shapes[1][1] == 1):  # type: ignore[index]
            raise ValueError(
                f"{path} holds a model of another kind: its inputs are {shapes[0]}, outputs {shapes[1]}"
            )
        if not _finite_weights(model):
            raise ValueError(f"{path} is corrupted: its weights are not all numbers")
        self.model, self.history, self._trained = model, None, True

    def _ready(self) -> Any:
        """The trained model, or ValueError."""
        if self.model is None or not self._trained:
            raise ValueError("the model is not trained: call train() or load_model() first")
        return self.model

    def _check_shape(self, sequences: Array, name: str) -> None:
        """Refuse sequences that the network was not built for."""
        wanted = tuple(self.model.input_shape[1:])
        if sequences.shape[1:] != wanted:
            raise ValueError(f"{name} has sequences of {sequences.shape[1:]}; the model takes {wanted}")


def _keras() -> Any:
    """Keras, imported late; TensorFlow's C++ side is kept from writing over the progress bar."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras


def _compile(keras: Any, model: Any, learning_rate: float) -> None:
    """Adam, mean squared error, mean absolute error as metric."""
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="mse", metrics=["mae"])


def _callbacks(keras: Any, options: TrainingSection, monitor: str) -> list[Any]:
    """Early stopping, the falling learning rate and the best checkpoint, as the documents have them."""
    patience, plateau = options.early_stopping_patience, options.plateau or PlateauSection()
    return [
        keras.callbacks.EarlyStopping(
            monitor=monitor, patience=patience, restore_best_weights=True, verbose=1
        ),
        keras.callbacks.ReduceLROnPlateau(
            monitor=monitor,
            factor=plateau.factor,
            patience=plateau.patience,
            min_lr=plateau.min_learning_rate,
        ),
        keras.callbacks.ModelCheckpoint(str(CHECKPOINT), monitor=monitor, save_best_only=True),
    ]


def _sequences(values: Array, name: str) -> Array:
    """Sequences as float32, checked."""
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"{name} must be (samples, timesteps, features), none of them 0; it is {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds values that are not finite")
    return values


def _pairs(sequences: Array, targets: Array, name: str, target_name: str) -> tuple[Array, Array]:
    """Sequences and as many targets, float64 [n]."""
    sequences = _sequences(sequences, name)
    targets = np.asarray(targets, dtype=np.float64)
    if targets.shape not in {(len(sequences),), (len(sequences), 1)}:
        raise ValueError(
            f"{target_name} must have one number for each of {len(sequences)} samples; it is {targets.shape}"
        )
    if not np.isfinite(targets).all():
        raise ValueError(f"{target_name} holds values that are not finite")
    return sequences, targets.reshape(-1)


def _finite_weights(model: Any) -> bool:
    """Whether every weight is a number."""
    return all(bool(np.isfinite(weights).all()) for weights in model.get_weights())


def _rank(shape: Any) -> int | None:
    """How many axes a shape of Keras has; None where a model has several inputs or outputs."""
    return (
        len(shape)
        if isinstance(shape, tuple) and not any(isinstance(part, tuple) for part in shape)
        else None
    )


def _say(line: str) -> None:
    """Print a line: this interface is documented to talk to the console."""
    print(line)  # noqa: T201
