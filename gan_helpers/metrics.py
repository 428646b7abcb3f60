"""Distances between two sets of features: pure functions, in float64 where digits are lost otherwise.

Features are (N, D) tensors or arrays, one row an image. Which network made them decides what a number means: see
`features` and `evaluation`.
"""

from __future__ import annotations

import math
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
        raise CourseError(f"Features must be (N, D) with N at least {least}; got shape {tuple(x.shape)}.")
    if not x.isfinite().all():
        raise CourseError("Some features are not finite numbers.")
    return x


# --- Fréchet distance ---------------------------------------------------------------------------------------------


class Moments:
    """Mean and covariance of features, streamed in float64: the memory is D², however many images there are.

    Sums are taken around the first batch's mean, so that no digits cancel where features are far from zero.
    """

    def __init__(self, features: Features | None = None) -> None:
        self.n = 0
        if features is not None:
            self.add(features)

    def add(self, features: Features) -> Moments:
        """Count in a batch (n, D).

        Raises:
            CourseError: of another width than the ones before.
        """
        x = as_features(features, least=1).double()
        if self.n == 0:
            self.shift = x.mean(0)  # (D,)
            self.sum, self.outer = torch.zeros_like(self.shift), torch.zeros(x.shape[1], x.shape[1]).double()
        same_width(self.shift, x)
        x = x - self.shift
        self.n, self.sum = self.n + len(x), self.sum + x.sum(0)
        self.outer += torch.from_numpy(np.dot(x.T.numpy(), x.numpy()))  # (D, D); NumPy computes one half only
        self.__dict__.pop("root", None)  # it was of the sums before
        return self

    @property
    def mean(self) -> Tensor:
        """(D,), float64."""
        return self.shift + self.sum / self.n

    @property
    def covariance(self) -> Tensor:
        """(D, D), float64, unbiased (N - 1)."""
        return (self.outer - torch.outer(self.sum, self.sum) / self.n) / (self.n - 1)

    @property
    def trace(self) -> float:
        return self.covariance.trace().item()

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
        self.n, self.shift, self.sum = len(x), x.mean(0), torch.zeros(x.shape[1]).double()
        self.root = (x - self.shift).T / math.sqrt(self.n - 1)  # (D, N)

    @property
    def covariance(self) -> Tensor:
        return self.root @ self.root.T

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


# --- distances of all pairs: KID, precision and recall --------------------------------------------------------------


class Pairs:
    """What KID, precision, recall, density and coverage need of all pairs of images, from one pass of matrix products.

    Both kernel and distance follow from the inner products x·y, so the three products (fake·fake, real·real,
    fake·real) are made once, a block of rows at a time.

    Args:
        fake, real: features (M, D) and (N, D).
        k: the neighbour whose distance is an image's radius.

    Raises:
        CourseError: different widths, or not more than k images.
    """

    def __init__(self, fake: Features, real: Features, k: int = 3) -> None:
        fake, real = as_features(fake, k + 1), as_features(real, k + 1)
        same_width(fake, real)
        if fake.shape[1] <= 512:  # small features: twice the digits cost nothing
            fake, real = fake.double(), real.double()
        self.k, self.m, self.n = k, len(fake), len(real)
        self.fake_kernel, fake_radius = self.within(fake)  # (M,) (M,)
        self.real_kernel, real_radius = self.within(real)  # (N,) (N,)
        self.cross_fake, rows = [], []
        self.cross_real = torch.zeros(self.n).double()
        self.fakes_around, self.reals_covered = torch.zeros(self.n).bool(), torch.zeros(self.n).bool()
        for kernel, distances, start in blocks(fake, real):
            self.cross_fake.append(kernel.sum(1))
            self.cross_real += kernel.sum(0)
            inside = distances <= real_radius  # fake i within the ball of real j
            rows.append(inside.float().sum(1))
            self.reals_covered |= inside.any(0)
            self.fakes_around |= (distances <= fake_radius[start : start + len(distances), None]).any(0)
        self.cross_fake, self.balls = torch.cat(self.cross_fake).double(), torch.cat(rows)  # (M,) (M,)

    def within(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For each image of a set: the kernel summed over the *other* images, and the distance² to its k-th one.

        What a block of rows has to do with earlier rows is known from them, by symmetry.
        """
        sums, near = torch.zeros(len(x)).double(), torch.full((len(x), self.k), torch.inf, dtype=x.dtype)
        for kernel, distances, start in blocks(x, x, symmetric=True):
            end = start + len(kernel)
            for with_itself, value in ((kernel, 0.0), (distances, torch.inf)):
                with_itself.diagonal().fill_(value)
            sums[start:end] += kernel.sum(1)
            sums[end:] += kernel[:, len(kernel) :].sum(0)
            rows = distances.topk(min(self.k, distances.shape[1]), largest=False).values  # (rows, k)
            columns = distances[:, len(kernel) :].T.contiguous()  # (N - end, rows)
            columns = columns.topk(min(self.k, len(kernel)), largest=False).values
            for part, new in ((slice(start, end), rows), (slice(end, None), columns)):
                near[part] = torch.cat([near[part], new], 1).topk(self.k, largest=False).values
        return sums, near[:, -1]


def blocks(x: Tensor, y: Tensor, rows: int = 1024, symmetric: bool = False):
    """Yields the kernel (x·y / D + 1)³ and the squared distances of `rows` rows of x with y, and the first row.

    Distances may come out a rounding error below zero. `symmetric` leaves out the columns before the first row.
    """
    of_x, of_y = x.square().sum(1), y.square().sum(1)  # (M,) (N,)
    for start in range(0, len(x), rows):
        part, first = slice(start, start + rows), start if symmetric else 0
        products = x[part] @ y[first:].T  # (rows, N)
        distances = torch.add(of_y[first:], products, alpha=-2).add_(of_x[part, None])
        yield products.div_(x.shape[1]).add_(1).pow_(3), distances, start


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error; `str()` gives both."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


def kid(pairs: Pairs) -> Estimate:
    """The squared maximum mean discrepancy with the kernel (x·y/D + 1)³, without bias. Binkowski et al. 2018,
    arXiv:1801.01401.

    It uses every pair once, where the usual form averages over random subsets. It can be negative: an estimate without
    bias of something near zero must be. The standard error is the jackknife's, over images of both sets.
    """
    m, n = pairs.m, pairs.n
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
    queries, reference = as_features(queries, 1), as_features(reference, 1)
    same_width(queries, reference)
    centre = reference.double().mean(0)  # near zero, fewer digits cancel
    best = [d.min(1) for _, d, _ in blocks(queries.double() - centre, reference.double() - centre)]
    return torch.cat([b.values for b in best]).clamp_min(0).sqrt(), torch.cat([b.indices for b in best])


@dataclass(frozen=True)
class Copying:
    """Share of fakes whose nearest real image is a training image; the share that chance gives, with its error."""

    share: float
    chance: float
    error: float

    def __str__(self) -> str:
        verdict = "it copies" if self.share > self.chance + 3 * self.error else "no more than chance"
        chance = f"chance gives {self.chance:.1%} ± {self.error:.1%}"
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
