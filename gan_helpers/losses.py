"""Adversarial losses: small pure functions on logits (N,), each the mean over the batch.

A discriminator loss takes (real_logits, fake_logits, real_target, fake_target); a generator loss takes
(fake_logits, real_target). Targets other than 1 and 0 smooth the labels; the hinge loss has none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def bce_d(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0, fake_target: float = 0.0) -> Tensor:
    """-t log D(x) - (1-t) log(1-D(x)) on real and fake images, added. Goodfellow et al. 2014, arXiv:1406.2661."""
    real = F.binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, real_target))
    fake = F.binary_cross_entropy_with_logits(fake_logits, torch.full_like(fake_logits, fake_target))
    return real + fake


def bce_g(fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """The non-saturating generator loss, -log D(G(z)): its gradient lives when D rejects every fake."""
    return F.binary_cross_entropy_with_logits(fake_logits, torch.full_like(fake_logits, real_target))


def hinge_d(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0, fake_target: float = 0.0) -> Tensor:
    """max(0, 1-a) on real and max(0, 1+a) on fake logits. Lim & Ye 2017, arXiv:1705.02894."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_g(fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """-a: the hinge generator simply raises D's logit on its images."""
    return -fake_logits.mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Mean squared length of D's gradient at real images (N, C, H, W). Mescheder et al. 2018, arXiv:1801.04406.

    It damps the rotation around the equilibrium, where D should be flat. `real` must have required its gradient before
    D saw it; the result can be differentiated again.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


LOSSES = {"bce": (bce_d, bce_g), "hinge": (hinge_d, hinge_g)}
