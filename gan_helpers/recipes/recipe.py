"""A recipe is the whole experiment: every hyper-parameter in one frozen dataclass, and the registry of the course."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, fields, replace

from ..errors import CourseError, nearest

# Of losses.LOSSES and augment.AUGMENTATIONS, which would import torch.
LOSS_NAMES = ("bce", "hinge", "minimax", "least-squares", "wasserstein")
AUGMENT_NAMES = ("brightness", "color", "translation", "cutout")
FAMILIES = {  # of models/: the image sizes and the uses of labels that each knows
    "dcgan": ((16, 32, 64, 128), ("", "pairs")),
    "auxiliary": ((32,), ("", "pairs", "real", "acgan")),
    "genzoo": ((28, 32), ("", "pairs")),
    "linear": ((32,), ("", "pairs")),
    "fid": ((32,), ("", "pairs")),
    "sagan": ((32,), ("conditional",)),
    "best": ((16, 32, 64, 128), ("", "pairs", "real", "acgan", "conditional")),
    "residual": ((32, 64, 128), ("", "real", "acgan", "conditional")),
}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run. Print it, diff it, save it; a checkpoint carries it."""

    name: str
    about: str = ""
    # data
    data: str = "faces"  # a data set's name, or a folder or zip of images
    image_size: int = 64  # pixels; 16, 32, 64 or 128 in most families
    channels: int = 3
    flip: bool = False  # mirror half of the real images
    labels: str = ""  # '' (unused), 'pairs' (a G and a D a class), 'conditional' (both nets are told the class), or a
    # class head in D: 'real' (on real images only) or 'acgan' (on fakes too, whose class G is told)
    num_classes: int = 10  # where labels are used
    # nets
    family: str = "dcgan"  # the file in models/
    latent_dim: int = 100
    g_width: int = 64  # feature maps of G's last hidden layer
    d_width: int = 64  # feature maps of D's first layer
    d_norm: str = "batch"  # 'batch', 'spectral' or 'none'
    slope: float = 0.2  # of D's LeakyReLU, and of G's where the family has it
    d_dropout: float = 0.0  # families genzoo and fid
    attention: bool = False  # self-attention on the 16x16 maps (family best; sagan always has it)
    block: str = "norm,act"  # what follows a convolution, in order (family auxiliary)
    learned_latent: bool = False  # learn mean and variance of the latent (family auxiliary)
    # game
    loss: str = "bce"  # 'bce' (non-saturating), 'hinge', 'minimax', 'least-squares' or 'wasserstein'
    real_target: float = 1.0  # below 1: label smoothing (bce, minimax and least-squares)
    fake_target: float = 0.0  # above real_target: flipped labels
    target_noise: float = 0.0  # D's targets lie up to this much nearer to each other, at random for each image
    instance_noise: float = 0.0  # standard deviation of noise on D's inputs, falling to 0 over the run
    augment: str = ""  # DiffAugment, comma-separated: brightness, color, translation, cutout
    r1: float = 0.0  # weight of the R1 penalty on D's gradient at real images
    r1_every: int = 8  # D steps from one R1 penalty to the next, which then counts that many times
    gp: float = 0.0  # weight of the gradient penalty between real and fake images (for wasserstein)
    d_steps: int = 1  # D updates for each G update
    # optimisation
    batch_size: int = 128
    g_lr: float = 2e-4
    d_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    adam_eps: float = 1e-8  # 1e-7 in Keras
    decay: float = 0.0  # share of the run, at its end, over which the learning rates fall to 0
    ema: float = 0.0  # decay of the generator's moving average; 0: none
    amp: bool = True  # mixed precision: on CUDA, and on a CPU where `runs.train` finds bfloat16 right and faster
    seed: int = 0
    # budget: exactly one of the three
    epochs: float | None = None  # passes over the data
    steps: int | None = None  # generator updates
    minutes: float | None = None  # training time

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _typed(f.name, f.type, getattr(self, f.name)))
        choices = {
            "family": tuple(FAMILIES),
            "channels": (1, 3),
            "d_norm": ("batch", "spectral", "none"),
            "loss": LOSS_NAMES,
            "block": ("norm,act", "act,norm", "act", "norm"),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise CourseError(f"{key} must be one of {' | '.join(map(str, allowed))}; got {getattr(self, key)!r}.")
        for key, allowed in zip(("image_size", "labels"), FAMILIES[self.family], strict=True):
            if getattr(self, key) not in allowed:
                known = ", ".join(str(value) or "none ('')" for value in allowed)
                raise CourseError(
                    f"{key} of the family {self.family} must be one of {known}; got {getattr(self, key)!r}."
                )
        if self.family == "residual" and self.d_norm == "batch":
            raise CourseError("The family residual has no BatchNorm in D: set d_norm=spectral or d_norm=none.")
        for name in filter(None, self.augment.split(",")):
            if name not in AUGMENT_NAMES:
                raise CourseError(f"augment knows {', '.join(AUGMENT_NAMES)}; got '{name}'.")
        for key, (low, high) in RANGES.items():
            value = getattr(self, key)
            if value is not None and not low <= value <= high:
                raise CourseError(f"{key} must lie between {low:g} and {high:g}; got {value:g}.")
        if (given := [k for k in BUDGETS if getattr(self, k) is not None]) and len(given) > 1:
            raise CourseError(f"Give one budget, not {len(given)}: {', '.join(given)}.")

    @property
    def conditional(self) -> bool:
        """Whether the generator is told a class."""
        return self.labels in ("pairs", "acgan", "conditional")

    @property
    def class_head(self) -> bool:
        """Whether the discriminator also names the class."""
        return self.labels in ("real", "acgan")

    def but(self, **changes) -> Recipe:
        """A copy with some fields changed; a new budget replaces the old one.

        Raises:
            CourseError: an unknown field (the nearest is suggested) or a value of the wrong kind.
        """
        for key in changes:
            if key not in FIELDS:
                raise CourseError(f"A recipe has no field '{key}'.{nearest(key, FIELDS)} Fields: {', '.join(FIELDS)}.")
        if any(changes.get(k) is not None for k in BUDGETS):
            changes = {**dict.fromkeys(BUDGETS), **changes}
        return replace(self, **changes)

    def differs(self, other: Recipe) -> dict[str, tuple]:
        """Fields in which two recipes differ: name → (mine, theirs)."""
        pairs = ((k, getattr(self, k), getattr(other, k)) for k in FIELDS)
        return {k: (mine, theirs) for k, mine, theirs in pairs if mine != theirs}

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote.

        Raises:
            CourseError: not such a text, unknown fields, or values out of range.
        """
        try:
            values = dict(json.loads(text).items())
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise CourseError(f"this is no recipe in JSON ({error})") from None
        if unknown := sorted(set(values) - set(FIELDS)):
            raise CourseError(f"unknown recipe fields {', '.join(map(repr, unknown))}: was it made by a newer version?")
        if "name" not in values:
            raise CourseError("the recipe has no name")
        return cls(**values)


FIELDS = tuple(f.name for f in fields(Recipe))
BUDGETS = ("epochs", "steps", "minutes")
RANGES = {
    "latent_dim": (1, 1024),
    "g_width": (1, 512),
    "d_width": (1, 512),
    "num_classes": (1, 1000),
    "slope": (0, 1),
    "d_dropout": (0, 0.99),
    "real_target": (0, 1),
    "fake_target": (0, 1),
    "target_noise": (0, 0.5),
    "instance_noise": (0, 10),
    "r1": (0, 1e4),
    "r1_every": (1, 1000),
    "gp": (0, 1e4),
    "d_steps": (1, 100),
    "batch_size": (2, 65536),
    "g_lr": (0, 10),
    "d_lr": (0, 10),
    "beta1": (0, 0.99999),
    "beta2": (0, 0.999999),
    "adam_eps": (1e-16, 1),
    "decay": (0, 1),
    "ema": (0, 0.99999999),
    "seed": (0, 2**32 - 1),
    "epochs": (0, 1e6),
    "steps": (0, 1e9),
    "minutes": (0, 1e6),
}


def _typed(key: str, kind: str, value):
    """`value` as the field's type; text, as it comes from a command line, is converted."""
    base, _, optional = kind.partition(" | ")
    if optional and value in (None, "none", "None", ""):
        return None
    try:
        if base == "str":
            return str(value)
        if base == "bool":
            return (
                value
                if isinstance(value, bool)
                else {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
            )
        number = float(value)
        if isinstance(value, bool) or number != number or (base == "int" and number != int(number)):
            raise ValueError
        return int(number) if base == "int" else number
    except (ValueError, KeyError, TypeError, OverflowError):
        wanted = {"int": "a whole number", "float": "a number", "bool": "true or false"}[base]
        raise CourseError(f"{key} must be {wanted}; got {value!r}.") from None
