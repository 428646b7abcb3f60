"""Pure functions on latent vectors z (N, latent_dim)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def draw_z(n: int, latent_dim: int, seed: int = 0) -> Tensor:
    """n standard normal latent vectors (n, latent_dim); vector i depends only on the seed and i, not on n."""
    return torch.stack(
        [torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed * 1_000_003 + i)) for i in range(n)]
    )


def generate(generator: nn.Module, z: Tensor, labels: Tensor | None = None, batch: int = 256) -> Tensor:
    """Images (N, C, S, S) in [-1, 1] from z (N, latent_dim), on the generator's device.

    A conditional generator draws the classes `labels` (N,), or by default each class in turn: 0, 1, 2, …
    BatchNorm uses its running statistics, so no image depends on its batch-mates (soumith/dcgan.torch#19).
    """
    parameter = next(generator.parameters())
    training = generator.training
    generator.eval()
    with torch.no_grad():
        inputs = [z.to(parameter.device, parameter.dtype)]
        if classes := getattr(generator, "num_classes", 0):
            inputs.append((torch.arange(len(z)) % classes if labels is None else labels).to(parameter.device))
        images = torch.cat([generator(*parts) for parts in zip(*(t.split(batch) for t in inputs), strict=True)])
    generator.train(training)
    return images


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
