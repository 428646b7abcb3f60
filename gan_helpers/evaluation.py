"""How good are these images? Scores that carry their protocol, the command that makes them, and a judge for training.

Which metrics there are is told by the rows of `metrics.METRICS`, and nowhere else: to add one, add a row there.

Both sides of a comparison take one path: real images are brought to the size and colours of the generated ones by the
function that training data come through (crop, antialiased resize, 8 bits), and then both go through the network's own
resize. Otherwise a distance measures the difference of two resizes: real CIFAR-10 images enlarged to 64 pixels, as a
generator of that size would see them, would score worse than many a generator.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoints, console, data, environment, features, generators
from .data.folder import open_as_it_is
from .data.images import digest_of
from .devices import pick_device
from .errors import CourseError, nearest
from .files import save_atomically
from .latent import generate
from .metrics import METRICS, Compared, Estimate, Pairs, copying, kid
from .plots import to_uint8

COMPARED = 10_000  # training images among which copies are looked for where the network is slow

# --- a number and how it was measured ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How images were measured."""

    subject: str  # what was scored
    draws: int  # how many fresh sets of images
    n: int  # images in each
    reference: str  # name, number and digest of the real images
    network: str  # what made the features; its weights and its resize: see `features.Network`
    weights: str
    resize: str
    pixels: str  # the size and colours in which both sides came to the network's resize
    day: str = field(default_factory=lambda: date.today().isoformat())

    def __str__(self) -> str:
        return (
            f"{self.subject} | {self.draws} x {self.n:,} images against {self.reference} | both at {self.pixels}, "
            f"8 bits; {self.network} {self.weights}, {self.resize} | {self.day}"
        )


