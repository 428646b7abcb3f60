"""Parts that several families share: what a family is, convolutions, self-attention, ways to tell a net the class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..options import Options

if TYPE_CHECKING:
    from ..recipes import Recipe


@dataclass(frozen=True)
class Family(Options):
    """The nets of one file here: what images and labels they take, their own options, and how a recipe builds them.

    Attributes:
        SIZES: of images, in pixels.   LABELS: uses of classes, see `Recipe.labels`.
    """

    PREFIX = "net."
    SIZES: ClassVar[tuple[int, ...]] = ()
    LABELS: ClassVar[tuple[str, ...]] = ()

    def generator(self, r: Recipe) -> nn.Module:
        """z (N, latent_dim), and y (N,) int if r.g_classes → images (N, channels, S, S) in [-1, 1]."""
        raise NotImplementedError

    def discriminator(self, r: Recipe) -> nn.Module:
        """Images, and y (N,) int if r.d_classes → logits (N,), and class logits (N, K) if r.head_classes."""
        raise NotImplementedError


LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def init_glorot(module: nn.Module) -> None:
    """Keras' default, for `net.apply`: weights U(-a, a), a² = 6 / (fan_in + fan_out), biases 0. Glorot & Bengio."""
    if isinstance(module, LAYERS):
        nn.init.xavier_uniform_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)


def normalise_spectrally(net: nn.Module) -> None:
    """Divide every weight of `net` by its largest singular value from now on. Miyato et al. 2018, arXiv:1802.05957."""
    for module in list(net.modules()):
        if isinstance(module, LAYERS):
            spectral_norm(module)


class SameConv2d(nn.Conv2d):
    """5x5 convolution with Keras' `same` padding, (N, C, S, S) → (N, C', S/stride, S/stride) for even S.

    With stride 2 it pads 1 before and 2 after: PyTorch's padding=2 would be one pixel off.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 2, bias: bool = True) -> None:
        super().__init__(c_in, c_out, 5, stride, 2 if stride == 1 else 0, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.stride == (1, 1) else F.pad(x, (1, 2, 1, 2)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """5x5 transposed convolution with Keras' `same` padding, (N, C, S, S) → (N, C', S·stride, S·stride).

    With stride 2 it crops 1 before and 2 after, of 2S + 3.
    """

    def __init__(self, c_in: int, c_out: int, stride: int = 2, bias: bool = True) -> None:
        super().__init__(c_in, c_out, 5, stride, 2 if stride == 1 else 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)  # stride 2: (N, C', 2S + 1, 2S + 1)
        return x if self.stride == (1, 1) else x[:, :, :-1, :-1]


class SelfAttention(nn.Module):
    """Every position looks at every other: x + γ·(attended values). Zhang et al. 2019, arXiv:1805.08318.

    γ starts at 0, so a new layer is the identity.

    Args:
        channels: of the map.
        inner: of queries, keys and values; the paper has an eighth, the default.

    Shape: (N, C, H, W) → the same.
    """

    def __init__(self, channels: int, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or max(1, channels // 8)
        self.query, self.key, self.value = (nn.Conv2d(channels, inner, 1, bias=False) for _ in range(3))
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def attention(self, x: Tensor) -> Tensor:
        """The map (N, HW, HW): row i says how much position i takes from each position; it sums to 1."""
        q, k = self.query(x).flatten(2), self.key(x).flatten(2)  # (N, inner, HW)
        return (q.mT @ k).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        v = self.value(x).flatten(2)  # (N, inner, HW)
        attended = (v @ self.attention(x).mT).unflatten(2, x.shape[2:])  # (N, inner, H, W)
        return x + self.gamma * self.out(attended)


class ConditionalBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose scale and shift are the class's own; a plain one with `classes=0`.

    Dumoulin et al. 2017, arXiv:1610.07629. Shape: x (N, C, H, W), y (N,) int → (N, C, H, W).
    """

    def __init__(self, channels: int, classes: int = 0) -> None:
        super().__init__(channels, affine=not classes)
        if classes:
            self.scale, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
            nn.init.ones_(self.scale.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = super().forward(x)
        if self.affine:
            return x
        scale, shift = (code(y)[:, :, None, None].to(x.dtype) for code in (self.scale, self.shift))  # (N, C, 1, 1)
        return torch.addcmul(shift, x, scale)


class OneHot(nn.Module):
    """The plainest code of a label: y (N,) int → (N, classes) float, 1 at the class and 0 elsewhere."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, y: Tensor) -> Tensor:
        return F.one_hot(y, self.classes).to(torch.get_default_dtype())


class OnePerClass(nn.Module):
    """A net of its own for each class, shipped as one: generators, or discriminators.

    Shape: x (N, …) and y, either (N,) int, or one int for the whole batch, as in training → what the nets return.
    """

    def __init__(self, nets: Iterable[nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x: Tensor, y: Tensor | int) -> Tensor:
        if isinstance(y, int):
            return self.nets[y](x)
        out = None
        for k in y.unique().tolist():
            part = self.nets[k](x[y == k])
            out = part.new_empty(len(x), *part.shape[1:]) if out is None else out
            out[y == k] = part
        return out
