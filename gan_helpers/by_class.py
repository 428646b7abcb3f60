"""Which classes does a conditional generator draw well? A row for each, with what chance may have done to it.

The *recognition* of a class is the share of its images that a classifier names so. Two classifiers, which differ in
their seeds and choose nothing in any training, look at fakes and at held-out reals. An imperfect generator is
recognised less often than reals are. One that is recognised *more* often is no better than reality: it draws
caricatures of the classes, copies of training images, which the classifiers learned, too, or images so odd that the
classifiers fall back on this class.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from . import environment, evaluation, generators
from .classifier import Classifier, load_classifier, shipped
from .console import bar
from .errors import CourseError
from .features import sha256
from .latent import draw_z, generate
from .metrics import Estimate, Pairs, kid, precision_recall
from .plots import BLUE, ORANGE, to_uint8

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST, MOST = 10, 40  # images of a class on either side; classes that a plot shows
WORSE, ALIKE, MORE = "worse than reals", "no difference seen", "MORE recognisable than reals"
WARNING = f"{MORE} is a warning: caricatures, copies of training images, or images so odd that this class is a guess."


@dataclass(frozen=True)
class Share:
    """`right` of `n` images."""

    right: int
    n: int

    @property
    def value(self) -> float:
        """0 to 1."""
        return self.right / self.n

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Where the share of all such images may lie, within 0 to 1 (Wilson 1927)."""
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        middle, reach = self.right + z * z / 2, z * math.sqrt(self.right * (1 - self.value) + z * z / 4)
        return (middle - reach) / (self.n + z * z), (middle + reach) / (self.n + z * z)

    def minus(self, other: Share, confidence: float = 0.95) -> tuple[float, float]:
        """Where the difference of two shares may lie. Newcombe 1998, method 10: from Wilson's interval of each."""
        (low, high), (other_low, other_high) = self.interval(confidence), other.interval(confidence)
        gap, down, up = self.value - other.value, self.value - low, high - self.value
        return gap - math.hypot(down, other_high - other.value), gap + math.hypot(up, other.value - other_low)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.value:.0%} ({low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Row:
    """What is measured of one class."""

    name: str
    kernel: Estimate  # the distance KD between its fakes and its held-out reals; 0 is what reals get on average
    precision: float  # these three as in `metrics.precision_recall`, 0 to 1
    recall: float
    coverage: float
    fakes: tuple[Share, ...]  # how many of its fakes each classifier names so
    reals: tuple[Share, ...]  # and how many of its held-out reals
    recognised: str  # WORSE, ALIKE or MORE: see `verdict`


@dataclass(frozen=True)
class ByClass:
    """A row for each class, and how they were measured; `str()` gives the table."""

    protocol: evaluation.Protocol
    seed: int  # of the latents
    classifiers: tuple[str, ...]  # the first and the second of each row's shares
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        wide, kd = max(5, *(len(row.name) for row in self.rows)), f"1000 x KD({self.protocol.network})"
        titles = "".join(f"{title:>20}" for title in ("fakes, 1st", "reals, 1st", "fakes, 2nd", "reals, 2nd"))
        lines = [f"{'class':{wide}}{kd:>22}{'precision':>11}{'recall':>8}{'coverage':>10}{titles}   recognised"]
        for row in self.rows:
            distance = f"{1000 * row.kernel.value:.1f} ± {1000 * row.kernel.error:.1f}"
            numbers = f"{row.precision:>11.2f}{row.recall:>8.2f}{row.coverage:>10.2f}"
            shares = "".join(f"{fakes!s:>20}{reals!s:>20}" for fakes, reals in zip(row.fakes, row.reals, strict=True))
            lines.append(f"{row.name:{wide}}{distance:>22}{numbers}{shares}   {row.recognised}")
        warning = [WARNING] * any(row.recognised == MORE for row in self.rows)
        how = f"{self.protocol} | seed {self.seed} | named by {' and '.join(self.classifiers)}"
        return "\n".join([*lines, *warning, how])

    def to_json(self) -> str:
        """All fields, and of a share its value and its 95 % interval."""

        def fields(part: object) -> dict:
            more = {"share": part.value, "interval": part.interval()} if isinstance(part, Share) else {}
            return vars(part) | more

        return json.dumps(self, default=fields, indent=2)

    def plot(self) -> Figure:
        """A line a class: its share of fakes and of reals that are named so, and its KD, with 95 % intervals.

        The class of the largest KD stands on top. Of more than 40 classes, those of the largest KD are shown.
        """
        from matplotlib.figure import Figure

        rows = sorted(self.rows, key=lambda row: row.kernel.value)[-MOST:]
        places = np.arange(len(rows))
        figure = Figure(figsize=(10, 2 + 0.5 * len(rows)), layout="constrained")
        named, distance = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for k, name in enumerate(self.classifiers):
            for side, colour, mark, up in (("reals", ORANGE, "s", 0.27), ("fakes", BLUE, "o", 0.11)):
                shares = [getattr(row, side)[k] for row in rows]
                percent = 100 * np.array([share.value for share in shares])
                reach = np.abs(100 * np.array([share.interval() for share in shares]).T - percent)  # (2, classes)
                style = {"fmt": mark, "color": colour, "mfc": "white" if k else colour, "label": f"{side}, {name}"}
                named.errorbar(percent, places + up - 0.38 * k, xerr=reach, **style)
        values, errors = (1000 * np.array([getattr(row.kernel, key) for row in rows]) for key in ("value", "error"))
        distance.errorbar(values, places, xerr=1.96 * errors, fmt="o", color=BLUE)
        distance.axvline(0, color="black", linewidth=0.8)
        distance.set_xlabel(f"1000 × KD({self.protocol.network})\n(0: as near as other real images)")
        named.set_xlabel("% named as the wanted class\n(more than reals is a warning)")
        named.set_yticks(places, [row.name for row in rows])
        named.grid(alpha=0.3)
        distance.grid(alpha=0.3)
        title = f"{self.protocol.subject}: {rows[0].fakes[0].n:,} images of each class; 95 % intervals"
        figure.legend(*named.get_legend_handles_labels(), loc="outside upper center", ncols=2, title=title)
        return figure


def verdict(fakes: tuple[Share, ...], reals: tuple[Share, ...], classes: int) -> str:
    """WORSE or MORE where every classifier sees that difference, at a confidence of 1 - 0.05 / classes; else ALIKE.

    So at most one table of twenty tells of a difference where no class has any (Bonferroni).
    """
    gaps = [fake.minus(real, 1 - 0.05 / classes) for fake, real in zip(fakes, reals, strict=True)]
    if all(high < 0 for _, high in gaps):
        return WORSE
    return MORE if all(low > 0 for low, _ in gaps) else ALIKE


def classifiers_for(
    source: str | Path, names: tuple[str, ...], paths: Sequence[str | Path] = ()
) -> dict[Path, Classifier]:
    """The two classifiers that name the classes of a data set, by file.

    Args:
        source: the data set's name or path.   names: of its classes.
        paths: their files; without any, the shipped ones for these classes, called `…-judge-1` and `…-judge-2`.

    Raises:
        CourseError: not two different ones, or of other classes; the message says how to train them.
    """
    known, train = shipped(), f"python -m gan_helpers network {source} --seed 1 --out judge-1.safetensors"
    cure = f"Train two, by `{train}` and the same with 2 for 1, and give both to --classifiers."
    files = [known.get(path, environment.at_home(path)) for path in paths]
    found = {path: load_classifier(path) for path in files or [known[name] for name in known if "judge-" in name]}
    fit = {path: net for path, net in found.items() if set(net.heads.get("class", ())) == set(names)}
    if other := [path for path in files if path not in fit]:
        raise CourseError(f"{other[0]} names other classes than {', '.join(names)}. {cure}")
    if len(fit) != 2 or len({sha256(path) for path in fit}) != 2:
        raise CourseError(f"Recognition takes two different classifiers of {', '.join(names)}. {cure}")
    return fit


def named(classifier: Classifier, images: np.ndarray, name: str) -> Share:
    """How many of some images uint8 (N, C, S, S) a classifier names so."""
    told = classifier.answers(torch.from_numpy(np.array(images)))["class"].argmax(1)  # (N,)
    return Share(int((told == classifier.heads["class"].index(name)).sum()), len(images))


def by_class(
    source: str | Path | nn.Module,
    images: str | Path,
    n: int = 400,
    seed: int = 0,
    classifiers: Sequence[str | Path] = (),
    network: str | None = None,
    **options,
) -> ByClass:
    """Measure each class that a generator draws against the held-out images of that class that report.

    Args:
        source: a shipped name, run folder or checkpoint; or a generator.
        images: the data set's name or path.
        n: images to draw of each class.
        seed: of their latents, which no two classes share.
        classifiers: two files, as `classifiers_for` takes them.
        network: whose features give the distance, as in `evaluation.evaluate`.
        options: of `data.load`.

    Raises:
        CourseError: a generator that does not draw the set's classes at will, under 10 images of a class, or not two
            classifiers.
    """
    if n < LEAST:
        raise CourseError(f"n is the number of images of each class: give at least {LEAST}, better hundreds; got {n}.")
    if isinstance(source, nn.Module):
        subject, generator = type(source).__name__, source
    else:
        subject, generator = environment.at_home(source).absolute().name, evaluation.open_source(source)
    if not getattr(generator, "num_classes", 0):
        raise CourseError(f"{subject} draws no class at will: give a conditional generator, such as best-cifar10.")
    _, channels, image_size, _ = evaluation.draw(generator, 1, seed).shape
    reference = evaluation.Reference(images, image_size, channels, network, "report", **options)
    real, names = reference.real, reference.real.class_names
    if len(names) != generator.num_classes or getattr(generator, "class_names", names) != names:
        raise CourseError(
            f"{subject} draws {', '.join(generators.class_names(generator))}, and {real.name} has "
            f"{', '.join(names) or 'no classes'}: give the data set that it learned from."
        )
    counts = np.bincount(real.labels, minlength=len(names))
    if counts.min() < LEAST:
        raise CourseError(
            f"Class {names[counts.argmin()]} of {images} has {counts.min()} images to measure by: add images of it, "
            f"until at least {LEAST} are held out (about a tenth is)."
        )
    nets = classifiers_for(images, names, classifiers)
    features, _ = evaluation.cached_features(real.images, reference.network)
    z, rows = draw_z(n * len(names), generator.latent_dim, seed), []
    for k, name in enumerate(bar(names, desc=f"classes of {subject}", unit="class")):
        fakes = generate(generator, z[k :: len(names)], torch.full((n,), k), each=to_uint8).numpy()  # (n, C, S, S)
        own = real.labels == k
        pairs = Pairs(reference.fakes(fakes)[0], features[torch.from_numpy(own)])
        shares = [tuple(named(net, some, name) for net in nets.values()) for some in (fakes, real.images[own])]
        four = precision_recall(pairs)
        told = verdict(*shares, len(names))
        rows.append(Row(name, kid(pairs), four["precision"], four["recall"], four["coverage"], *shares, told))
    protocol = reference.protocol(subject, n * len(names), 1)
    return ByClass(protocol, seed, tuple(path.stem for path in nets), tuple(rows))
