"""Distances between two sets of features: pure functions, in float64 where digits are lost otherwise.

Features are (N, D) tensors or arrays, one row an image. Which network made them decides what a number means: see
`features` and `evaluation`.

A new metric is a function of features here, and a row in `METRICS` at the end. Nothing else needs to know of it:
`evaluate`, its table and the commands `evaluate --metrics` and `list` read the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .errors import CourseError

Features = Tensor | np.ndarray  # (N, D)


def as_features(x: Features, least: int = 2) -> Tensor:
    """`x` as a float tensor (N, D) on the CPU.

    Raises:
        CourseError: not two-dimensional, fewer than `least` rows, or numbers that are not finite.
    """
    x = torch.as_tensor(x).detach().cpu()
    x = x if x.is_floating_point() else x.double()
    if x.ndim != 2 or len(x) < least:
        raise CourseError(f"Features must be (N, D) with N at least {least:,}; got shape {tuple(x.shape)}.")
    if not x.isfinite().all():
        raise CourseError("Some features are not finite numbers.")
    return x


# --- Fréchet distance ---------------------------------------------------------------------------------------------


class Moments:
    """Mean (D,) and covariance (D, D) of features, streamed in float64: the memory is D², however many there are.

    Each batch is centred on its own mean, so that no digits cancel where features are far from zero.
    """

    def __init__(self, features: Features | None = None) -> None:
        self.n = 0
        if features is not None:
            self.add(features)

    def add(self, features: Features | Moments) -> Moments:
        """Count in a batch (n, D), or what another `Moments` has counted. Chan, Golub & LeVeque 1979.

        Raises:
            CourseError: of another width than the ones before.
        """
        if isinstance(features, Moments):
            n, mean, scatter = features.n, features.mean, features.scatter
        else:
            x = as_features(features, least=1).double()
            n, mean = len(x), x.mean(0)
            x = x - mean
            scatter = torch.from_numpy(np.dot(x.T.numpy(), x.numpy()))  # (D, D); NumPy computes one half only
        if self.n == 0:
            self.mean, self.scatter = torch.zeros_like(mean), torch.zeros_like(scatter)
        same_width(self.mean, mean)
        step, total = mean - self.mean, self.n + n
        self.scatter += scatter + torch.outer(step, step) * (self.n * n / total)
        self.mean, self.n = self.mean + step * (n / total), total
        self.__dict__.pop("root", None)  # it was of the sums before
        return self

    @property
    def covariance(self) -> Tensor:
        """(D, D), float64, unbiased (N - 1)."""
        return self.scatter / (self.n - 1)

    @property
    def trace(self) -> float:
        return self.scatter.trace().item() / (self.n - 1)

    @cached_property
    def root(self) -> Tensor:
        """R with R Rᵀ = covariance: Cholesky's (D, D), or (D, rank) from the eigenvectors where that is singular.

        It is kept, so a reference set is factored once for many generators.
        """
        sigma = self.covariance
        if self.n > len(sigma):
            lower, failed = torch.linalg.cholesky_ex(sigma)
            if not failed:
                return lower
        values, vectors = torch.linalg.eigh(sigma)
        kept = values > values[-1].clamp_min(0) * len(sigma) * torch.finfo(values.dtype).eps
        return vectors[:, kept] * values[kept].sqrt()


class FewFeatures(Moments):
    """Moments of N <= D features without any D x D matrix: their covariance's root is the centred data itself."""

    def __init__(self, features: Features) -> None:
        x = as_features(features).double()
        self.n, self.mean = len(x), x.mean(0)
        self.root = (x - self.mean).T / math.sqrt(self.n - 1)  # (D, N)

    @property
    def trace(self) -> float:
        return self.root.square().sum().item()


def moments(features: Features | Moments) -> Moments:
    """Moments of features (N, D), in the form that is cheaper.

    Raises:
        CourseError: fewer than two features: they have no covariance.
    """
    if not isinstance(features, Moments):
        x = as_features(features)
        features = FewFeatures(x) if len(x) <= x.shape[1] else Moments(x)
    if features.n < 2:
        raise CourseError(f"A covariance needs at least 2 features; got {features.n}.")
    return features


