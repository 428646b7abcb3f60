"""Pure functions on latent vectors z (N, latent_dim)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from .errors import CourseError
from .models.blocks import OneHot, evaluating

STRIDE = 100  # the seed plane: one to the right is the next seed, one down is a hundred further


def draw_z(n: int, latent_dim: int, seed: int = 0) -> Tensor:
    """n standard normal latent vectors (n, latent_dim); vector i depends only on the seed and i, not on n."""
    return torch.stack(
        [torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in range(n)]
    )


def generate(
    generator: nn.Module, z: Tensor, labels: Tensor | None = None, batch: int = 256, each: Callable | None = None
) -> Tensor:
    """Images (N, C, S, S) in [-1, 1] from z (N, latent_dim), on the generator's device.

    `each` is applied to every batch of images: with `plots.to_uint8` 50,000 images need a quarter of the memory.
    A conditional generator draws the classes `labels` (N,), or by default each class in turn: 0, 1, 2, …
    BatchNorm uses its running statistics, so no image depends on its batch-mates (soumith/dcgan.torch#19).
    """
    parameter = next(generator.parameters())
    with evaluating(generator), torch.no_grad():
        inputs = [z.to(parameter.device, parameter.dtype)]
        if classes := getattr(generator, "num_classes", 0):
            inputs.append((torch.arange(len(z)) % classes if labels is None else labels).to(parameter.device))
        batches = (generator(*parts) for parts in zip(*(t.split(batch) for t in inputs), strict=True))
        return torch.cat([each(images) if each else images for images in batches])


def generate_class(generator: nn.Module, z: Tensor, label: int, other: int = 0, mix: float = 0.0) -> Tensor:
    """Images (N, C, S, S) of one class, or between two: every code of a label moves from `label`'s to `other`'s.

    Args:
        generator: conditional, in evaluation mode; takes z (N, latent_dim) and labels int64 (N,). Its codes of a label
            are what its `nn.Embedding` and `OneHot` parts return; nets of their own (`OnePerClass`) cannot be mixed.
        mix: 0 is `label`, 1 is `other`.
    """

    def blend(code: nn.Module, inputs: tuple, out: Tensor) -> Tensor:
        return lerp(out, code.forward(torch.full_like(inputs[0], other)), mix)

    codes = [m for m in generator.modules() if isinstance(m, (nn.Embedding, OneHot)) and mix]
    hooks = [code.register_forward_hook(blend) for code in codes]
    try:
        parameter = next(generator.parameters())
        labels = torch.full((len(z),), label, device=parameter.device)
        with torch.no_grad():
            return generator(z.to(parameter.device, parameter.dtype), labels)
    finally:
        for hook in hooks:
            hook.remove()


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The straight line from a to b, (…, latent_dim), at t in [0, 1] (a number, or a tensor (…, 1))."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The arc from a to b, (…, latent_dim), at t in [0, 1]; a straight line where they are (nearly) parallel.

    Shoemake 1985; White 2016, arXiv:1609.04468.
    """
    cosine = (a / a.norm(dim=-1, keepdim=True) * b / b.norm(dim=-1, keepdim=True)).sum(-1, keepdim=True)
    angle = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(angle)
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine.clamp_min(1e-12)
    return torch.where(sine < 1e-4, lerp(a, b, t), arc)


def truncate(z: Tensor, psi: float) -> Tensor:
    """z drawn towards the mean of all latents, which is 0: 1 leaves it, below 1 gives up variety, 0 is one image.

    The truncation trick as in Karras et al. 2019, arXiv:1812.04948, applied to z itself.
    """
    return psi * z


def plane(x: float, y: float, latent_dim: int, seed: int = 0) -> Tensor:
    """The latent vector (1, latent_dim) at (x, y) of a plane with a seed at every point of whole numbers.

    At (i, j) stands `draw_z(1, latent_dim, seed + i + 100 * j)`, seeds below 0 counting from 2**32 down. Between, the
    four nearest are mixed with weights whose squares sum to 1, so that every point of the plane is N(0, I) distributed.
    """
    left, top = int(x // 1), int(y // 1)
    mixed, squares = torch.zeros(1, latent_dim), 0.0
    for column, row in product((left, left + 1), (top, top + 1)):
        weight = (1 - abs(x - column)) * (1 - abs(y - row))
        if weight > 0:
            mixed += weight * draw_z(1, latent_dim, (seed + column + STRIDE * row) % 2**32)
            squares += weight**2
    return mixed / squares**0.5


def arithmetic(plus: Sequence[Tensor], minus: Sequence[Tensor] = ()) -> Tensor:
    """The means of groups (n, latent_dim), added or taken off, at a typical length, √latent_dim: (1, latent_dim).

    Radford et al. 2016, arXiv:1511.06434: smiling women - women + men, three images each. A mean of few is a better
    example of what they share than each alone, but shorter; hence the last step. Groups that cancel out give 0.
    """
    total = sum(group.mean(0) for group in plus) - sum(group.mean(0) for group in minus)
    return (total / total.norm().clamp_min(1e-12) * total.numel() ** 0.5 * (total.norm() > 1e-6))[None]


def walk(keys: Tensor, frames: int, path: Callable = slerp, loop: bool = True) -> Tensor:
    """From key (K, latent_dim) to key in equal steps: (frames, latent_dim).

    A loop comes back: one step after the last frame stands the first, so that an endless animation has no seam.
    Without it the walk starts on the first key and ends on the last.

    Raises:
        CourseError: fewer than two keys, or fewer frames than keys.
    """
    if not 2 <= len(keys) <= frames:
        raise CourseError(
            f"A walk needs at least two keys (seeds) and as many frames as keys; got {len(keys)} and {frames}."
        )
    legs = len(keys) if loop else len(keys) - 1
    at = torch.arange(frames) * (legs / (frames if loop else frames - 1))
    leg = at.long().clamp_max(legs - 1)
    return path(keys[leg], keys[(leg + 1) % len(keys)], (at - leg)[:, None])


def sweep(z: Tensor, direction: Tensor, reach: float = 3.0, count: int = 9) -> Tensor:
    """z (1, latent_dim) moved along a direction (latent_dim,) from -reach to reach: (count, latent_dim)."""
    return z + torch.linspace(-reach, reach, count)[:, None] * direction


def swing(z: Tensor, direction: Tensor, frames: int, reach: float = 3.0) -> Tensor:
    """z (N, latent_dim) moved along a direction (latent_dim,) and back, to both sides, as a loop without a seam.

    Returns:
        (frames, N, latent_dim), the first being z.
    """
    at = reach * torch.sin(torch.arange(frames) * (2 * torch.pi / frames))
    return z + at[:, None, None] * direction
