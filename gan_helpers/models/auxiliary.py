"""Auxiliary-classifier DCGAN for CIFAR-10: D also names the class. Odena et al. 2017, arXiv:1610.09585.

As published the class loss sees real images only and the generator knows no class, so it is not yet an AC-GAN; and
images are in [0, 1] before D at both ends. Here too, inside the nets: outside, images are in [-1, 1] as everywhere.

As published D's last map, of one pixel, has BatchNorm as well: real images and fakes, which pass D in batches of their
own, then have the same mean in every channel, and D hardly learns to tell them apart. Here that map has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import OneHot


def block(conv: nn.Module, order: str, slope: float) -> list[nn.Module]:
    """A convolution, then what `order` names, for example 'norm,act', 'act,norm' or 'act'."""
    parts = {"norm": nn.BatchNorm2d(conv.out_channels), "act": nn.LeakyReLU(slope)}
    return [conv, *(parts[name] for name in order.split(","))]


class Generator(nn.Module):
    """Six up-convolution blocks; the last has BatchNorm and no activation, then a sigmoid.

    The class follows z as a one-hot vector.

    Args:
        order: of what follows each convolution, see `block`.
        learned: learn the latent's mean μ and log-variance: the net sees μ + σ·ε with ε = z / 2 (its deviation is .5).
            Both fold into the first layer. As published, final samples used another prior, N(0, 1), than training.

    Shape: z (N, latent_dim), y (N,) int if `classes` → (N, channels, 32, 32) in [-1, 1].
    """

    def __init__(
        self, channels: int = 3, latent_dim: int = 128, width: int = 32, order: str = "norm,act", slope: float = 0.2,
        classes: int = 0, learned: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise((latent_dim + classes, width * 16, width * 8, width * 4, width * 2, width)):
            layers += block(nn.ConvTranspose2d(c_in, c_out, 4, 2, 1), order, slope)  # 512x2x2, 256x4x4 … 32x32x32
        layers += [nn.ConvTranspose2d(width, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.Sigmoid()]  # 3x32x32
        self.layers = nn.Sequential(*layers)
        self.kind = OneHot(classes) if classes else None
        self.latent = nn.Parameter(torch.zeros(2, latent_dim)) if learned else None  # mean, log-variance

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if self.latent is not None:
            mean, log_variance = self.latent
            z = mean + (log_variance / 2).exp() * (z / 2)
        if self.kind is not None:
            z = torch.cat([z, self.kind(y)], 1)  # (N, latent_dim + classes)
        return 2 * self.layers(z[:, :, None, None]) - 1


class Discriminator(nn.Module):
    """Five strided blocks down to 1x1, the last without BatchNorm, then two 3x3 heads: 'real', and the classes.

    `classes` is the number of them that it names; 0 leaves that head out.

    Shape: (N, channels, 32, 32) in [-1, 1] → logits (N,); with a class head (logits (N,), class logits (N, classes)).
    """

    def __init__(
        self, channels: int = 3, width: int = 64, order: str = "norm,act", slope: float = 0.2, classes: int = 0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise((channels, width, width * 2, width * 4, width * 8)):
            layers += block(nn.Conv2d(c_in, c_out, 4, 2, 1), order, slope)  # 64x16x16, 128x8x8, 256x4x4, 512x2x2
        layers += block(nn.Conv2d(width * 8, width * 4, 4, 2, 1), "act", slope)  # 256x1x1
        self.layers = nn.Sequential(*layers)
        self.real = nn.Conv2d(width * 4, 1, 3, 1, 1)  # (N, 1, 1, 1)
        self.kind = nn.Conv2d(width * 4, classes, 3, 1, 1) if classes else None  # (N, classes, 1, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        h = self.layers((x + 1) / 2)  # (N, 256, 1, 1)
        real = self.real(h).flatten()
        return real if self.kind is None else (real, self.kind(h).flatten(1))


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (32,), ("", "pairs", "real", "acgan")
    order: str = option(
        "norm,act", "what follows a convolution, in order", choices=("norm,act", "act,norm", "act", "norm")
    )
    slope: float = option(0.2, "of the LeakyReLU in both nets", low=0, high=1)
    learned_latent: bool = option(False, "learn the mean and the variance of the latent")

    def generator(self, r):
        return Generator(r.channels, r.latent_dim, r.g_width, self.order, self.slope, r.g_classes, self.learned_latent)

    def discriminator(self, r):
        return Discriminator(r.channels, r.d_width, self.order, self.slope, r.head_classes)