def same_width(a: Tensor, b: Tensor) -> None:
    if a.shape[-1] != b.shape[-1]:
        raise CourseError(f"The features are {a.shape[-1]} and {b.shape[-1]} wide: they are of different networks.")


def frechet_distance(a: Features | Moments, b: Features | Moments) -> float:
    """The squared Fréchet (2-Wasserstein) distance of the Gaussians with the sets' means and covariances.

    |μa - μb|² + Tr Σa + Tr Σb - 2 Tr √(Σa Σb); Dowson & Landau 1982; as FID, with Inception's features: Heusel et al.
    2017, arXiv:1706.08500. With Σ = R Rᵀ the last trace is the sum of the singular values of Raᵀ Rb: real, whatever the
    rank. Where both have full rank they are the roots of the eigenvalues of Raᵀ Σb Ra, which is several times faster.

    Raises:
        CourseError: features of different width, fewer than two of them, or not finite.
    """
    a, b = moments(a), moments(b)
    same_width(a.mean, b.mean)
    traces = a.trace + b.trace
    return max(0.0, (a.mean - b.mean).square().sum().item() + traces - 2 * trace_of_root(a, b, traces))


def trace_of_root(a: Moments, b: Moments, traces: float) -> float:
    """Tr √(Σa Σb)."""
    if min(a.n, b.n) > len(a.mean) == a.root.shape[1]:
        values = torch.linalg.eigvalsh(a.root.T @ b.covariance @ a.root)  # (D,), ascending
        floor = torch.finfo(values.dtype).eps * values[-1]  # how far each of them may be off
        if (floor / values.clamp_min(floor).sqrt()).sum() < 1e-7 * traces:
            return values.clamp_min(0).sqrt().sum().item()
    return torch.linalg.svdvals(a.root.T @ b.root).sum().item()


def frechet_infinite(fake: Features, real: Features | Moments, groups: int = 10) -> Estimate:
    """The Fréchet distance as it would be of infinitely many images, with its standard error.

    Of N images the distance comes out too large, by nearly c/N. The jackknife (Quenouille 1956, Tukey 1958) takes this
    away: leave out one of g groups of images at a time and see by how much the distance grows. From whole to whole less
    a group, 1/N grows by 1/(g - 1) of itself, so g - 1 times the mean growth is the bias. How much the g distances
    scatter tells the error. Chong & Forsyth 2020, arXiv:1911.07023, fit a line over 1/N to the same end.

    Args:
        fake, real: features (N, D). Where `real` is `Moments`, the reference stays as it is, and only the fakes become
            infinitely many.
        groups: g.

    Raises:
        CourseError: fewer images than four times the features, where more than the term in 1/N counts.
    """
    sides = [as_features(side).double() for side in ([fake] if isinstance(real, Moments) else [fake, real])]
    for side in sides:
        n, width = side.shape
        if n < 4 * width:
            raise CourseError(
                f"What infinitely many images would give can be told from {4 * width:,} or more, four times the "
                f"network's features; here are {n:,}."
            )
    wholes = [moments(side) for side in (fake, real)]
    distance = frechet_distance(*wholes)
    value, variance = distance, 0.0
    for side, features in enumerate(sides):
        parts = [Moments(features[k::groups]) for k in range(groups)]
        less = []  # the distance without each group
        for left_out in range(groups):
            rest = Moments()
            for k, part in enumerate(parts):
                if k != left_out:
                    rest.add(part)
            less.append(frechet_distance(rest, wholes[1 - side]))
        less = torch.tensor(less).double()  # (g,)
        value -= (groups - 1) * (less.mean().item() - distance)
        variance += (groups - 1) * less.var(correction=0).item()
    return Estimate(value, math.sqrt(variance))


# --- distances of all pairs: KID, precision and recall --------------------------------------------------------------


