"""Directions in latent space: found in the generator's first layer, in its activations, or by attributes of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cards import header
from .data.images import ImageSet
from .environment import at_home
from .errors import CourseError
from .latent import draw_z, generate
from .tensors import read_tensors, save_tensors

SMOOTH = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.GLU, nn.Tanh)


def first_layer(generator: nn.Module) -> Tensor:
    """The weights of the layer that sees z first, as a matrix (features, latent_dim); of a conditional one, z's part.

    Raises:
        CourseError: the net begins with no linear layer or convolution of z: a discriminator, for example.
    """
    layer = next((m for m in generator.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))), None)
    columns = torch.zeros(0, 0) if layer is None else layer.weight.detach().float().cpu().flatten(1)
    columns = columns.T if isinstance(layer, nn.ConvTranspose2d) else columns
    if columns.shape[1] < getattr(generator, "latent_dim", math.inf):
        raise CourseError(f"{type(generator).__name__} is no generator: its first layer takes no latent vector.")
    return columns[:, : generator.latent_dim]


def upright(directions: Tensor) -> Tensor:
    """Rows (K, d) at length 1, signed so that the largest entry is positive: the same on every machine."""
    peaks = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return directions * peaks.sign() / directions.norm(dim=1, keepdim=True)


def principal(generator: nn.Module, count: int = 8) -> Tensor:
    """The directions that the first layer stretches most, the strongest first: (count, latent_dim), orthonormal.

    In closed form: the right singular vectors of its weights. Shen & Zhou 2021, arXiv:2007.06600.
    """
    return upright(torch.linalg.svd(first_layer(generator), full_matrices=False).Vh[:count])


def activation_pca(generator: nn.Module, count: int = 8, n: int = 600, seed: int = 0) -> Tensor:
    """The directions of z behind the principal components of early activations: (count, latent_dim), length 1.

    *After* the second non-linearity: before the first, this would be `principal` again, and just behind it, it nearly
    is. The components' coordinates of n random images are regressed on z. Härkönen et al. 2020, arXiv:2004.02546.
    """
    layers = [m for m in generator.modules() if isinstance(m, SMOOTH)][:2]
    if not layers:
        raise CourseError(f"{type(generator).__name__} has no non-linearity to look behind.")
    seen: list[Tensor] = []
    hook = layers[-1].register_forward_hook(
        lambda _, __, out: seen.append(out.detach().flatten(1).float().cpu().clone())
    )
    try:
        z = draw_z(n, generator.latent_dim, seed)
        generate(generator, z)
    finally:
        hook.remove()
    activations = torch.cat(seen)  # (n, F)
    count, centred = min(count, generator.latent_dim), activations - activations.mean(0)
    left = torch.linalg.eigh(centred @ centred.T).eigenvectors[:, -count:].flip(1)  # (n, count): scaled coordinates
    return upright(torch.linalg.lstsq(z, left).solution.T)


@dataclass(frozen=True)
class Probe:
    """A linear model of images: one score an attribute, about 0 where it is absent and 1 where it is present.

    Attributes:
        names: K attributes.
        weights: (1 + pixels, K), on images averaged down to `side` x `side`; row 0 is the constant.
        accuracy: share of images told right, yes and no counting alike, on a tenth that was not fitted to.
    """

    names: tuple[str, ...]
    weights: Tensor
    accuracy: dict[str, float]
    side: int = 32

    @staticmethod
    def pixels(images: Tensor, side: int) -> Tensor:
        """Images (N, C, S, S), uint8 or in [-1, 1], averaged down, behind a constant: (N, 1 + C side side)."""
        x = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images.float().cpu()
        return F.pad(F.adaptive_avg_pool2d(x, side).flatten(1), (1, 0), value=1.0)

    def __call__(self, images: Tensor) -> Tensor:
        """Scores (N, K) of images (N, C, S, S), uint8 or in [-1, 1]."""
        return self.pixels(images, self.side) @ self.weights

    @classmethod
    def fit(cls, images: ImageSet, names: tuple[str, ...] | None = None) -> Probe:
        """Ridge regression of yes/no attributes on pixels: closed form, the same every time, and honest about itself.

        Raises:
            CourseError: the set has no such attribute, or none that is yes or no and has both.
        """
        yes_no = [k for k, v in images.attributes.items() if v.dtype == bool and 0 < v.mean() < 1]
        names = tuple(yes_no) if names is None else tuple(names)
        if not names or not set(names) <= set(yes_no):
            raise CourseError(
                f"{images.name} has no table for {names or 'attributes'}; it has: {', '.join(yes_no) or 'none'}."
            )
        side = min(cls.side, images.images.shape[-1])
        parts = [torch.from_numpy(np.array(images.images[i : i + 2048])) for i in range(0, len(images), 2048)]
        x = torch.cat([cls.pixels(part, side) for part in parts])
        y = torch.stack([torch.from_numpy(images.attributes[name]) for name in names], 1).float()  # (N, K)
        held = torch.arange(len(x)) % 10 == 9
        a, b = x[~held], y[~held]
        penalty = torch.full((a.shape[1],), 0.01 * len(a))
        penalty[0] /= 1000  # of the constant
        weights = torch.linalg.solve(a.T @ a + penalty.diag(), a.T @ b)
        truth = y[held] > 0.5
        right = (x[held] @ weights > b.mean(0)) == truth
        yes, no = ((right & kind).sum(0) / kind.sum(0) for kind in (truth, ~truth))  # (K,) each
        accuracy = dict(zip(names, ((yes + no) / 2).tolist(), strict=True))
        return cls(names, weights, accuracy, side)


def attribute_directions(generator: nn.Module, probe: Probe, n: int = 2000, seed: int = 0) -> dict[str, Tensor]:
    """For each attribute the direction (latent_dim,), length 1, along which the probe's score rises most.

    Generated images have no labels: n of them are drawn, the probe scores them, and least squares of the scores on z
    gives the slope. Nothing keeps other attributes still: measure what else moved, with the probe.
    """
    z = draw_z(n, generator.latent_dim, seed)
    scores = torch.cat([probe(generate(generator, part)) for part in z.split(250)])  # (n, K)
    slopes = torch.linalg.lstsq(F.pad(z, (1, 0), value=1.0), scores).solution[1:].T  # (K, latent_dim)
    return dict(zip(probe.names, F.normalize(slopes), strict=True))


def remove(direction: Tensor, *others: Tensor) -> Tensor:
    """The direction without its parts along others, (latent_dim,) each, at length 1 again."""
    basis, _ = torch.linalg.qr(torch.stack(others, 1))
    return F.normalize(direction - basis @ (basis.T @ direction), dim=0)


def save_directions(path: str | Path, directions: dict[str, Tensor]) -> Path:
    """Keep named directions (latent_dim,) in a safetensors file."""
    path = at_home(path)
    save_tensors(path, dict(directions), {"kind": "directions"})
    return path


def load_directions(path: str | Path, latent_dim: int) -> dict[str, Tensor]:
    """The named directions of a file, for a generator with `latent_dim` numbers a latent.

    Raises:
        CourseError: missing, damaged or foreign file, or directions of another length.
    """
    path = at_home(path)
    kind, found = header(path).get("kind"), read_tensors(path)
    for name, direction in found.items():
        if kind != "directions" or direction.shape != (latent_dim,) or not direction.isfinite().all():
            raise CourseError(f"{path}: '{name}' is no direction of {latent_dim} numbers.")
    return {name: direction.float().clone() for name, direction in found.items()}
