"""How good are these images? Scores that carry their protocol, and the command that makes them.

Both sides of a comparison take one path: real images are brought to the size and colours of the generated ones by the
function that training data come through (crop, antialiased resize, 8 bits), and then both go through the network's own
resize. Otherwise a distance measures the difference of two resizes: real CIFAR-10 images enlarged to 64 pixels, as a
generator of that size would see them, would score worse than many a generator.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoints, console, data, environment, features, generators
from .errors import CourseError, nearest
from .files import save_atomically
from .latent import generate
from .metrics import Pairs, copying, frechet_distance, inception_score, kid, precision_recall
from .plots import to_uint8

METRICS = ("frechet", "kernel", "precision", "recall", "density", "coverage", "classifier", "copying")
DEFAULT = ("frechet", "kernel", "precision", "recall", "copying")
INCEPTION_NAMES = {"frechet": "FID", "kernel": "KID", "classifier": "IS"}
OTHER_NAMES = {"frechet": "FD", "kernel": "KD", "classifier": "CS"}
LOWER_IS_BETTER = ("frechet", "kernel", "copying")


@dataclass(frozen=True)
class Score:
    """A number, and all that must be known to compare it with another.

    Attributes:
        metric: one of METRICS.   value: the mean over draws.
        spread: standard deviation over fresh samples of one generator, or None for a single draw. How much a second
            training run would change the score is another matter, and not in here.
        draws: how many fresh sets of n images were scored.   n: images in each.
        reference: name, number and digest of the real images.
        network, weights, resize: what made the features (see `features.Extractor`).
        pixels: the size and colours in which both sides came to the network's resize.
        floor: the same score for n other real images: nobody gets below it but by chance, or by copying.
        subject: what was scored.   day: when, ISO 8601.
    """

    metric: str
    value: float
    spread: float | None
    draws: int
    n: int
    reference: str
    network: str
    weights: str
    resize: str
    floor: float | None
    subject: str
    pixels: str
    day: str = dataclasses.field(default_factory=lambda: date.today().isoformat())

    @property
    def name(self) -> str:
        """FID, KID and IS with Inception's features; with others FD, KD and CS of that network."""
        if self.network in features.PROTOCOLS:
            return INCEPTION_NAMES.get(self.metric, self.metric)
        return f"{OTHER_NAMES.get(self.metric, self.metric)}({self.network})"

    @property
    def protocol(self) -> dict[str, str | int]:
        """What two scores must share to be comparable; the kernel distance, having no bias, may differ in n."""
        keys = ["metric", "reference", "network", "weights", "resize", "pixels"] + ["n"] * (self.metric != "kernel")
        return {key: getattr(self, key) for key in keys}

    def __str__(self) -> str:
        spread = f" ± {self.spread:.2g}" if self.spread is not None else ""
        floor = f", real images {self.floor:.4g}" if self.floor is not None else ""
        return (
            f"{self.name} {self.value:.4g}{spread}{floor} | {self.subject} | {self.draws} x {self.n:,} images against "
            f"{self.reference} | both at {self.pixels}, 8 bits; {self.network} {self.weights}, {self.resize} | "
            f"{self.day}"
        )

    def __sub__(self, other: Score) -> float:
        """The difference of two values.

        Raises:
            CourseError: they were not measured alike; the message says in what.
        """
        if not isinstance(other, Score):
            return NotImplemented
        mine, theirs = self.protocol, other.protocol
        if unlike := [f"{k} {mine[k]} against {theirs[k]}" for k in mine if mine[k] != theirs[k]]:
            raise CourseError(f"These scores cannot be compared: {'; '.join(unlike)}. Measure both in one way.")
        return self.value - other.value

    def __lt__(self, other: Score) -> bool:
        return self - other < 0

    def __gt__(self, other: Score) -> bool:
        return self - other > 0


def fingerprint(images: np.ndarray) -> str:
    """8 hex digits of the SHA-256 of all pixels."""
    total = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), 4096):
        total.update(np.ascontiguousarray(images[start : start + 4096]))
    return total.hexdigest()[:8]


