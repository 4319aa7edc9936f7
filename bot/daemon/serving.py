"""Which model predicts: found by name, verified, loaded, and proven, or else knowingly not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bot.daemon.model_facts import ModelFacts, read_facts
from bot.daemon.no_trade import NoTradePredictor
from bot.errors import ModelError
from bot.ports import Predictor
from models.registry import NO_TRADE, champion, resolve
from models.verdicts import UnprovenError, is_proven, require_proven


class Serving(NamedTuple):
    """A predictor and what is known of it.

    Attributes:
        predictor: The loaded model, or the one that says nothing.
        proven: Whether the gate has promoted it; None where there is nothing to judge.
        refused: Why the model that was named does not predict, where a fallback does.
        facts: What its watch must know.
    """

    predictor: Predictor
    proven: bool | None
    refused: str | None = None
    facts: ModelFacts = ModelFacts()

    @property
    def model_id(self) -> str:
        """Which model."""
        return self.predictor.model_id


class ModelShelf:
    """The models of one folder, as a daemon may use them.

    Args:
        root: The folder.
        unproven: Whether a model that the gate has not promoted may trade, on paper.
    """

    def __init__(self, root: Path, *, unproven: bool) -> None:
        self.root = root
        self._unproven = unproven

    def load(self, name: str | None) -> Serving:
        """Verify and load a model: by id, path or alias; None is the champion, or else the latest.

        Blocks for as long as it takes to read and hash the files.

        Raises:
            ModelError: There is none, it is damaged, or it is not proven and may not trade.
        """
        if name == NO_TRADE or (name is None and champion(self.root) == NO_TRADE):
            return Serving(NoTradePredictor(), None)
        from bot.inference import OnnxPredictor  # onnxruntime is loaded for a model, and not before
        from models.forecaster import load_forecaster

        folder = resolve(self.root, name)
        forecaster = load_forecaster(folder, threads=1)
        model_id = forecaster.passport.model_id
        if not self._unproven:
            require_proven(self.root, model_id)
        facts = read_facts(self.root, folder, model_id, forecaster.passport.columns)
        return Serving(OnnxPredictor(forecaster), is_proven(self.root, model_id), facts=facts)

    def load_first(self, name: str | None, fallback: str | None) -> Serving:
        """The model that a start names, or the fallback where that one is damaged.

        Raises:
            ModelError: Both are refused, or the one there is; a model that is not proven has no fallback.
        """
        try:
            return self.load(name)
        except ModelError as refused:
            if fallback is None or isinstance(refused, UnprovenError):
                raise
            return self.load(fallback)._replace(refused=str(refused))
