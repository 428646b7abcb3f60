"""Adversarial losses: small pure functions on logits (N,), each the mean over the batch.

A discriminator loss takes (real_logits, fake_logits), a generator loss takes (fake_logits). Where a loss has targets,
these follow: (real_target, fake_target) for D, real_target for G. Targets other than 1 and 0 smooth the labels, or flip
them; a target may also be a tensor (N,). To add a loss, write its two functions and a line in `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Target = float | Tensor


def cross_entropy(logits: Tensor, target: Target) -> Tensor:
    """-t log D - (1-t) log(1-D), the mean over logits (N,), where D = sigmoid(logit)."""
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits) + target)


def bce_d(real_logits: Tensor, fake_logits: Tensor, real_target: Target = 1.0, fake_target: Target = 0.0) -> Tensor:
    """-t log D(x) - (1-t) log(1-D(x)) on real and fake images, added. Goodfellow et al. 2014, arXiv:1406.2661."""
    return cross_entropy(real_logits, real_target) + cross_entropy(fake_logits, fake_target)


def bce_g(fake_logits: Tensor, real_target: Target = 1.0) -> Tensor:
    """The non-saturating generator loss, -log D(G(z)): its gradient lives when D rejects every fake."""
    return cross_entropy(fake_logits, real_target)


def minimax_g(fake_logits: Tensor) -> Tensor:
    """log(1 - D(G(z))), what D maximises on fakes; its gradient dies when D rejects every fake. Goodfellow et al."""
    return -F.softplus(fake_logits).mean()


def least_squares_d(
    real_logits: Tensor, fake_logits: Tensor, real_target: Target = 1.0, fake_target: Target = 0.0
) -> Tensor:
    """(a-t)²/2 on real and fake logits, added. Mao et al. 2017, arXiv:1611.04076."""
    return ((real_logits - real_target).square().mean() + (fake_logits - fake_target).square().mean()) / 2


def least_squares_g(fake_logits: Tensor, real_target: Target = 1.0) -> Tensor:
    """(a-t)²/2: fakes far on the wrong side are pulled hardest."""
    return (fake_logits - real_target).square().mean() / 2


def wasserstein_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean a on fakes less mean a on real images, of a 1-Lipschitz critic. Arjovsky et al. 2017, arXiv:1701.07875."""
    return fake_logits.mean() - real_logits.mean()


def hinge_d(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """max(0, 1-a) on real and max(0, 1+a) on fake logits. Lim & Ye 2017, arXiv:1705.02894."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_g(fake_logits: Tensor) -> Tensor:
    """-a: the hinge generator, and the Wasserstein one, simply raises D's logit on its images."""
    return -fake_logits.mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Mean squared length of D's gradient at real images (N, C, H, W). Mescheder et al. 2018, arXiv:1801.04406.

    It damps the rotation around the equilibrium, where D should be flat. `real` must have required its gradient before
    D saw it; the result can be differentiated again.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Mean (‖∇D‖ - 1)² at random points between real and fake images (N, C, H, W): it keeps a critic near 1-Lipschitz.

    Gulrajani et al. 2017, arXiv:1704.00028. `critic` maps images to logits (N,) and may not mix images (no BatchNorm).
    """
    t = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    between = torch.lerp(fake.detach(), real.detach(), t).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    length = (gradient.square().sum((1, 2, 3)) + 1e-12).sqrt()  # (N,)
    return (length - 1).square().mean()


class Loss(NamedTuple):
    """What D and G minimise, and whether each takes targets."""

    d: Callable[..., Tensor]
    g: Callable[..., Tensor]
    d_targets: bool = False
    g_target: bool = False


LOSSES = {
    "bce": Loss(bce_d, bce_g, d_targets=True, g_target=True),
    "hinge": Loss(hinge_d, hinge_g),
    "minimax": Loss(bce_d, minimax_g, d_targets=True),
    "least-squares": Loss(least_squares_d, least_squares_g, d_targets=True, g_target=True),
    "wasserstein": Loss(wasserstein_d, hinge_g),
}
