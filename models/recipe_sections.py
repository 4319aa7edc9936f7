"""The parts of a recipe: target, scaler, split, architecture and training, each a checked table of YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Units = Annotated[list[Annotated[int, Field(ge=1, le=4096)]], Field(min_length=1, max_length=8)]
Minutes = Annotated[int, Field(ge=1, le=1440)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TargetSection(Section):
    """What the model says, and how many minutes ahead; models/targets.py defines each kind.

    Attributes:
        second_horizon: Only of ``trend_and_direction``, where it is needed.
        barrier: Only of ``triple_barrier``: distance of the barriers in standardized moves.
    """

    kind: Literal[
        "scaled_return",
        "return_and_volatility",
        "log_return",
        "next_close",
        "direction",
        "trend_score",
        "trend_and_direction",
        "path",
        "triple_barrier",
    ]
    horizon: Minutes
    second_horizon: Minutes | None = None
    barrier: Annotated[float, Field(gt=0.0, le=10.0)] | None = None

    @model_validator(mode="after")
    def _options_fit(self) -> TargetSection:
        if (self.second_horizon is None) == (self.kind == "trend_and_direction"):
            raise ValueError("second_horizon belongs to trend_and_direction, which needs it")
        if self.second_horizon is not None and self.second_horizon <= self.horizon:
            raise ValueError("second_horizon must be longer than horizon")
        if self.barrier is not None and self.kind != "triple_barrier":
            raise ValueError("barrier belongs to triple_barrier")
        return self

    @property
    def options(self) -> dict[str, float]:
        """What ``make_target`` takes besides kind and horizon."""
        chosen = {"second_horizon": self.second_horizon, "barrier": self.barrier}
        return {key: float(value) for key, value in chosen.items() if value is not None}

    @property
    def reach(self) -> int:
        """Minutes until a label is known."""
        return max(self.horizon, self.second_horizon or 0)


class ScalerSection(Section):
    """How features are scaled; scaled values beyond ±clip are cut there."""

    kind: Literal["standard", "minmax", "robust", "rolling"]
    clip: Annotated[float, Field(gt=0.0)] | None = None


class SplitSection(Section):
    """Shares of the windows in order of time; a calibrate share of 0 calibrates on the early-stop slice.

    Attributes:
        embargo: Minutes left out between slices; None takes the longer of window and horizon.
    """

    train: Share
    early_stop: Share
    calibrate: Share
    test: Share
    embargo: Annotated[int, Field(ge=0)] | None = None

    @property
    def shares(self) -> tuple[float, float, float, float]:
        """The four shares in order of time."""
        return self.train, self.early_stop, self.calibrate, self.test


class StackedLstmSection(Section):
    """LSTM of each number of units, dropout after each, one dense output."""

    kind: Literal["stacked_lstm"]
    units: Units
    dropout: Dropout


class DeepLstmSection(Section):
    """LSTM layers, dropout after each, then ReLU layers of the numbers in ``dense``, then the output."""

    kind: Literal["deep_lstm"]
    units: Units
    dropout: Dropout
    dense: Units


class BidirectionalSection(Section):
    """Bidirectional LSTM of each number of units, dropout after each, one dense output of all steps."""

    kind: Literal["bidirectional"]
    units: Units
    dropout: Dropout


class AttentionSection(Section):
    """Bidirectional LSTM layers, attention with the query from the last state, one head a horizon.

    Attributes:
        units: Of each LSTM layer in each direction, and of what the attention sees.
        heads: Of the attention; ``units`` is a multiple of it.
        head_units: ReLU layers of each prediction head.
    """

    kind: Literal["attention_multitask"]
    units: Annotated[int, Field(ge=1, le=4096)]
    layers: Annotated[int, Field(ge=1, le=8)]
    heads: Annotated[int, Field(ge=1, le=64)]
    dropout: Dropout
    head_units: Units

    @model_validator(mode="after")
    def _heads_fit(self) -> AttentionSection:
        if self.units % self.heads:
            raise ValueError(f"units ({self.units}) must be a multiple of heads ({self.heads})")
        return self


class ForestSection(Section):
    """A random forest on the window's last row.

    Attributes:
        most_rows: At most so many training rows, evenly spaced in time.
    """

    kind: Literal["forest"]
    trees: Annotated[int, Field(ge=1, le=2000)]
    max_depth: Annotated[int, Field(ge=1, le=32)]
    min_leaf: PositiveInt
    max_features: Annotated[float, Field(gt=0.0, le=1.0)]
    most_rows: PositiveInt = 200_000


class LogitSection(Section):
    """A logistic regression on the window's last row."""

    kind: Literal["logit"]


class BaseRateSection(Section):
    """The share of rises in the train slice, whatever the window."""

    kind: Literal["base_rate"]


