"""A DCGAN whose project watches its FID as it trains: 5x5 kernels, from Keras, for CIFAR-10.

It begins as a DCGAN does; its code does so in G and D's first layer only, by Glorot's rule in the rest of D, and with
BatchNorm weights of 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import SameConv2d, SameConvTranspose2d
from .dcgan import init_dcgan

KERAS = dict(eps=1e-3, momentum=0.1)  # of BatchNorm: Keras' ε, and its momentum .9 is 1 - .1


class Generator(nn.Module):
    """Shape: z (N, latent_dim) → (N, channels, 32, 32) in [-1, 1]; `width` feature maps before the last layer (64)."""

    def __init__(self, channels: int = 3, latent_dim: int = 100, width: int = 64, slope: float = 0.2) -> None:
        super().__init__()
        widths = (width * 8, width * 4, width * 2, width, channels)
        layers = [nn.Linear(latent_dim, width * 8 * 4), nn.Unflatten(1, (width * 8, 2, 2))]  # (N, 512, 2, 2)
        for c_in, c_out in pairwise(widths):
            layers += [nn.BatchNorm2d(c_in, **KERAS), nn.LeakyReLU(slope)]
            layers.append(SameConvTranspose2d(c_in, c_out))  # 256x4x4, 128x8x8, 64x16x16, 3x32x32
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(init_dcgan)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    """Shape: (N, channels, 32, 32) → logits (N,); `width` feature maps in the first layer (64), then BatchNorm too."""

    def __init__(self, channels: int = 3, width: int = 64, slope: float = 0.2, dropout: float = 0.4) -> None:
        super().__init__()
        widths, layers = (channels, width, width * 2, width * 4, width * 8), []
        for k, (c_in, c_out) in enumerate(pairwise(widths)):
            layers.append(SameConv2d(c_in, c_out))  # 64x16x16, 128x8x8, 256x4x4, 512x2x2
            layers += [nn.BatchNorm2d(c_out, **KERAS)] if k else []
            layers.append(nn.LeakyReLU(slope))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1] * 4, 1))
        self.apply(init_dcgan)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (32,), ("", "pairs")
    slope: float = option(0.2, "of the LeakyReLU in both nets", low=0, high=1)
    d_dropout: float = option(0.4, "share of D's last map that a step leaves out", low=0, high=0.99)

    def generator(self, r):
        return Generator(r.channels, r.latent_dim, r.g_width, self.slope)

    def discriminator(self, r):
        return Discriminator(r.channels, r.d_width, self.slope, self.d_dropout)
