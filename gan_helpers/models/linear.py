"""linDCGAN for CIFAR-10: DCGAN with a linear layer at the small end of either net; no biases.

BatchNorm after G's linear layer too and no biases, as its README has it (D's first layer has no BatchNorm, as in its
code). Its code has no BatchNorm or ReLU after G's linear layer, biases in the linear layers and the last convolution,
and leaves the linear layers at PyTorch's initialisation, here N(0, .02). BatchNorm weights start at N(1, .02); its code
has N(0, .02), which all but switches every map off.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks
from .dcgan import init_dcgan


class Generator(nn.Module):
    """Shape: z (N, latent_dim) → (N, channels, 32, 32) in [-1, 1]; `width` feature maps (128) in all but the first."""

    def __init__(self, channels: int = 3, latent_dim: int = 100, width: int = 128) -> None:
        super().__init__()
        layers = [nn.Linear(latent_dim, width * 32, bias=False), nn.Unflatten(1, (width * 2, 4, 4))]  # (N, 256, 4, 4)
        layers += [nn.BatchNorm2d(width * 2), nn.ReLU(inplace=True)]
        for c_in in (width * 2, width, width):
            layers += [nn.ConvTranspose2d(c_in, width, 4, 2, 1, bias=False)]  # 128x8x8, 128x16x16, 128x32x32
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(width, channels, 3, 1, 1, bias=False), nn.Tanh()]  # (N, 3, 32, 32)
        self.layers = nn.Sequential(*layers)
        self.apply(init_dcgan)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Discriminator(nn.Module):
    """Shape: (N, channels, 32, 32) → logits (N,); `width` feature maps in the first layer (128), doubling."""

    def __init__(self, channels: int = 3, width: int = 128, slope: float = 0.1) -> None:
        super().__init__()
        widths, layers = (channels, width, width * 2, width * 4, width * 8), []
        for k, (c_in, c_out) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(c_in, c_out, 4, 2, 1, bias=False))  # 128x16x16, 256x8x8, 512x4x4, 1024x2x2
            layers += [nn.BatchNorm2d(c_out)] if k else []
            layers.append(nn.LeakyReLU(slope, inplace=True))
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 4, 1, bias=False))  # from (N, 4096)
        self.apply(init_dcgan)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (32,), ("", "pairs")
    slope: float = option(0.1, "of D's LeakyReLU", low=0, high=1)

    def generator(self, r):
        return Generator(r.channels, r.latent_dim, r.g_width)

    def discriminator(self, r):
        return Discriminator(r.channels, r.d_width, self.slope)
