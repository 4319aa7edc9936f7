"""Seeds of one training run on a cluster: a process for each, as fitting networks asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from backtests.cluster import Failure, Where, spread
from bot.clock import monotonic_ns
from bot.errors import BotError
from models.recipe import Recipe
from models.seed_shipping import SeedGround, ShippedSeed, SpreadSeeds, learn_seed


def spread_seeds(where: Where) -> SpreadSeeds:
    """What ``models.seed_shipping.seeds_elsewhere`` takes; its errors are those of ``backtests.cluster.spread``."""

    def learn(
        recipes: Mapping[str, Recipe],
        ground: SeedGround,
        on_done: Callable[[str, ShippedSeed | BotError], None],
    ) -> None:
        def told(key: str, outcome: ShippedSeed | Failure) -> None:
            on_done(key, outcome.fault if isinstance(outcome, Failure) else outcome)

        spread(recipes, fit_one, where=where, shared=ground, on_done=told, fresh=True)

    return learn


def fit_one(ground: SeedGround, recipe: Recipe) -> ShippedSeed:
    """The work of one process; its errors are those of ``learn_seed``."""
    return learn_seed(ground, recipe, lambda: monotonic_ns() / 1e9)