class Pairs:
    """What KID, precision, recall, density and coverage need of all pairs of images, from one pass of matrix products.

    Kernel and distance both follow from the inner products x·y, so the products fake·fake, real·real and fake·real are
    made once, in square blocks; the first two are symmetric, so half of their blocks is enough. That takes
    D (M² + N² + 2 M N) floating-point operations: 8e11 for twice 10,000 images of 2,048 features.

    Args:
        fake, real: features (M, D) and (N, D).
        k: the neighbour whose distance is an image's radius.

    Attributes:
        fake_kernel, real_kernel: for each image the kernel's sum over the *others* of its set, (M,) and (N,).
        cross_fake, cross_real: for each image the kernel's sum over the other set, (M,) and (N,).
        balls: the number of real images within whose radius a fake lies, (M,).
        reals_covered, fakes_around: whether a real image has a fake in its own ball, and lies in a fake's, (N,).

    Raises:
        CourseError: different widths, or not more than k images.
    """

    def __init__(self, fake: Features, real: Features, k: int = 3) -> None:
        fake, real = as_features(fake, k + 1), as_features(real, k + 1)
        same_width(fake, real)
        if fake.shape[1] <= 512:  # small features: twice the digits cost nothing
            fake, real = fake.double(), real.double()
        self.k, m, n = k, len(fake), len(real)
        self.fake_kernel, fake_radius = self.within(fake)
        self.real_kernel, real_radius = self.within(real)
        self.cross_fake, self.cross_real, self.balls = (torch.zeros(count).double() for count in (m, n, m))
        self.reals_covered, self.fakes_around = torch.zeros(n).bool(), torch.zeros(n).bool()
        for rows, columns, kernel, distances in blocks(fake, real):
            self.cross_fake[rows] += kernel.sum(1)
            self.cross_real[columns] += kernel.sum(0)
            near = distances <= real_radius[columns]  # fake i within the ball of real j
            self.balls[rows] += near.float().sum(1)
            self.reals_covered[columns] |= near.any(0)
            self.fakes_around[columns] |= (distances <= fake_radius[rows, None]).any(0)

    def within(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For each image of a set (N, D): the kernel's sum over the others, and the distance² to the k-th of them."""
        sums, closest = torch.zeros(len(x)).double(), torch.full((len(x), self.k), torch.inf, dtype=x.dtype)

        def count(images: slice, kernel: Tensor, distances: Tensor) -> None:
            sums[images] += kernel.sum(1)
            smallest = distances.topk(min(self.k, distances.shape[1]), largest=False).values
            closest[images] = torch.cat([closest[images], smallest], 1).topk(self.k, largest=False).values

        for rows, columns, kernel, distances in blocks(x):
            if rows == columns:
                kernel.fill_diagonal_(0)  # an image is not its own neighbour
                distances.fill_diagonal_(torch.inf)
            else:
                count(columns, kernel.T, distances.T.contiguous())
            count(rows, kernel, distances)
        return sums, closest[:, -1]


def blocks(x: Tensor, y: Tensor | None = None, size: int = 1024) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Yields rows of x (M, D), rows of y (N, D), and their kernels and distances, in blocks of at most (size, size).

    The kernel is (x·y / D + 1)³, the distances are squared; they may come out a rounding error below zero. Without y it
    is x again, and a block below the diagonal, which is another one transposed, is left out.
    """
    alone, y = y is None, x if y is None else y
    of_x, of_y = x.square().sum(1), y.square().sum(1)  # (M,) (N,)
    for top in range(0, len(x), size):
        for left in range(top if alone else 0, len(y), size):
            rows, columns = slice(top, top + size), slice(left, left + size)
            products = x[rows] @ y[columns].T
            distances = torch.add(of_y[columns], products, alpha=-2).add_(of_x[rows, None])
            yield rows, columns, products.div_(x.shape[1]).add_(1).pow_(3), distances


@dataclass(frozen=True)
class Estimate:
    """A value, with its standard error where one is known; `str()` gives both."""

    value: float
    error: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.error is None else f"{self.value:.4g} ± {self.error:.2g}"


def kid(pairs: Pairs) -> Estimate:
    """The squared maximum mean discrepancy with the kernel (x·y/D + 1)³, without bias. Binkowski et al. 2018,
    arXiv:1801.01401.

    It uses every pair once, where the usual form averages over random subsets. It can be negative: an estimate without
    bias of something near zero must be. The standard error is the jackknife's, over images of both sets.
    """
    m, n = len(pairs.fake_kernel), len(pairs.real_kernel)
    xx, yy, xy = pairs.fake_kernel.sum(), pairs.real_kernel.sum(), pairs.cross_fake.sum()
    value = xx / (m * (m - 1)) + yy / (n * (n - 1)) - 2 * xy / (m * n)
    # the value again, without image i: its row and column leave the sums
    less_fake = (xx - 2 * pairs.fake_kernel) / ((m - 1) * (m - 2)) - 2 * (xy - pairs.cross_fake) / ((m - 1) * n)
    less_real = (yy - 2 * pairs.real_kernel) / ((n - 1) * (n - 2)) - 2 * (xy - pairs.cross_real) / (m * (n - 1))
    variance = sum((len(v) - 1) * v.var(correction=0) for v in (less_fake, less_real))
    return Estimate(value.item(), variance.sqrt().item())


def precision_recall(pairs: Pairs) -> dict[str, float]:
    """Shares of images that lie among those of the other set.

    Returns:
        precision: share of fakes within the k-neighbour ball of some real; recall: share of reals within the ball of
        some fake (Kynkäänniemi et al. 2019, arXiv:1904.06991); density: mean number of real balls around a fake, over
        k; coverage: share of reals with a fake in their ball (Naeem et al. 2020, arXiv:2002.09797). A copied training
        set gets full marks in all four: see `copying`.
    """
    return {
        "precision": (pairs.balls > 0).double().mean().item(),
        "recall": pairs.fakes_around.double().mean().item(),
        "density": pairs.balls.double().mean().item() / pairs.k,
        "coverage": pairs.reals_covered.double().mean().item(),
    }


# --- classifier's opinion -------------------------------------------------------------------------------------------


def inception_score(logits: Features, splits: int = 10) -> Estimate:
    """exp of the mean KL divergence of each image's class distribution from the split's mean one. Salimans et al. 2016,
    arXiv:1606.03498.

    Args:
        logits: (N, classes), in random order.
        splits: the score of each N/splits images; the value is their mean, the error their standard deviation, as
            papers print it. The score grows with the size of a split.

    Raises:
        CourseError: fewer images than splits.
    """
    logits = as_features(logits, splits).double()
    edges = [len(logits) * i // splits for i in range(splits + 1)]
    scores = []
    for start, end in zip(edges, edges[1:], strict=False):
        log_p = logits[start:end].log_softmax(1)  # (n, classes)
        p = log_p.exp()
        kl = (p * (log_p - p.mean(0).log())).nan_to_num(0).sum(1)  # a class that nobody gets counts nothing
        scores.append(kl.mean().exp())
    scores = torch.stack(scores)
    return Estimate(scores.mean().item(), scores.std(correction=0).item())


# --- copies -------------------------------------------------------------------------------------------------------


def nearest(queries: Features, reference: Features) -> tuple[Tensor, Tensor]:
    """Distance (M,) and row (M,) of each query's nearest neighbour among the reference."""
    queries, reference = as_features(queries, 1).double(), as_features(reference, 1).double()
    same_width(queries, reference)
    centre = reference.mean(0)  # near zero, fewer digits cancel
    queries, reference = queries - centre, reference - centre
    best = [torch.cdist(part, reference).min(1) for part in queries.split(1024)]
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])


