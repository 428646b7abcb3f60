"""DCGAN for any power-of-two image size: Radford, Metz & Chintala 2016, arXiv:1511.06434."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from ..options import option
from . import blocks


def stages(image_size: int) -> int:
    """Hidden layers of either net: log2(image_size) - 2, one for each map from 4x4 up to half the image.

    >>> stages(16), stages(32), stages(64), stages(128)
    (2, 3, 4, 5)
    """
    return image_size.bit_length() - 3


def init_dcgan(module: nn.Module) -> None:
    """The paper's initialisation: weights N(0, .02), BatchNorm weights N(1, .02), biases 0. For `net.apply`."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if getattr(module, "bias", None) is not None:
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Latent vector to image: one 4x4 map that is doubled by transposed convolutions, of half as many maps each.

    Shape: z (N, latent_dim), standard normal → (N, channels, image_size, image_size) in [-1, 1].
    """

    def __init__(self, image_size: int = 64, channels: int = 3, latent_dim: int = 100, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**i for i in reversed(range(stages(image_size)))]  # 64 px: 512, 256, 128, 64
        layers = [*self.block(latent_dim, widths[0], stride=1, padding=0)]  # (N, 512, 4, 4)
        for c_in, c_out in pairwise(widths):
            layers += self.block(c_in, c_out, stride=2, padding=1)  # (N, 256, 8, 8) (N, 128, 16, 16) (N, 64, 32, 32)
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]  # (N, 3, 64, 64)
        self.layers = nn.Sequential(*layers)
        self.latent_dim = latent_dim
        self.apply(init_dcgan)

    @staticmethod
    def block(c_in: int, c_out: int, stride: int, padding: int) -> list[nn.Module]:
        conv = nn.ConvTranspose2d(c_in, c_out, 4, stride, padding, bias=False)  # BatchNorm's shift is the bias
        return [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :, None, None])


class Discriminator(nn.Module):
    """Image to one logit: strided convolutions that halve the map down to 4x4. The sigmoid lives in the loss.

    The paper has BatchNorm in all layers but the first and the last.

    Shape: (N, channels, image_size, image_size) in [-1, 1] → logits (N,), positive for 'real'.
    """

    def __init__(
        self, image_size: int = 64, channels: int = 3, width: int = 64, norm: str = "batch", slope: float = 0.2
    ) -> None:
        super().__init__()
        bias = norm != "batch"  # BatchNorm's shift is a bias
        widths = [channels, *(width * 2**i for i in range(stages(image_size)))]  # 64 px: 3, 64, 128, 256, 512
        layers: list[nn.Module] = []
        for k, (c_in, c_out) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(c_in, c_out, 4, 2, 1, bias=bias))  # 64 px: 32x32, 16x16, 8x8, 4x4
            if norm == "batch" and k > 0:
                layers.append(nn.BatchNorm2d(c_out))
            layers.append(nn.LeakyReLU(slope, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=bias))  # (N, 1, 1, 1)
        self.layers = nn.Sequential(*layers)
        self.apply(init_dcgan)
        if norm == "spectral":
            blocks.normalise_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten()


@dataclass(frozen=True)
class Family(blocks.Family):
    SIZES, LABELS = (16, 32, 64, 128), ("", "pairs")
    d_norm: str = option("batch", "normalisation in D", choices=("batch", "spectral", "none"))
    slope: float = option(0.2, "of D's LeakyReLU", low=0, high=1)

    def generator(self, r):
        return Generator(r.image_size, r.channels, r.latent_dim, r.g_width)

    def discriminator(self, r):
        return Discriminator(r.image_size, r.channels, r.d_width, self.d_norm, self.slope)
