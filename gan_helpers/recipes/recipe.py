"""A recipe is the whole experiment: every choice that decides a run, in one frozen dataclass."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field, fields, replace

from ..augment import AUGMENTATIONS
from ..errors import CourseError, nearest
from ..losses import LOSSES
from ..models import FAMILIES
from ..models.blocks import Family
from ..options import Options, option


@dataclass(frozen=True)
class Recipe(Options):
    """Everything that decides a training run. Print it, diff it, save it; a checkpoint carries it.

    `net` holds what only the nets of the family know, such as `net.d_norm`: the family's own `Family` (see models/),
    made from a dict where one is given.

    Raises:
        CourseError: a value that is not allowed, or one that would do nothing.
    """

    name: str
    about: str = option("", "what it is, in a line")
    # data
    data: str = option("faces", "a data set's name, or a folder or zip of images")
    image_size: int = option(64, "side of an image, in pixels", low=1, high=1024)
    channels: int = option(3, "1 for grey, 3 for colour", choices=(1, 3))
    flip: bool = option(False, "mirror half of the real images")
    labels: str = option(
        "",
        "what classes are for: '' nothing, 'pairs' a G and a D for each, 'conditional' both nets are told, or a class "
        "head in D: 'real' learns from real images only, 'acgan' from fakes too, whose class G is told",
        choices=("", "pairs", "conditional", "real", "acgan"),
    )
    num_classes: int = option(10, "classes, where labels are used", low=1, high=1000)
    # nets
    family: str = option("dcgan", "the file in models/", choices=tuple(FAMILIES))
    net: Family | dict = field(default_factory=dict)
    latent_dim: int = option(100, "length of z", low=1, high=1024)
    g_width: int = option(64, "feature maps of G's last hidden layer", low=1, high=512)
    d_width: int = option(64, "feature maps of D's first layer", low=1, high=512)
    # game
    loss: str = option("bce", "bce is the non-saturating one", choices=tuple(LOSSES))
    real_target: float = option(1.0, "what D should say of real images; below 1 it is label smoothing", low=0, high=1)
    fake_target: float = option(0.0, "what D should say of fakes; above real_target labels are flipped", low=0, high=1)
    target_noise: float = option(
        0.0, "D's targets lie up to this much nearer to each other, at random for each image", low=0, high=0.5
    )
    instance_noise: float = option(
        0.0, "standard deviation of noise on D's inputs, falling to 0 over the run", low=0, high=10
    )
    augment: str = option("", f"DiffAugment, comma-separated, of {', '.join(AUGMENTATIONS)}")
    r1: float = option(0.0, "weight of the R1 penalty on D's gradient at real images", low=0, high=1e4)
    r1_every: int = option(
        8, "D steps from one R1 penalty to the next, which then counts that many times", low=1, high=1000
    )
    gp: float = option(
        0.0, "weight of the gradient penalty between real and fake images (for wasserstein)", low=0, high=1e4
    )
    d_steps: int = option(1, "D updates for each G update", low=1, high=100)
    # optimisation
    batch_size: int = option(128, "images in a batch", low=2, high=65536)
    g_lr: float = option(2e-4, "G's learning rate", low=0, high=10)
    d_lr: float = option(2e-4, "D's learning rate", low=0, high=10)
    beta1: float = option(0.5, "Adam's decay of the gradient's mean", low=0, high=0.99999)
    beta2: float = option(0.999, "Adam's decay of its square's mean", low=0, high=0.999999)
    adam_eps: float = option(1e-8, "Adam's ε; 1e-7 in Keras", low=1e-16, high=1)
    decay: float = option(0.0, "share of the run, at its end, over which the learning rates fall to 0", low=0, high=1)
    ema: float = option(0.0, "decay of the generator's moving average; 0: none", low=0, high=0.99999999)
    amp: bool = option(True, "mixed precision: on CUDA, and on a CPU where a test finds bfloat16 right and faster")
    seed: int = option(0, "of every random draw", low=0, high=2**32 - 1)
    # budget: exactly one of the three
    epochs: float | None = option(None, "passes over the data", kind=float, low=0, high=1e6)
    steps: int | None = option(None, "generator updates", kind=int, low=0, high=1e9)
    minutes: float | None = option(None, "training time", kind=float, low=0, high=1e6)

    def __post_init__(self) -> None:
        super().__post_init__()
        family = FAMILIES[self.family]
        if isinstance(self.net, dict):
            object.__setattr__(self, "net", family().but(**self.net))
        for key, allowed in (("image_size", family.SIZES), ("labels", family.LABELS)):
            if getattr(self, key) not in allowed:
                known = ", ".join(str(value) or "none ('')" for value in allowed)
                raise CourseError(
                    f"{key} of the family {self.family} must be one of {known}; got {getattr(self, key)!r}."
                )
        for name in filter(None, self.augment.split(",")):
            if name not in AUGMENTATIONS:
                raise CourseError(f"augment knows {', '.join(AUGMENTATIONS)}; got '{name}'.")
        if (given := [k for k in BUDGETS if getattr(self, k) is not None]) and len(given) > 1:
            raise CourseError(f"Give one budget, not {len(given)}: {', '.join(given)}.")
        for key, why in idle_options(self.loss, self.r1, self.labels).items():
            if getattr(self, key) != DEFAULTS[key]:
                raise CourseError(f"{key}={getattr(self, key)} would do nothing {why}: leave it out.")

    @property
    def conditional(self) -> bool:
        """Whether the generator is told a class."""
        return self.labels in ("pairs", "acgan", "conditional")

    @property
    def g_classes(self) -> int:
        """Classes that a generator is told; 0 where it is told none, or where each class has one of its own."""
        return self.num_classes if self.labels in ("acgan", "conditional") else 0

    @property
    def d_classes(self) -> int:
        """Classes that a discriminator is told, likewise."""
        return self.num_classes if self.labels == "conditional" else 0

    @property
    def head_classes(self) -> int:
        """Classes that a discriminator names; 0 without a class head."""
        return self.num_classes if self.labels in ("real", "acgan") else 0

    def but(self, **changes) -> Recipe:
        """A copy with some options changed.

        Options of the nets are given as `net={"d_norm": "none"}`, which leaves the others as they are, or by the name
        `"net.d_norm"`; another family begins with its own. A new budget replaces the old one. What would do nothing
        beside the changes goes back to its default: label smoothing with a loss that has no targets, for example.

        Raises:
            CourseError: an unknown option (the nearest is suggested), a bad value, or one that would do nothing.
        """
        net = {key.removeprefix("net."): changes.pop(key) for key in [*changes] if key.startswith("net.")}
        given = changes.pop("net", {})
        net = (dataclasses.asdict(given) if isinstance(given, Family) else given) | net
        for key in changes:
            if key not in FIELDS:
                known = [key for key in self.flat() if key != "name"]
                raise CourseError(f"There is no option '{key}' here.{nearest(key, known)} Options: {', '.join(known)}.")
        if any(changes.get(budget) is not None for budget in BUDGETS):
            changes = {**dict.fromkeys(BUDGETS), **changes}
        if changes.get("family", self.family) == self.family:
            net = dataclasses.asdict(self.net) | net
        idle = idle_options(**{key: changes.get(key, getattr(self, key)) for key in ("loss", "r1", "labels")})
        return replace(self, net=net, **{key: DEFAULTS[key] for key in idle} | changes)

    def flat(self) -> dict:
        """Every option by its name on the command line: `seed`, `net.d_norm`, …"""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "net"}
        return values | {f"net.{name}": value for name, value in dataclasses.asdict(self.net).items()}

    def differs(self, other: Recipe) -> dict[str, tuple]:
        """Options in which two recipes differ: name → (mine, theirs), None for one that a family does not have."""
        mine, theirs = self.flat(), other.flat()
        pairs = {key: (mine.get(key), theirs.get(key)) for key in {**mine, **theirs}}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote, of this version or an older one.

        Raises:
            CourseError: not such a text, unknown fields, or values out of range.
        """
        try:
            values = dict(json.loads(text).items())
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise CourseError(f"this is no recipe in JSON ({error})") from None
        values["family"] = RENAMED.get(values.get("family"), values.get("family", DEFAULTS["family"]))
        values = values if "net" in values else lifted(values)
        if unknown := sorted(set(values) - set(FIELDS)):
            raise CourseError(f"unknown recipe fields {', '.join(map(repr, unknown))}: was it made by a newer version?")
        if "name" not in values:
            raise CourseError("the recipe has no name")
        if not isinstance(values.get("net", {}), dict):
            raise CourseError(f"net must be options by name, not {values['net']!r}")
        return cls(**values)