@dataclass(frozen=True)
class Copying:
    """Share of fakes whose nearest real image is a training image; the share that chance gives, with its error."""

    share: float
    chance: float
    error: float

    @property
    def caught(self) -> bool:
        """Whether the share is more than three standard errors above chance."""
        return self.share > self.chance + 3 * self.error

    @property
    def beyond_chance(self) -> Estimate:
        """The share, stretched so that chance is 0 and a perfect memory is 1, and the error, stretched alike.

        Where nine real images of ten are training images, chance gives .9, and one fake of a hundred more or less is
        .1 on this scale: without its error the number cannot be read.
        """
        return Estimate((self.share - self.chance) / (1 - self.chance), self.error / (1 - self.chance))

    def __str__(self) -> str:
        chance = f"chance gives {self.chance:.1%} ± {self.error:.1%}"
        verdict = "it copies" if self.caught else "no more than chance"
        return f"{self.share:.1%} are nearest to a training image; {chance}: {verdict}"


def copying(fake: Features, train: Features, held_out: Features) -> Copying:
    """Does the generator hand out training images? The one number here that a perfect memory fails.

    An honest fake is as far from the training set as from images that nobody trained on, however good or bad it is, so
    its nearest neighbour of all is a training image with probability n_train / (n_train + n_held_out). The nearest one
    of a copy always is. Related to the test of Meehan et al. 2020, arXiv:2004.05675. The error counts real images, not
    fakes: of a bad generator's fakes many have the same nearest neighbour, and only *its* lot was drawn.

    Args:
        fake, train, held_out: features (M, D), (n_train, D), (n_held_out, D), of one network or of pixels.
    """
    (to_train, a), (to_held_out, b) = nearest(fake, train), nearest(fake, held_out)  # (M,) each
    chance = len(train) / (len(train) + len(held_out))
    closer = (to_train < to_held_out).double() + chance * (to_train == to_held_out)  # a tie tells nothing
    fakes_of = torch.bincount(torch.where(to_train < to_held_out, a, b + len(train))).double()  # by real image
    error = math.sqrt(chance * (1 - chance)) * fakes_of.norm().item() / len(closer)
    return Copying(closer.mean().item(), chance, error)