@dataclass(frozen=True, kw_only=True)
class Score(Protocol):
    """A number, and all that must be known to compare it with another.

    Attributes:
        metric: a key of `metrics.METRICS`.   value: the mean over draws.
        spread: standard deviation over fresh samples of one generator, or None for a single draw. How much a second
            training run would change the score is another matter, and not in here.
        error: the metric's own standard error in one draw, from the lot of the real images too; None where it has
            none. Of `classifier` it is the standard deviation over ten parts, as papers print it.
        floor: the same score for n other real images: nobody gets below it but by chance, or by copying.
    """

    metric: str
    value: float
    spread: float | None = None
    error: float | None = None
    floor: float | None = None

    @classmethod
    def of(cls, protocol: Protocol, metric: str, draws: list[Estimate], floor: Estimate | None) -> Score:
        """The score that the estimates of some draws make."""
        values, errors = [found.value for found in draws], [found.error for found in draws]
        return cls(
            **vars(protocol), metric=metric, value=mean(values), spread=stdev(values) if len(values) > 1 else None,
            error=None if None in errors else mean(errors), floor=None if floor is None else floor.value,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """FID, KID and IS with Inception's features; with others FD, KD and CS of that network."""
        inceptions, others = METRICS[self.metric].names or (self.metric, self.metric)
        return inceptions if self.network in features.PROTOCOLS else f"{others}({self.network})"

    @property
    def must_agree(self) -> dict[str, str | int]:
        """What two scores must share to be comparable; a metric without bias in n may differ in it."""
        keys = ["metric", "reference", "network", "weights", "resize", "pixels"]
        return {key: getattr(self, key) for key in keys + ["n"] * (not METRICS[self.metric].any_n)}

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        error = "" if self.error is None else f", error {self.error:.2g}"
        floor = "" if self.floor is None else f", real images {self.floor:.4g}"
        return f"{self.name} {self.value:.4g}{spread}{error}{floor} | {Protocol.__str__(self)}"

    def __sub__(self, other: Score) -> float:
        """The difference of two values.

        Raises:
            CourseError: they were not measured alike; the message says in what.
        """
        if not isinstance(other, Score):
            return NotImplemented
        mine, theirs = self.must_agree, other.must_agree
        if unlike := [f"{k} {mine[k]} against {theirs[k]}" for k in mine if mine[k] != theirs[k]]:
            raise CourseError(f"These scores cannot be compared: {'; '.join(unlike)}. Measure both in one way.")
        return self.value - other.value

    def __lt__(self, other: Score) -> bool:
        return self - other < 0


@dataclass(frozen=True)
class Comparison:
    """How far two scores lie apart, and whether that is more than the images drawn by lot explain.

    Attributes:
        first, second: what was scored.   name: of the metric.
        difference: first - second.   low, high: its 95 % interval.   lower: whether lower is better.
    """

    first: str
    second: str
    name: str
    difference: float
    low: float
    high: float
    lower: bool

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        told = f"{self.name} differs by {self.difference:.3g} ({self.low:.3g} to {self.high:.3g})"
        if not self.sure:
            return f"{self.first} and {self.second}: no difference seen; {told}."
        better, worse = (self.first, self.second) if (self.difference < 0) == self.lower else (self.second, self.first)
        return f"{better} is better than {worse}: {told}. That is of one run each: another training may turn it round."


def compare(a: Score, b: Score) -> Comparison:
    """The difference of two scores with its 95 % interval, and a verdict in words (`str()` of what it returns).

    The interval tells what fresh images of the same two generators would change. What other training runs of the same
    recipes would change is not in it, and is usually more.

    Raises:
        CourseError: they were not measured alike, or are single draws of a metric without an error of its own.
    """
    difference, half = a - b, half_interval(a, b)
    return Comparison(a.subject, b.subject, a.name, difference, difference - half, difference + half,
                      METRICS[a.metric].lower)  # fmt: skip


def half_interval(*scores: Score) -> float:
    """Half the 95 % interval of a score, or of the difference of two, from the spread over fresh draws.

    Of a single draw the metric's own error stands in for it. Student's t has the degrees of freedom of the score with
    the fewest draws, which makes the interval rather too wide than too narrow.

    Raises:
        CourseError: a single draw, and no error.
    """
    variance, freedom = 0.0, math.inf
    for score in scores:
        if score.spread is None and score.error is None:
            raise CourseError(f"{score.name} of a single draw has no interval: measure it with draws of 2 or more.")
        variance += score.error**2 if score.spread is None else score.spread**2 / score.draws
        freedom = freedom if score.spread is None else min(freedom, score.draws - 1)
    return math.sqrt(variance) * student_t(freedom)


def student_t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t: 12.7 for 1 degree of freedom, 1.96 for infinitely many."""
    few = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
    return few[int(freedom) - 1] if freedom < 10 else 1.96 + 2.5 / freedom  # 2.21 for 10, where it is 2.23


def table(scores: dict[str, Score]) -> str:
    """The scores as lines of text: one for each metric, then the protocol that they share."""
    lines = [f"{'':<22}{'value':>10}{'spread':>10}{'error':>10}{'real images':>14}   better"]
    for s in scores.values():
        cells = [(s.value, ">10.4g"), (s.spread, ">10.2g"), (s.error, ">10.2g"), (s.floor, ">14.4g")]
        row = "".join(f"{'-':>{form[1:3]}}" if value is None else f"{value:{form}}" for value, form in cells)
        lines.append(f"{s.name:<22}{row}   {'lower' if METRICS[s.metric].lower else 'higher'}")
    return "\n".join([*lines, Protocol.__str__(s)])


def to_json(scores: dict[str, Score]) -> str:
    """metric → all fields of its score, and its name."""
    return json.dumps({metric: {"name": s.name, **asdict(s)} for metric, s in scores.items()}, indent=2)


# --- the images of both sides, and their features ---------------------------------------------------------------------


def open_source(source: str | Path, skip_broken: bool = False) -> nn.Module | np.ndarray:
    """What is to be scored: a generator, or images uint8 (N, C, S, S).

    Args:
        source: what `generators.load_generator` takes, a `.npy` file, a folder or a zip.
        skip_broken: leave out images of a folder or zip that cannot be read.

    Raises:
        CourseError: nothing there, or not images.
    """
    shipped, path = generators.shipped(), environment.at_home(source)
    if source not in shipped:
        if not path.exists():
            raise CourseError(
                f"Nothing to score at '{source}'.{nearest(str(source), shipped)} Give a shipped generator "
                f"({', '.join(shipped)}), a run folder, a checkpoint, FILE.npy, or a folder or zip of images."
            )
        if path.suffix.lower() == ".npy":
            return open_array(path)
        if path.suffix.lower() == ".zip" or (path.is_dir() and not checkpoints.candidates(path)):
            found = open_as_it_is(path, skip_broken)
            if found.note:
                console.banner(found.note)
            return found.images
    return generators.load_generator(source).to(pick_device())


def open_array(path: Path) -> np.ndarray:
    """The images of a `.npy` file uint8 (N, S, S, C) as (N, C, S, S), mapped from the disk.

    Raises:
        CourseError: no such images in it; the message says what is there and what is wanted.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        there = f"{array.dtype} {array.shape}"
    except (OSError, ValueError, EOFError, AttributeError) as error:  # the last of several arrays in one file
        raise CourseError(f"{path} is no array of images that can be read ({error}).") from None
    square = array.ndim == 4 and array.shape[1] == array.shape[2] and array.shape[3] in (1, 3)
    if not square or array.dtype != np.uint8 or not len(array):
        raise CourseError(
            f"{path} must hold uint8 images (N, S, S, 1 or 3), as the command sample writes; it holds {there}."
        )
    return array.transpose(0, 3, 1, 2)


def draw(source: nn.Module | np.ndarray, n: int, seed: int, shares: Tensor | None = None) -> np.ndarray:
    """n images uint8 (n, C, H, W).

    Of an array the same n rows for every seed, drawn by lot, for they may lie sorted. Of a generator as many of each
    class, but for a rest that the seed deals out; with `shares` (K,) as many as its share of n, to within one image,
    mixed: metrics that split the images into parts need every class in each.
    """
    if isinstance(source, np.ndarray):
        return np.ascontiguousarray(source[np.sort(np.random.default_rng(0).permutation(len(source))[:n])])
    lot = torch.Generator().manual_seed(seed)
    z, labels = torch.randn(n, source.latent_dim, generator=lot), None
    if classes := getattr(source, "num_classes", 0):
        labels = torch.randperm(classes, generator=lot)[torch.arange(n) % classes]
        if shares is not None:
            steps = (torch.arange(n) + torch.rand(1, generator=lot).double()) / n  # even, from a start drawn by lot
            labels = torch.searchsorted(shares.double().cumsum(0) / shares.sum(), steps, right=True)
            labels = labels[torch.randperm(n, generator=lot)]
    return generate(source, z, labels, each=to_uint8).numpy()


class Reference:
    """Real images as a generator's would look: of its size and colours. Judge, command and board all score by this.

    Args:
        images: a data set's name or path.   image_size, channels: of the generated images.
        network: of `features.load`; None takes `features.default_for`.
        split: 'report', or 'choose' for whoever chooses by the score (see `data.rows_of`).
        options: of `data.load`.

    Attributes:
        network: the network.   real: the images to score by.   train: those that generators learn from.

    Raises:
        CourseError: no such data or network.
    """

    def __init__(
        self, images: str | Path, image_size: int, channels: int, network: str | None, split: str, **options
    ) -> None:
        self.network = features.load(network or features.default_for(images, channels))
        self.real, self.train = (data.load(images, image_size, channels, split=s, **options) for s in (split, "train"))

    def fakes(self, images: np.ndarray, progress: bool = False) -> tuple[Tensor, Tensor]:
        """Features (n, D) and logits (n, K) of generated images uint8 (n, C, S, S).

        Raises:
            CourseError: they are not of the reference's size and colours.
        """
        if images.shape[1:] != self.real.images.shape[1:]:
            raise CourseError(f"The images are {images.shape[1:]}, the reference {self.real.images.shape[1:]}.")
        return self.network.with_logits(images, progress=progress)

    def shares(self, generator: nn.Module | np.ndarray) -> Tensor:
        """How many training images each of a generator's classes has, (K,).

        Raises:
            CourseError: it draws no classes at will, or others than the data set has.
        """
        count, names = getattr(generator, "num_classes", 0), self.train.class_names
        if not count or len(names) != count or getattr(generator, "class_names", names) != names:
            raise CourseError(
                f"The data's shares need a generator that draws the classes of {self.train.name} at will "
                f"({', '.join(names) or 'it has none'}): take equal ones."
            )
        return torch.from_numpy(np.bincount(self.train.labels, minlength=count))

    def protocol(self, subject: str, n: int, draws: int) -> Protocol:
        """How n images a draw are measured against this reference."""
        channels, height, width = self.real.images.shape[1:]
        return Protocol(
            subject=subject, draws=draws, n=n,
            reference=f"{self.real.name}, {len(self.real):,} images {digest(self.real.images)}",
            network=self.network.name, weights=self.network.weights, resize=self.network.resize,
            pixels=f"{height}x{width} {'colour' if channels == 3 else 'grey'}",
        )  # fmt: skip


def digest(images: np.ndarray) -> str:
    """8 hex digits of the SHA-256 of all pixels."""
    return digest_of(repr(images.shape).encode(), images)[:8]


say_once = functools.cache(console.banner)


def cached_features(images: np.ndarray, network: features.Network, progress: bool = False) -> tuple[Tensor, Tensor]:
    """Features (N, D) and logits (N, K) of real images, computed once and kept in the cache if it can be written."""
    key = f"{network.name}-{network.weights}-{digest(images)}"
    path = environment.cache_dir() / "features" / f"{key}.npz"
    with contextlib.suppress(Exception), np.load(path, allow_pickle=False) as kept:  # a damaged one raises anything
        return torch.from_numpy(kept["features"]), torch.from_numpy(kept["logits"])
    found, logits = network.with_logits(images, progress=progress)
    try:
        arrays = {"features": found.numpy(), "logits": logits.numpy()}
        save_atomically(path, lambda part: np.savez(part, **arrays), found.nbytes + logits.nbytes)
    except CourseError as error:
        say_once(f"The features of real images are not kept for the next time. {error}")
    return found, logits


def enough(images: data.ImageSet, or_else: str = "") -> None:
    """Check that real images are enough to score by.

    Raises:
        CourseError: they are under 10; `or_else` says what else may be done than to add some.
    """
    if len(images) < 10:
        raise CourseError(
            f"{images.name} has {len(images)} images to score by: too few. Add images (at least 10 must be held out, "
            f"and about a tenth is){or_else}."
        )


# --- after training, and during it ------------------------------------------------------------------------------------


def evaluate(
    source: str | Path | nn.Module,
    images: str | Path,
    n: int | None = None,
    metrics: tuple[str, ...] | None = None,
    network: str | None = None,
    draws: int = 3,
    progress: bool = True,
    labels: str = "equal",
    **options,
) -> dict[str, Score]:
    """Score a generator, or images in a file or folder, against the held-out images of a data set that report.

    Args:
        source: a shipped name, run folder, checkpoint, `.npy` file, folder or zip of images; or a generator.
        images: the data set's name or path.
        n: images to score; None takes as many as report (at most 10,000).
        metrics: keys of `metrics.METRICS`; None takes those by default, less the Fréchet distance where there are under
            twice as many images as features.
        network: of `features.load`; None takes `imagenet` where it is installed, else the data set's own.
        draws: fresh sets of n images from a generator, for the spread.
        labels: 'equal' asks a generator for each class as often; 'data' as often as the data set has it, without which
            a distance from unequal classes measures their shares, too.
        options: of `data.load`.

    Returns:
        metric → Score.

    Raises:
        CourseError: unknown metric, too few images, weights or data that cannot be had.
    """
    for name in metrics or ():
        if name not in METRICS:
            raise CourseError(f"No metric '{name}'.{nearest(name, METRICS)} Metrics: {', '.join(METRICS)}.")
    if labels not in ("equal", "data"):
        raise CourseError(f"labels must be equal or data; got '{labels}'.")
    if draws < 1:
        raise CourseError(f"draws must be at least 1; got {draws}.")
    if isinstance(source, nn.Module):
        subject = type(source).__name__
    else:
        subject, source = environment.at_home(source).absolute().name, open_source(source, options.get("skip_broken"))
    _, channels, image_size, _ = draw(source, 1, 0).shape
    reference = Reference(images, image_size, channels, network, "report", **options)
    enough(reference.real)
    n = how_many(n, len(reference.real), len(source) if isinstance(source, np.ndarray) else math.inf)
    metrics = which_metrics(metrics, n, len(reference.real), reference.network, features.own_of(images, channels))
    shares = None
    if labels == "data":
        subject, shares = f"{subject}, classes in the data's shares", reference.shares(source)
    real, _ = cached_features(reference.real.images, reference.network, progress)
    most = max(n, COMPARED) if reference.network.slow else 60_000
    rows = np.random.default_rng(0).permutation(len(reference.train))[:most]
    train, train_logits = cached_features(reference.train.images[rows], reference.network, progress)

    def measured(fake: Tensor, logits: Tensor, train: Tensor | None) -> dict[str, Estimate | None]:
        compared = Compared(fake, logits, real, train)
        return {name: METRICS[name].compute(compared) for name in metrics}

    floor = measured(train[:n], train_logits[:n], None) if len(train) >= n else {}
    seeds = range(1 if isinstance(source, np.ndarray) else draws)
    found = []
    for seed in seeds:
        fakes = draw(source, n, seed, shares)
        if (fakes == fakes[0]).all():
            say_once(f"All {n:,} images of {subject} are the same: its scores say little else.")
        found.append(measured(*reference.fakes(fakes, progress), train))
    protocol = reference.protocol(subject, n, len(found))
    return {name: Score.of(protocol, name, [each[name] for each in found], floor.get(name)) for name in metrics}


def how_many(n: int | None, real: int, fakes: int | float) -> int:
    """The images to score: n, or for None as many as there are on both sides, at most 10,000.

    Raises:
        CourseError: they are too few, or more than there are fakes.
    """
    n = min(real, fakes, 10_000) if n is None else n
    if n < 10:
        raise CourseError(f"{n} images are too few to score: give at least 10, better thousands.")
    if n > fakes:
        raise CourseError(f"The source holds {fakes:,} images, and n is {n:,}: give a smaller n.")
    return n


def which_metrics(
    wanted: tuple[str, ...] | None, n: int, real: int, network: features.Network, smaller: str
) -> tuple[str, ...]:
    """The metrics that are wanted; for None those by default, less what n fakes or the real images are too few for.

    Raises:
        CourseError: one that is wanted is of covariances, which are mostly noise of so few images. The message names a
            `smaller` network.
    """
    needs = {name: metric.fakes_a_feature * network.width for name, metric in METRICS.items() if metric.fakes_a_feature}
    few = [name for name, fakes in needs.items() if n < fakes or real < 2 * network.width]
    if refused := [name for name in wanted or () if name in few]:
        other = f", or a network with fewer features such as {smaller}" if network.slow else ""
        raise CourseError(
            f"The metric {refused[0]} through {network.name} needs at least {needs[refused[0]]:,} images to score and "
            f"{2 * network.width:,} real ones; here are {n:,} and {real:,}. Take the kernel distance{other}."
        )
    return wanted or tuple(name for name, metric in METRICS.items() if metric.default and name not in few)


class Judge:
    """Scores a generator while it trains: n images of always the same latents, by the kernel distance (no bias in n).

    It chooses, so it looks at the images that are there to choose by, and never at those that report. Where these are
    training images (see `data.rows_of`) a generator that copies them would win: one whose images lie nearer to
    training images than chance allows scores infinity.

    Args:
        images: the data set's name or path.
        network: of `features.load`; None takes `features.default_for`.
        n: images a score; 1,000 take about a second on two cores with a network of the course, 15 s with `imagenet`.
        channels, image_size: of the generator's images.
        options: of `data.load`.

    Attributes:
        name: of the distance.   most: scores a run that are worth their time.
    """

    def __init__(
        self, images: str | Path, network: str | None = None, n: int = 1000, channels: int = 3, image_size: int = 32,
        **options,
    ) -> None:  # fmt: skip
        held_out = data.load(images, image_size, channels, split="held-out", **options)
        enough(held_out, ", or train without scores")
        self.reference = Reference(images, image_size, channels, network, "choose", **options)
        network = self.reference.network
        if "judge-" in network.name:
            raise CourseError(f"{network.name} only names classes of finished generators: choose by another network.")
        self.real, _ = cached_features(self.reference.real.images, network)
        few = not self.reference.real.unseen  # then it chooses by training images
        self.held_out = cached_features(held_out.images, network)[0] if few else None
        self.n, self.name, self.most = n, f"KD({network.name})", 15 if network.slow else 10**9

    def __call__(self, generator: nn.Module) -> float:
        """The kernel distance now, or infinity for a generator that copies what it is judged by."""
        fakes, _ = self.reference.fakes(draw(generator, self.n, 0))
        if self.held_out is not None and copying(fakes, self.real, self.held_out).caught:
            return math.inf
        return kid(Pairs(fakes, self.real)).value