def cached_features(images: np.ndarray, extractor: features.Extractor, progress: bool = False) -> tuple[Tensor, Tensor]:
    """Features and logits of real images, computed once and kept in the cache."""
    key = f"{extractor.name}-{extractor.weights}-{fingerprint(images)}"
    path = environment.cache_dir() / "features" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            return torch.from_numpy(kept["features"]), torch.from_numpy(kept["logits"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        found, logits = extractor.with_logits(images, progress=progress)
        arrays = {"features": found.numpy(), "logits": logits.numpy()}
        with contextlib.suppress(CourseError):  # a full disk costs the time to compute them again, no more
            save_atomically(path, lambda part: np.savez(part, **arrays), found.nbytes + logits.nbytes)
        return found, logits


Sampler = Callable[[int, int], np.ndarray]  # (n, seed) → uint8 (n, C, H, W)


def samples_of(source: str | Path, skip_broken: bool = False) -> tuple[Sampler, int | None]:
    """Where images to score come from: a generator, a `.npy` file, a folder or a zip.

    Args:
        skip_broken: leave out images of a folder or zip that cannot be read.

    Returns:
        The sampler, and how many images there are at all (None: as many as you like).

    Raises:
        CourseError: nothing there, or not images.
    """
    path = environment.at_home(source)
    named = source in generators.shipped()
    if not path.exists() and not named:
        raise CourseError(
            f"Nothing to score at '{source}'.{nearest(str(source), generators.shipped())} Give a shipped generator "
            f"({', '.join(generators.shipped())}), a run folder, a checkpoint, FILE.npy, or a folder or zip of images."
        )
    if not named and path.suffix.lower() == ".npy":
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise CourseError(f"{path} is no array of images that can be read ({error}).") from None
        square = array.ndim == 4 and array.shape[1] == array.shape[2] and array.shape[3] in (1, 3)
        if not square or array.dtype != np.uint8 or not len(array):
            raise CourseError(
                f"{path} must hold uint8 images (N, S, S, 1 or 3), as the command sample writes; it holds "
                f"{array.dtype} {array.shape}."
            )
        return (lambda n, seed: np.ascontiguousarray(array[some(n, len(array))].transpose(0, 3, 1, 2))), len(array)
    if not named and (path.suffix.lower() == ".zip" or (path.is_dir() and not checkpoints.candidates(path))):
        from .data.folder import open_as_it_is

        found = open_as_it_is(path, skip_broken)
        if found.note:
            console.banner(found.note)
        return (lambda n, seed: found.images[some(n, len(found))]), len(found)
    generator = generators.load_generator(source).to(features.DEVICE)
    return (lambda n, seed: draw(generator, n, seed)), None


def some(n: int, of: int) -> np.ndarray:
    """Which n of a file's images are scored: drawn by lot, for they may lie sorted."""
    return np.sort(np.random.default_rng(0).permutation(of)[:n])


def draw(generator: nn.Module, n: int, seed: int) -> np.ndarray:
    """n images uint8 (n, C, H, W) of a generator: of each class as many, but for a rest that the seed deals out."""
    lot = torch.Generator().manual_seed(seed)
    z, labels = torch.randn(n, generator.latent_dim, generator=lot), None
    if classes := getattr(generator, "num_classes", 0):
        labels = torch.randperm(classes, generator=lot)[torch.arange(n) % classes]
    return generate(generator, z, labels, each=to_uint8).numpy()


def measure(
    fake: Tensor, logits: Tensor, real: Tensor, wanted: tuple[str, ...], train: Tensor | None
) -> dict[str, float]:
    """Each wanted metric of one draw; features (N, D), logits (N, K)."""
    found: dict[str, float] = {}
    if "frechet" in wanted:
        found["frechet"] = frechet_distance(fake, real)
    if set(wanted) & {"kernel", "precision", "recall", "density", "coverage"}:
        pairs = Pairs(fake, real)
        found |= {"kernel": kid(pairs).value, **precision_recall(pairs)}
    if "classifier" in wanted:
        found["classifier"] = inception_score(logits).value
    if "copying" in wanted and train is not None:
        result = copying(fake, train, real)
        found["copying"] = (result.share - result.chance) / (1 - result.chance)
    return {name: found[name] for name in wanted if name in found}


@dataclass(frozen=True)
class Reference:
    """Real images as a generator's would look: of its size and colours. Judge, command and board all score by this.

    Args:
        images: a data set's name or path.   image_size, channels: of the generated images.
        network: of `features.load`; None takes `features.default_for`.
        split: 'report', or 'choose' for whoever chooses by the score (see `data.rows_of`).
        options: of `data.load`.

    Raises:
        CourseError: no such data or network.
    """

    extractor: features.Extractor
    real: data.ImageSet
    train: data.ImageSet

    @classmethod
    def open(
        cls, images: str | Path, image_size: int, channels: int, network: str | None, split: str, **options
    ) -> Reference:
        extractor = features.load(network or features.default_for(images, channels))
        real, train = (data.load(images, image_size, channels, split=s, **options) for s in (split, "train"))
        return cls(extractor, real, train)

    @property
    def name(self) -> str:
        """Name, number and digest of the real images."""
        return f"{self.real.name}, {len(self.real):,} images {fingerprint(self.real.images)}"

    @property
    def pixels(self) -> str:
        """Size and colours, for the protocol."""
        channels, height, width = self.real.images.shape[1:]
        return f"{height}x{width} {'colour' if channels == 3 else 'grey'}"

    def fakes(self, images: np.ndarray, progress: bool = False) -> tuple[Tensor, Tensor]:
        """Features and logits of generated images uint8 (n, C, S, S).

        Raises:
            CourseError: they are not of the reference's size and colours.
        """
        if images.shape[1:] != self.real.images.shape[1:]:
            raise CourseError(f"The images are {images.shape[1:]}, the reference {self.real.images.shape[1:]}.")
        return self.extractor.with_logits(images, progress=progress)

    def few(self, n: int) -> bool:
        """Whether n images are under twice the features: their covariance would be mostly noise."""
        return min(n, len(self.real)) < 2 * self.extractor.width

    def some_training(self, n: int, progress: bool = False) -> tuple[Tensor, Tensor]:
        """Features and logits of n training images drawn by lot, always the same."""
        rows = np.random.default_rng(0).permutation(len(self.train))[:n]
        return cached_features(self.train.images[rows], self.extractor, progress)


def enough(images: data.ImageSet, or_else: str = "") -> None:
    """Check that real images are enough to score by.

    Raises:
        CourseError: they are under 10; `or_else` says what else may be done than to add some.
    """
    if len(images) < 10:
        or_else = f", {or_else}" if or_else else ""
        raise CourseError(
            f"{images.name} has {len(images)} images to score by: too few. Add images (at least 10 must be held out, "
            f"and about a tenth is){or_else}."
        )


COMPARED = 10_000  # training images among which copies are looked for where the network is slow


def evaluate(
    source: str | Path | nn.Module,
    images: str | Path,
    n: int | None = None,
    metrics: tuple[str, ...] | None = None,
    network: str | None = None,
    draws: int = 3,
    progress: bool = True,
    **options,
) -> dict[str, Score]:
    """Score a generator, or images in a file or folder, against the held-out images of a data set that report.

    Args:
        source: a shipped name, run folder, checkpoint, `.npy` file, folder or zip of images; or a generator.
        images: the data set's name or path.
        n: images to score; None takes as many as report (at most 10,000).
        metrics: of METRICS; None takes DEFAULT, less the Fréchet distance where there are under twice as many images as
            features.
        network: of `features.load`; None takes `imagenet` where it is installed, else the data set's own.
        draws: fresh sets of n images from a generator, for the spread.
        options: of `data.load`.

    Returns:
        metric → Score; `copying` is the share of fakes nearest to training images beyond chance: 0 honest, 1 all.

    Raises:
        CourseError: unknown metric, too few images, weights or data that cannot be had.
    """
    for name in metrics or ():
        if name not in METRICS:
            raise CourseError(f"No metric '{name}'.{nearest(name, METRICS)} Metrics: {', '.join(METRICS)}.")
    if isinstance(source, nn.Module):
        sample, limit, subject = (lambda k, seed: draw(source, k, seed)), None, type(source).__name__
    else:
        (sample, limit), subject = samples_of(source, options.get("skip_broken", False)), Path(source).name
    _, channels, image_size, _ = sample(1, 0).shape
    reference = Reference.open(images, image_size, channels, network, "report", **options)
    extractor, real_set = reference.extractor, reference.real
    enough(real_set)
    n = min(len(real_set), 10_000, limit or 10_000) if n is None else n
    if n < 10:
        raise CourseError(f"{n} images are too few to score: give at least 10, better thousands.")
    if draws < 1:
        raise CourseError(f"draws must be at least 1; got {draws}.")
    if limit is not None and limit < n:
        raise CourseError(f"{subject} holds {limit:,} images, and n is {n:,}: give a smaller n.")
    if reference.few(n):
        if "frechet" in (metrics or ()):
            own = features.own_of(images, channels)
            other = f", or a network with fewer features such as {own}" if extractor.name != own else ""
            raise CourseError(
                f"The Fréchet distance through {extractor.name} needs at least {2 * extractor.width:,} images on both "
                f"sides, twice its features; here are {n:,} and {len(real_set):,}. Take the kernel distance{other}."
            )
        metrics = metrics or tuple(name for name in DEFAULT if name != "frechet")
    metrics = metrics or DEFAULT
    draws = draws if limit is None else 1
    real, _ = cached_features(real_set.images, extractor, progress)
    own = extractor.name not in (features.IMAGENET, *features.PROTOCOLS)
    train, train_logits = reference.some_training(60_000 if own else max(n, COMPARED), progress)
    floor = measure(train[:n], train_logits[:n], real, metrics, None) if len(train) >= n else {}
    found = [measure(*reference.fakes(sample(n, seed), progress), real, metrics, train) for seed in range(draws)]
    return {
        name: Score(
            name,
            mean(f[name] for f in found),
            stdev(f[name] for f in found) if draws > 1 else None,
            draws,
            n,
            reference.name,
            extractor.name,
            extractor.weights,
            extractor.resize,
            floor.get(name),
            subject,
            reference.pixels,
        )
        for name in metrics
    }


def table(scores: dict[str, Score]) -> str:
    """The scores as lines of text: one for each metric, then the protocol that they share."""
    first = next(iter(scores.values()))
    lines = [f"{'':<22}{'value':>10}{'spread':>10}{'real images':>14}   better"]
    for s in scores.values():
        spread = f"{s.spread:.2g}" if s.spread is not None else "-"
        floor = f"{s.floor:.4g}" if s.floor is not None else "-"
        better = "lower" if s.metric in LOWER_IS_BETTER else "higher"
        lines.append(f"{s.name:<22}{s.value:>10.4g}{spread:>10}{floor:>14}   {better}")
    protocol = str(first).split(" | ", 1)[1]
    return "\n".join([*lines, protocol])


def to_json(scores: dict[str, Score]) -> str:
    return json.dumps({name: {"name": s.name, **dataclasses.asdict(s)} for name, s in scores.items()}, indent=2)


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
        enough(held_out, "or train without scores")
        self.reference = Reference.open(images, image_size, channels, network, "choose", **options)
        extractor = self.reference.extractor
        self.real, _ = cached_features(self.reference.real.images, extractor)
        few = not self.reference.real.unseen  # then it chooses by training images
        self.held_out = cached_features(held_out.images, extractor)[0] if few else None
        self.n, self.name = n, f"KD({extractor.name})"
        self.most = 15 if extractor.name in (features.IMAGENET, *features.PROTOCOLS) else 10**9

    def __call__(self, generator: nn.Module) -> float:
        """The kernel distance now, or infinity for a generator that copies what it is judged by."""
        fakes, _ = self.reference.fakes(draw(generator, self.n, 0))
        if self.held_out is not None:
            found = copying(fakes, self.real, self.held_out)
            if found.share > found.chance + 3 * found.error:
                return math.inf
        return kid(Pairs(fakes, self.real)).value