FIELDS = tuple(f.name for f in fields(Recipe))
DEFAULTS = {f.name: f.default for f in fields(Recipe)}
BUDGETS = ("epochs", "steps", "minutes")
TARGETS = ("real_target", "fake_target", "target_noise")
RENAMED = {"best": "small"}  # families that once had another name
OLD = {  # options of nets that once stood among those of the run → their names in `net`
    **{name: name for name in ("d_norm", "slope", "d_dropout", "attention", "learned_latent")},
    "block": "order",
}


def idle_options(loss: str, r1: float, labels: str) -> dict[str, str]:
    """The options that do nothing beside these values of others, and why."""
    idle = {}
    if loss in LOSSES and not LOSSES[loss].d_targets:
        idle |= dict.fromkeys(TARGETS, f"with the loss {loss}, which has no targets")
    if not r1:
        idle["r1_every"] = "without r1"
    if not labels:
        idle["num_classes"] = "without labels"
    return idle


def lifted(values: dict) -> dict:
    """The fields of a recipe of the time when each had the options of all families, less those that did nothing."""
    old = {OLD[key]: value for key, value in values.items() if key in OLD}
    values = {key: value for key, value in values.items() if key not in OLD}
    family = FAMILIES.get(values.get("family"), FAMILIES["dcgan"])
    net = {f.name: old[f.name] for f in fields(family) if f.name in old}
    if values.get("family") == "sagan" and net.get("d_norm") == "spectral":
        net["d_norm"] = "none"  # it was the same net
    idle = idle_options(values.get("loss", "bce"), values.get("r1", 0), values.get("labels", ""))
    return {key: value for key, value in values.items() if key not in idle} | {"net": net}