NetworkSection = StackedLstmSection | DeepLstmSection | BidirectionalSection | AttentionSection
MemberArchitecture = Annotated[
    StackedLstmSection | DeepLstmSection | ForestSection | LogitSection | BaseRateSection,
    Field(discriminator="kind"),
]


class MemberSection(Section):
    """A member of an ensemble.

    Attributes:
        weight: Its share, before the shares are made to add up to 1.
        wild_weight: Its share where volatility is above the train slice's median; None takes ``weight``.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,20}$")]
    architecture: MemberArchitecture
    weight: Annotated[float, Field(ge=0.0)] = 1.0
    wild_weight: Annotated[float, Field(ge=0.0)] | None = None


class EnsembleSection(Section):
    """Several models over the same windows, by weight.

    Attributes:
        combine: ``fixed`` by the members' weights; ``volatility``: by the wild weights where it is wild; ``online``:
            by how well each has forecast lately.
        rate: Online: the learning rate on log losses, in nats.
        share: Online: what all members give each minute to be shared out anew (M. Herbster and M. Warmuth, Tracking
            the Best Expert, 1998).
        memory_minutes: Online: weights rest on between one and two times so many minutes.
    """

    kind: Literal["ensemble"]
    combine: Literal["fixed", "volatility", "online"]
    members: Annotated[list[MemberSection], Field(min_length=2, max_length=12)]
    rate: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.001
    memory_minutes: Annotated[int, Field(ge=60, le=10_080)] = 1440

    @model_validator(mode="after")
    def _members_fit(self) -> EnsembleSection:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError("two members have the same name")
        for wild in (False, True):
            if sum(member.weight if not wild else wild_weight(member) for member in self.members) <= 0.0:
                raise ValueError("the members' weights add up to nothing")
        return self


def wild_weight(member: MemberSection) -> float:
    """A member's share in wild times."""
    return member.weight if member.wild_weight is None else member.wild_weight


ArchitectureSection = Annotated[
    StackedLstmSection
    | DeepLstmSection
    | BidirectionalSection
    | AttentionSection
    | ForestSection
    | EnsembleSection,
    Field(discriminator="kind"),
]


class PlateauSection(Section):
    """When and how far the learning rate falls (ReduceLROnPlateau)."""

    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    patience: PositiveInt = 5
    min_learning_rate: Annotated[float, Field(ge=0.0)] = 1e-7


class CosineSection(Section):
    """The learning rate rises in a line over the first epochs, then falls along a cosine to the last."""

    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    min_learning_rate: Annotated[float, Field(ge=0.0)] = 0.0


class SampleWeightSection(Section):
    """Weight of a training window: (volatility / median)^power within 1/limit to limit, mean 1.

    A power below 0 weighs quiet minutes more, one above 0 wild ones.
    """

    power: Annotated[float, Field(ge=-2.0, le=2.0)]
    limit: Annotated[float, Field(ge=1.0, le=100.0)] = 4.0


class LossWeightSection(Section):
    """Parts of the multitask loss, the same at both horizons."""

    regression: Annotated[float, Field(ge=0.0)] = 1.0
    classification: Annotated[float, Field(ge=0.0)] = 0.5


class TrainingSection(Section):
    """How the weights are found.

    Attributes:
        weight_decay: Decoupled, as AdamW has it (I. Loshchilov and F. Hutter, 2019); 0 is plain Adam.
        clip_norm: Greatest norm of all gradients together.
        plateau: The falling learning rate; not beside ``cosine``.
        max_minutes: Training stops there and keeps the best checkpoint.
        stride: Every n-th training window is used; windows a minute apart share all rows but one.
        seed: Of the first weights, the order of windows, dropout, a forest's draws.
        seeds: So many models are trained, with this seed and those after it, and forecast their mean.
    """

    loss: Literal["huber", "mse", "binary_crossentropy", "multitask"] = "mse"
    loss_weights: LossWeightSection = LossWeightSection()
    sample_weight: SampleWeightSection | None = None
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.001
    weight_decay: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0.0)] | None = None
    batch_size: PositiveInt = 32
    max_epochs: PositiveInt = 50
    max_minutes: Annotated[float, Field(gt=0.0)] = 12.0
    early_stopping_patience: PositiveInt = 10
    plateau: PlateauSection | None = None
    cosine: CosineSection | None = None
    stride: PositiveInt = 1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    seeds: Annotated[int, Field(ge=1, le=32)] = 1

    @model_validator(mode="after")
    def _one_schedule(self) -> TrainingSection:
        if self.plateau is not None and self.cosine is not None:
            raise ValueError("plateau and cosine are two schedules for one learning rate: keep one")
        return self