# --- all metrics --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """What a metric may look at."""

    fake: Tensor  # features (M, D) of the images that are scored
    logits: Tensor  # and what the network takes them for, (M, K)
    real: Tensor  # features (N, D) of images that no training saw
    train: Tensor | None  # features (T, D) of training images; None where training images themselves are scored

    @cached_property
    def pairs(self) -> Pairs:
        return Pairs(self.fake, self.real)

    def share(self, name: str) -> Estimate:
        """One of the shares of `precision_recall`."""
        return Estimate(precision_recall(self.pairs)[name])

    def copies(self) -> Estimate | None:
        """The share of copies beyond chance; None without training images among which to look for them."""
        return None if self.train is None else copying(self.fake, self.train, self.real).beyond_chance


@dataclass(frozen=True)
class Metric:
    """What there is to know of a metric."""

    about: str  # in a few words, for lists
    compute: Callable[[Compared], Estimate | None]  # None where it cannot be had
    names: tuple[str, str] | None = None  # with Inception's features, and with others; None for its key
    lower: bool = False  # whether lower is better
    default: bool = True  # whether it is computed where nobody says which
    fakes_a_feature: int = 0  # how many fakes it needs for each feature; then it needs two real images for each, too
    any_n: bool = False  # whether the number of images leaves its expected value as it is


METRICS = {
    "frechet": Metric(
        "Fréchet distance of the Gaussians with the two sets' means and covariances",
        lambda c: Estimate(frechet_distance(c.fake, c.real)),
        ("FID", "FD"), lower=True, fakes_a_feature=2,
    ),
    "infinite": Metric(
        "Fréchet distance of infinitely many fakes from these real images",
        lambda c: frechet_infinite(c.fake, moments(c.real)),
        ("FID of infinite fakes", "FD of infinite fakes"), lower=True, default=False, fakes_a_feature=4, any_n=True,
    ),
    "kernel": Metric(
        "kernel distance (MMD²), which few images do not bias", lambda c: kid(c.pairs), ("KID", "KD"), lower=True,
        any_n=True,
    ),
    "precision": Metric("share of fakes that lie among real images", lambda c: c.share("precision")),
    "recall": Metric("share of real images that lie among fakes", lambda c: c.share("recall")),
    "density": Metric("real balls around a fake, over k", lambda c: c.share("density"), default=False),
    "coverage": Metric("share of real images with a fake in their ball", lambda c: c.share("coverage"), default=False),
    "classifier": Metric(
        "Inception Score: is each fake clearly of a class, and is every class there?",
        lambda c: inception_score(c.logits), ("IS", "CS"), default=False,
    ),
    "copying": Metric(
        "share of fakes nearest to training images, beyond chance: 0 honest, 1 all copies", Compared.copies, lower=True
    ),
}  # fmt: skip
