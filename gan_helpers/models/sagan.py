"""The class-conditional self-attention GAN for CIFAR-10, after Zhang et al. 2019, arXiv:1805.08318.

In its code the softmax runs over the queries and D's fake term is always 0; here attention sums to 1 over the keys,
and D sees its fakes. Its code also has a ReLU after G's first layer and a sigmoid on D, and normalises the convolutions
only; here D's head, too, but as there not what becomes of the class, which would be far fainter than the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import SameConv2d, SelfAttention, normalise_spectrally
from .dcgan import init_dcgan
from .fid import KERAS

EMBEDDING = 50  # numbers that stand for a class


def init(module: nn.Module) -> None:
    """DCGAN's, but N(0, 1) for the embeddings: at .02 the class was some 200 times fainter than its neighbours in G."""
    init_dcgan(module)
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight)


class Generator(nn.Module):
    """The class is one more 2x2 map; then nearest upsampling and 5x5 convolutions, with attention on the 16x16 map.

    Shape: z (N, latent_dim), y (N,) int → (N, channels, 32, 32) in [-1, 1].
    """

    def __init__(
        self, channels: int = 3, latent_dim: int = 100, width: int = 64, slope: float = 0.2, classes: int = 10
    ) -> None:
        super().__init__()
        self.first = nn.Linear(latent_dim, width * 8 * 4)
        self.norm = nn.Sequential(nn.BatchNorm2d(width * 8, **KERAS), nn.LeakyReLU(slope))
        self.kind = nn.Sequential(nn.Embedding(classes, EMBEDDING), nn.Linear(EMBEDDING, 4))
        layers: list[nn.Module] = []
        for c_in, c_out in ((width * 8 + 1, width * 4), (width * 4, width * 2), (width * 2, width)):
            layers += [nn.Upsample(scale_factor=2), SameConv2d(c_in, c_out, stride=1)]  # 256x4x4, 128x8x8, 64x16x16
            layers += [nn.BatchNorm2d(c_out, **KERAS), nn.LeakyReLU(slope)]
        layers += [SelfAttention(width, width)]  # (N, 64, 16, 16)
        layers += [nn.Upsample(scale_factor=2), SameConv2d(width, channels, stride=1), nn.Tanh()]  # (N, 3, 32, 32)
        self.layers = nn.Sequential(*layers)
        self.apply(init)
        normalise_spectrally(self.layers)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        x = self.norm(self.first(z).unflatten(1, (-1, 2, 2)))  # (N, 512, 2, 2)
        kind = self.kind(y).unflatten(1, (1, 2, 2))  # (N, 1, 2, 2)
        return self.layers(torch.cat([x, kind], 1))  # from (N, 513, 2, 2)


class Discriminator(nn.Module):
    """Strided 5x5 convolutions with attention on the 16x16 map; the class joins before the two linear layers.

    BatchNorm as published, though it undoes the bound of the spectral normalisation that all layers have.

    Shape: x (N, channels, 32, 32), y (N,) int → logits (N,); a critic's, without a sigmoid.
    """

    def __init__(
        self, channels: int = 3, width: int = 64, norm: str = "batch", slope: float = 0.2, classes: int = 10
    ) -> None:
        super().__init__()
        layers = [SameConv2d(channels, width, bias=False), nn.LeakyReLU(slope), SelfAttention(width, width)]  # 64x16x16
        for c_in in (width, width * 2, width * 4):
            layers.append(SameConv2d(c_in, c_in * 2, bias=False))  # 128x8x8, 256x4x4, 512x2x2
            layers += [nn.BatchNorm2d(c_in * 2, **KERAS)] if norm == "batch" else []
            layers.append(nn.LeakyReLU(slope))
        self.layers = nn.Sequential(*layers, nn.Flatten())  # (N, 2048)
        self.kind = nn.Sequential(nn.Embedding(classes, EMBEDDING), nn.Linear(EMBEDDING, 32 * 32))  # (N, 1024)
        self.head = nn.Sequential(nn.Linear(width * 32 + 32 * 32, width * 8), nn.ReLU(), nn.Linear(width * 8, 1))
        self.apply(init)
        normalise_spectrally(self.layers)
        normalise_spectrally(self.head)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head(torch.cat([self.layers(x), self.kind(y)], 1)).flatten()


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (32,), ("conditional",)
    d_norm: str = option("batch", "BatchNorm in D beside its spectral normalisation", choices=("batch", "none"))
    slope: float = option(0.2, "of the LeakyReLU in both nets", low=0, high=1)

    def generator(self, r):
        return Generator(r.channels, r.latent_dim, r.g_width, self.slope, r.g_classes)

    def discriminator(self, r):
        return Discriminator(r.channels, r.d_width, self.d_norm, self.slope, r.d_classes)
