"""bfloat16 on a processor that computes in it: float32's range in half of the bits, 8 of them for the digits.

Convolutions and matrix products then take about half of float32's time (Kalamkar 2019, arXiv 1905.12322). Weights,
averages, losses and the optimiser stay in float32, as on a GPU. Other processors only imitate it, slower: so it
is used where a short test of a run's own nets finds it faster, and right. `benchmarks/bfloat16.py` measures it.
"""

from __future__ import annotations

import copy
import time
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import models
from .recipes import Recipe

IMAGE_ERROR = 2**-6  # of 2**-8 in each layer, a generator makes .006 to .010 (measured on every recipe)
GRADIENT_ERROR = 1 / 3  # their sums cancel, so that gradients carry up to .19; a wrong product would make 1 or more


def supported() -> bool:
    """Whether the processor multiplies bfloat16 itself (x86 with AVX512-BF16 or AMX) and PyTorch knows it."""
    checks = "_is_avx512_bf16_supported", "_is_amx_tile_supported"  # younger than the oldest PyTorch that we take
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast() -> torch.autocast:
    """A context in which the CPU's convolutions and matrix products are made in bfloat16."""
    return torch.autocast("cpu", torch.bfloat16)


def passes(nets: tuple[nn.Module, nn.Module], recipe: Recipe, half: bool) -> tuple[float, Tensor, list[Tensor]]:
    """D(G(z)) forward and backward, of at most 32 images: the seconds, the images, G's and D's gradient.

    Copies of the nets do it, without dropout: they leave statistics and gradients as they were.
    """
    generator, discriminator = nets = [copy.deepcopy(net) for net in nets]
    for module in (m for net in nets for m in net.modules() if isinstance(m, nn.Dropout)):
        module.eval()
    n, draw = min(recipe.batch_size, 32), torch.Generator().manual_seed(0)
    z = torch.randn(n, recipe.latent_dim, generator=draw)
    y = 0 if recipe.labels == "pairs" else torch.arange(n) % recipe.num_classes
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        images = generator(z, y) if recipe.conditional else generator(z)
        verdict = discriminator(images, y) if recipe.labels in ("pairs", "conditional") else discriminator(images)
    logits = verdict[0] if recipe.head_classes else verdict
    F.softplus(-logits.float()).mean().backward()
    seconds = time.perf_counter() - began
    gradients = [torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]) for net in nets]
    return seconds, images.detach().float(), gradients


def error(a: Tensor, b: Tensor) -> float:
    """Relative distance of two tensors of one shape, |a - b| / |b|."""
    return ((a - b).norm() / b.norm()).item()


@cache
def pays(recipe: Recipe, threads: int, seconds: float = 0.5) -> bool:
    """Whether new nets of the recipe run on the CPU in bfloat16 faster by a tenth, and equal within its rounding.

    Both ways are timed in turn, twice and then for about that many `seconds`; the fastest of each counts. It is asked
    once in a process for each recipe and number of `threads`, the current one, so that runs of it can be compared.
    """
    if not supported():
        return False
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        builders = models.build_generator, models.build_discriminator
        nets = [build(recipe).to(memory_format=torch.channels_last) for build in builders]
    (_, images, gradients), (_, rounded, rounded_gradients) = (passes(nets, recipe, half) for half in (False, True))
    pairs = zip(rounded_gradients, gradients, strict=True)
    if not (error(rounded, images) < IMAGE_ERROR and all(error(a, b) < GRADIENT_ERROR for a, b in pairs)):
        return False
    times, began = [], time.perf_counter()
    while len(times) < 2 or time.perf_counter() - began < seconds:
        times.append([passes(nets, recipe, half)[0] for half in (False, True)])
    single, half = map(min, zip(*times, strict=True))
    return half < 0.9 * single
