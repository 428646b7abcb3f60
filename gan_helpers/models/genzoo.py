"""GenZoo's DCGANs for MNIST and CIFAR-10, as its README has them; from Keras, without any bias."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import SameConv2d, SameConvTranspose2d, init_glorot

KERAS = dict(eps=1e-3, momentum=0.01)  # of BatchNorm: Keras' defaults, whose momentum .99 is 1 - .01


class Generator(nn.Module):
    """Linear layer to a small map, then three 5x5 transposed convolutions; for 28x28 the first has stride 1.

    28x28: z → 256x7x7 → 128x7x7 → 64x14x14 → image; 32x32: z → 512x4x4 → 256x8x8 → 128x16x16 → image.

    Shape: z (N, latent_dim) → (N, channels, image_size, image_size) in [-1, 1].
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, latent_dim: int = 100, width: int = 128, slope: float = 0.3
    ) -> None:
        super().__init__()
        side, strides = (7, (1, 2, 2)) if image_size == 28 else (4, (2, 2, 2))
        widths, flat = (width * 4, width * 2, width, channels), width * 4 * side * side
        layers = [nn.Linear(latent_dim, flat, bias=False), nn.BatchNorm1d(flat, **KERAS), nn.LeakyReLU(slope)]
        layers.append(nn.Unflatten(1, (width * 4, side, side)))  # (N, 512, 4, 4)
        for (c_in, c_out), stride in zip(pairwise(widths), strides, strict=True):
            layers.append(SameConvTranspose2d(c_in, c_out, stride, bias=False))  # 256x8x8, 128x16x16, 3x32x32
            layers += [nn.BatchNorm2d(c_out, **KERAS), nn.LeakyReLU(slope)]
        self.layers = nn.Sequential(*layers[:-2], nn.Tanh())  # no BatchNorm on the image
        self.apply(init_glorot)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    """5x5 strided convolutions with LeakyReLU and dropout, two to 7x7 or three to 4x4, then one linear layer.

    Shape: (N, channels, image_size, image_size) → logits (N,).
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, width: int = 128, slope: float = 0.3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        widths = (channels, width, width * 2) if image_size == 28 else (channels, width, width * 2, width * 4)
        side, layers = image_size >> (len(widths) - 1), []
        for c_in, c_out in pairwise(widths):
            layers += [SameConv2d(c_in, c_out, bias=False), nn.LeakyReLU(slope), nn.Dropout(dropout)]  # 128x16x16 …
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side * side, 1, bias=False))
        self.apply(init_glorot)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (28, 32), ("", "pairs")
    slope: float = option(0.3, "of the LeakyReLU in both nets", low=0, high=1)
    d_dropout: float = option(0.5, "share of D's maps that a step leaves out", low=0, high=0.99)

    def generator(self, r):
        return Generator(r.image_size, r.channels, r.latent_dim, r.g_width, self.slope)

    def discriminator(self, r):
        return Discriminator(r.image_size, r.channels, r.d_width, self.slope, self.d_dropout)
