"""Latent vectors, from which generators draw: drawn, combined, and walked through. z is (N, latent_dim)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor, nn

from .errors import CourseError
from .models.blocks import OneHot
from .temporary import evaluating

STRIDE = 100  # on the plane of seeds one to the right is the next seed, one down is a hundred further


def draw_z(n: int, latent_dim: int, seed: int = 0) -> Tensor:
    """n latents z ~ N(0, I): (n, latent_dim). The i-th depends on the seed and i, not on n."""
    sources = (torch.Generator().manual_seed(seed * 1_000_003 + i) for i in range(n))
    return torch.stack([torch.randn(latent_dim, generator=source) for source in sources])


def generate(
    generator: nn.Module, z: Tensor, labels: Tensor | None = None, batch: int = 256, each: Callable | None = None
) -> Tensor:
    """Images G(z): (N, C, S, S) in [-1, 1], on the generator's device, drawn `batch` at a time.

    BatchNorm uses its running statistics, so no image depends on its batch-mates (soumith/dcgan.torch#19).

    Args:
        labels: classes (N,), for conditional generators; by default each class in turn: 0, 1, 2, …
        each: applied to every batch of images: with `plots.to_uint8` 50,000 images need a quarter of the memory.
    """
    parameter = next(generator.parameters())
    inputs = [z.to(parameter.device, parameter.dtype)]
    if classes := getattr(generator, "num_classes", 0):
        inputs.append((torch.arange(len(z)) % classes if labels is None else labels).to(parameter.device))
    batches = zip(*(tensor.split(batch) for tensor in inputs), strict=True)
    with evaluating(generator), torch.no_grad():
        images = (generator(*parts) for parts in batches)
        return torch.cat([each(part) if each else part for part in images])


def generate_class(generator: nn.Module, z: Tensor, label: int, other: int = 0, mix: float = 0.0) -> Tensor:
    """Images (N, C, S, S) of one class, or between two: every code c of a label becomes c + mix · (c' - c).

    c and c' are what the net's `nn.Embedding` and `OneHot` parts make of `label` and of `other`. Nets of their own for
    each class (`OnePerClass`) have none, and cannot be mixed.

    Args:
        generator: conditional; takes z (N, latent_dim) and labels int64 (N,).
        mix: 0 is `label`, 1 is `other`.
    """

    def blend(code: nn.Module, labels: tuple[Tensor], out: Tensor) -> Tensor:
        return lerp(out, code.forward(torch.full_like(labels[0], other)), mix)

    codes = [part for part in generator.modules() if isinstance(part, (nn.Embedding, OneHot)) and mix]
    hooks = [code.register_forward_hook(blend) for code in codes]
    try:
        return generate(generator, z, torch.full((len(z),), label))
    finally:
        for hook in hooks:
            hook.remove()


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The straight line a + (b - a) t, with a, b (…, latent_dim) and t in [0, 1], a number or (…, 1)."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The arc (sin((1 - t) ω) a + sin(t ω) b) / sin ω, with the angle ω between a and b; arguments as for `lerp`.

    Half-way a line is shorter than its ends by about √2, as no z is that was drawn; the arc is not. Shoemake 1985;
    White 2016, arXiv:1609.04468. Where a and b are (nearly) parallel it is the line.
    """
    lengths = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    angle = torch.acos(((a * b).sum(-1, keepdim=True) / lengths.clamp_min(1e-12)).clamp(-1, 1))
    sine = torch.sin(angle)
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine.clamp_min(1e-12)
    return torch.where(sine < 1e-4, lerp(a, b, t), arc)


def plane(x: float, y: float, latent_dim: int, seed: int = 0) -> Tensor:
    """The latent (1, latent_dim) at (x, y) of a plane that has a seed wherever x and y are whole numbers.

    At (i, j) stands `draw_z(1, latent_dim, seed + i + 100 j)`, seeds below 0 counting from 2**32 down. Between, the
    four nearest are mixed, Σ w z / √Σ w², so that the plane is N(0, I) distributed everywhere.
    """
    left, top = int(x // 1), int(y // 1)
    mixed, squares = torch.zeros(1, latent_dim), 0.0
    for column, row in product((left, left + 1), (top, top + 1)):
        weight = (1 - abs(x - column)) * (1 - abs(y - row))
        if weight > 0:
            mixed += weight * draw_z(1, latent_dim, (seed + column + STRIDE * row) % 2**32)
            squares += weight**2
    return mixed / squares**0.5


def truncate(z: Tensor, psi: float) -> Tensor:
    """ψ z, nearer to the mean of all latents, 0, for ψ < 1: safer and more alike; further away for ψ > 1: stranger.

    The truncation trick of Karras et al. 2019, arXiv:1812.04948, on z itself. ψ = 1 changes nothing, 0 is one image.
    """
    return psi * z


def arithmetic(plus: Sequence[Tensor], minus: Sequence[Tensor] = ()) -> Tensor:
    """The means of groups (n, latent_dim), added or taken off, at a typical length, √latent_dim: (1, latent_dim).

    Radford et al. 2016, arXiv:1511.06434: smiling women - women + men, three images each. A mean of few is a better
    example of what they share than each alone, but shorter; hence the last step. Groups that cancel out give 0.
    """
    total = sum(group.mean(0) for group in plus) - sum(group.mean(0) for group in minus)
    length = total.norm()
    return (total * (total.numel() ** 0.5 / length) if length > 1e-6 else torch.zeros_like(total))[None]


def walk(keys: Tensor, frames: int, path: Callable = slerp, loop: bool = True) -> Tensor:
    """From key (K, latent_dim) to key in equal steps: (frames, latent_dim).

    A loop comes back: one step after the last frame stands the first, so that an endless animation has no seam.
    Without it the walk starts on the first key and ends on the last.

    Raises:
        CourseError: fewer than two keys, or fewer frames than keys.
    """
    if not 2 <= len(keys) <= frames:
        raise CourseError(f"A walk needs two keys (seeds) or more, and as many frames; got {len(keys)} and {frames}.")
    legs, steps = (len(keys), frames) if loop else (len(keys) - 1, frames - 1)
    place = torch.arange(frames) * (legs / steps)  # 2.5: half-way from key 2 to key 3
    leg = place.long().clamp_max(legs - 1)
    return path(keys[leg], keys[(leg + 1) % len(keys)], (place - leg)[:, None])


def sweep(z: Tensor, direction: Tensor, reach: float = 3.0, count: int = 9) -> Tensor:
    """z (1, latent_dim) moved along a direction (latent_dim,) from -reach to reach: (count, latent_dim)."""
    return z + torch.linspace(-reach, reach, count)[:, None] * direction


def swing(z: Tensor, direction: Tensor, frames: int, reach: float = 3.0) -> Tensor:
    """z (N, latent_dim) moved along a direction (latent_dim,) to both sides and back: (frames, N, latent_dim).

    A loop without a seam: frame i is z + reach · sin(2π i / frames) · direction, so the first is z.
    """
    shift = reach * torch.sin(2 * torch.pi * torch.arange(frames) / frames)
    return z + shift[:, None, None] * direction
