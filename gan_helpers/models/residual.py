"""The residual pair of SNGAN, after Miyato et al. 2018, arXiv:1802.05957, that larger GANs build on.

Blocks of two 3x3 convolutions beside a shortcut, normalisation and ReLU before each convolution (He et al. 2016,
arXiv:1603.05027; Gulrajani et al. 2017, arXiv:1704.00028). Classes by conditional BatchNorm in G and by projection in D
(Miyato & Koyama 2018, arXiv:1802.05637). As published G has 256 maps at every size; here fewer at the large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks
from .blocks import ConditionalBatchNorm2d, init_glorot, normalise_spectrally
from .dcgan import stages


def up_widths(image_size: int, width: int) -> list[int]:
    """G's feature maps at 4x4, 8x8, … full size: `width` at the end, twice as many a size below, down to 16x16.

    >>> up_widths(32, 128), up_widths(64, 64)
    ([256, 256, 256, 128], [256, 256, 256, 128, 64])
    """
    return [width * image_size // max(16, 4 * 2**k) for k in range(stages(image_size) + 1)]


def down_widths(image_size: int, width: int) -> list[int]:
    """D's feature maps after each block, down to 8x8: as many everywhere at 32x32, otherwise doubling, the last twice.

    >>> down_widths(32, 128), down_widths(64, 64)
    ([128, 128, 128, 128], [64, 128, 256, 256])
    """
    doubling = [width * 2**k for k in range(stages(image_size) - 1)]
    return [width] * 4 if image_size == 32 else [*doubling, doubling[-1]]


def glorot(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """The layer, initialised as in the papers' code: Glorot's U(-a, a) times `gain`, biases 0.

    With gain √2 the two convolutions of a block keep the variance that their ReLUs would halve (He et al. 2015).
    """
    init_glorot(layer)
    layer.weight.data *= gain
    return layer


def conv(c_in: int, c_out: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return glorot(nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2), gain)


class Up(nn.Module):
    """G's block: BatchNorm, ReLU, nearest upsampling, convolution, BatchNorm, ReLU, convolution, and a shortcut.

    Args:
        classes: of the BatchNorm, 0 for none.

    Shape: x (N, c_in, S, S), y (N,) int if `classes` → (N, c_out, 2S, 2S).
    """

    def __init__(self, c_in: int, c_out: int, classes: int = 0) -> None:
        super().__init__()
        self.norm1, self.relu1 = ConditionalBatchNorm2d(c_in, classes), nn.ReLU()
        self.up, self.conv1 = nn.Upsample(scale_factor=2), conv(c_in, c_out, gain=2**0.5)
        self.norm2, self.relu2 = ConditionalBatchNorm2d(c_out, classes), nn.ReLU()
        self.conv2, self.shortcut = conv(c_out, c_out, gain=2**0.5), conv(c_in, c_out, 1)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.conv1(self.up(self.relu1(self.norm1(x, y))))  # (N, c_out, 2S, 2S)
        h = self.conv2(self.relu2(self.norm2(h, y)))
        return h + self.up(self.shortcut(x))  # published the other way round: the same numbers, four times the work


class Down(nn.Module):
    """D's block: ReLU, convolution, ReLU, convolution, the mean of 2x2 pixels, and a shortcut.

    Args:
        halve: whether to take that mean.
        first: leaves the first ReLU out, which would cut off what is dark in an image.

    Shape: (N, c_in, S, S) → (N, c_out, S/2, S/2), or (N, c_out, S, S) without `halve`.
    """

    def __init__(self, c_in: int, c_out: int, halve: bool = True, first: bool = False) -> None:
        super().__init__()
        self.relu1, self.conv1 = nn.Identity() if first else nn.ReLU(), conv(c_in, c_out, gain=2**0.5)
        self.relu2, self.conv2 = nn.ReLU(), conv(c_out, c_out, gain=2**0.5)
        self.pool = nn.AvgPool2d(2) if halve else nn.Identity()
        self.shortcut = conv(c_in, c_out, 1) if halve or c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.relu2(self.conv1(self.relu1(x))))  # (N, c_out, S, S)
        return self.pool(h) + self.shortcut(self.pool(x))  # pooled first, as cheap as in G


class Generator(nn.Module):
    """A 4x4 map, a residual block for each doubling, and a 3x3 convolution that makes the image.

    Shape: z (N, latent_dim), y (N,) int if `classes` → (N, channels, image_size, image_size) in [-1, 1].
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, latent_dim: int = 128, width: int = 128, classes: int = 0
    ) -> None:
        super().__init__()
        widths = up_widths(image_size, width)
        self.first = glorot(nn.Linear(latent_dim, widths[0] * 16))
        self.blocks = nn.ModuleList(Up(a, b, classes) for a, b in pairwise(widths))  # 256x8x8, 256x16x16, 128x32x32
        self.image = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), conv(width, channels), nn.Tanh())  # (N, 3, 32, 32)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        x = self.first(z).unflatten(1, (-1, 4, 4))  # (N, 256, 4, 4)
        for block in self.blocks:
            x = block(x, y)
        return self.image(x)


class Discriminator(nn.Module):
    """Residual blocks down to 8x8, then one or two more there; a logit of the map's sum over all positions.

    With classes ⟨embedding of y, that sum⟩ is added to it.

    `kinds` is the number of classes that a class head names, the other way to use labels; 0 leaves it out.

    Shape: x (N, channels, image_size, image_size), y (N,) int if `classes` → logits (N,); with a class head
    (logits (N,), class logits (N, kinds)).
    """

    def __init__(
        self, image_size: int = 32, channels: int = 3, width: int = 128, norm: str = "spectral", classes: int = 0,
        kinds: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [channels, *down_widths(image_size, width)]  # 32 px: 128x16x16, then 128x8x8 three times
        blocks = [Down(a, b, image_size >> k > 8, first=k == 0) for k, (a, b) in enumerate(pairwise(widths))]
        self.blocks, self.relu, self.head = nn.Sequential(*blocks), nn.ReLU(), glorot(nn.Linear(widths[-1], 1))
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        self.kind = glorot(nn.Linear(widths[-1], kinds)) if kinds else None
        if classes:
            nn.init.xavier_uniform_(self.embedding.weight)
        if norm == "spectral":
            normalise_spectrally(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        h = self.relu(self.blocks(x)).sum((2, 3))  # (N, 128)
        logits = self.head(h).flatten()
        if self.kind is not None:
            return logits, self.kind(h)  # (N,), (N, kinds)
        return logits if self.embedding is None else logits + (self.embedding(y) * h).sum(1)


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (32, 64, 128), ("", "real", "acgan", "conditional")
    d_norm: str = option("spectral", "normalisation in D", choices=("spectral", "none"))

    def generator(self, r):
        return Generator(r.image_size, r.channels, r.latent_dim, r.g_width, r.g_classes)

    def discriminator(self, r):
        return Discriminator(r.image_size, r.channels, r.d_width, self.d_norm, r.d_classes, r.head_classes)
