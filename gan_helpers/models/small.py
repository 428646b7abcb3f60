"""Our own small net: DCGAN with one more stage at full size, and the cheap parts of its successors.

Spectral normalisation in D (Miyato et al. 2018, arXiv:1802.05957), classes by conditional BatchNorm in G and by
projection in D (Miyato & Koyama 2018, arXiv:1802.05637), self-attention on the 16x16 map if wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import ConditionalBatchNorm2d, SelfAttention, normalise_spectrally
from .dcgan import init_dcgan, stages


def sizes(image_size: int, width: int) -> list[int]:
    """Feature maps from 4x4 to the full size: half as many for each doubling.

    >>> sizes(32, 64)
    [256, 128, 64, 32]
    """
    return [max(1, width * 2**k // 2) for k in reversed(range(stages(image_size) + 1))]


class Generator(nn.Module):
    """4x4 map, transposed convolutions to the full size, and a 3x3 convolution that makes the image.

    `width` is that of the map of half the size.

    Shape: z (N, latent_dim), y (N,) int if `classes` → (N, channels, image_size, image_size) in [-1, 1].
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, latent_dim: int = 128, width: int = 64, classes: int = 0,
        attention: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = sizes(image_size, width)
        convs = [nn.ConvTranspose2d(latent_dim, widths[0], 4, 1, 0, bias=False)]  # (N, 256, 4, 4)
        convs += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths)]  # 128x8x8 … 32x32x32
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(c, classes) for c in widths)
        self.relus = nn.ModuleList(nn.ReLU() for _ in widths)  # layers, so that the explorer can look behind them
        self.attention = SelfAttention(widths[2]) if attention else None
        self.image = nn.Conv2d(widths[-1], channels, 3, 1, 1)  # (N, 3, 32, 32)
        for part in (self.convs, self.image):
            part.apply(init_dcgan)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = z[:, :, None, None]
        for k, (conv, norm, relu) in enumerate(zip(self.convs, self.norms, self.relus, strict=True)):
            x = relu(norm(conv(x), y))
            if k == 2 and self.attention is not None:
                x = self.attention(x)  # (N, 64, 16, 16)
        return self.image(x).tanh()


class Discriminator(nn.Module):
    """The mirror image, down to 4x4: a logit from the whole map, with classes plus ⟨embedding of y, sum of the map⟩.

    `kinds` is the number of classes that a class head names, the other way to use labels; 0 leaves it out.

    Shape: x (N, channels, image_size, image_size), y (N,) int if `classes` → logits (N,); with a class head
    (logits (N,), class logits (N, kinds)).
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, width: int = 64, norm: str = "spectral", slope: float = 0.2,
        classes: int = 0, attention: bool = False, kinds: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = sizes(image_size, width)[::-1]
        layers = [nn.Conv2d(channels, widths[0], 3, 1, 1), nn.LeakyReLU(slope)]  # (N, 32, 32, 32)
        for k, (c_in, c_out) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(c_in, c_out, 4, 2, 1))  # 64x16x16, 128x8x8, 256x4x4
            layers += [nn.BatchNorm2d(c_out)] if norm == "batch" else []
            layers.append(nn.LeakyReLU(slope))
            if attention and image_size >> (k + 1) == 16:
                layers.append(SelfAttention(c_out))
        self.layers, self.head = nn.Sequential(*layers), nn.Conv2d(widths[-1], 1, 4)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        self.kind = nn.Conv2d(widths[-1], kinds, 4) if kinds else None  # (N, kinds, 1, 1)
        self.apply(init_dcgan)
        if norm == "spectral":
            normalise_spectrally(self)
        elif classes:
            nn.init.normal_(self.embedding.weight, 0.0, 0.02)  # N(0, 1), not normalised, would drown the head

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        h = self.layers(x)  # (N, 256, 4, 4)
        logits = self.head(h).flatten()
        if self.kind is not None:
            return logits, self.kind(h).flatten(1)
        return logits if self.embedding is None else logits + (self.embedding(y) * h.sum((2, 3))).sum(1)


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (16, 32, 64, 128), ("", "pairs", "real", "acgan", "conditional")
    d_norm: str = option("batch", "normalisation in D", choices=("batch", "spectral", "none"))
    slope: float = option(0.2, "of D's LeakyReLU", low=0, high=1)
    attention: bool = option(False, "self-attention on the 16x16 maps of both nets")

    def generator(self, r):
        return Generator(r.image_size, r.channels, r.latent_dim, r.g_width, r.g_classes, self.attention)

    def discriminator(self, r):
        return Discriminator(
            r.image_size, r.channels, r.d_width, self.d_norm, self.slope, r.d_classes, self.attention, r.head_classes
        )
