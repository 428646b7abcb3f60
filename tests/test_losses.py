"""Losses and penalties against plain maths and numerical derivatives."""

import math

import pytest
import torch

from gan_helpers import losses


def log_sigmoid(a):
    return -math.log(1 + math.exp(-a))


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    one = sum(-(0.9 * log_sigmoid(a) + 0.1 * log_sigmoid(-a)) for a in real.tolist()) / 2
    zero = sum(-(0.2 * log_sigmoid(a) + 0.8 * log_sigmoid(-a)) for a in fake.tolist()) / 2
    assert losses.bce_d(real, fake, 0.9, 0.2).item() == pytest.approx(one + zero, rel=1e-6)
    assert losses.bce_g(fake).item() == pytest.approx(sum(-log_sigmoid(a) for a in fake.tolist()) / 2, rel=1e-6)
    assert losses.hinge_d(real, fake).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    assert losses.hinge_g(fake).item() == pytest.approx(1.25)

    assert losses.minimax_g(fake).item() == pytest.approx(sum(log_sigmoid(-a) for a in fake.tolist()) / 2, rel=1e-6)
    squares = (1.1**2 + 1.9**2 + 0.3**2 + 3.2**2) / 4  # to the targets .9 and .2
    assert losses.least_squares_d(real, fake, 0.9, 0.2).item() == pytest.approx(squares, rel=1e-6)
    assert losses.least_squares_g(fake).item() == pytest.approx((0.5**2 + 4**2) / 4)
    assert losses.wasserstein_d(real, fake).item() == pytest.approx(-1.25 - 0.5)
    targets = torch.tensor([0.9, 1.0]), torch.tensor([0.0, 0.2])
    by_hand = -(0.9 * log_sigmoid(2) + 0.1 * log_sigmoid(-2) + log_sigmoid(-1)) / 2
    by_hand -= (log_sigmoid(-0.5) + 0.2 * log_sigmoid(-3) + 0.8 * log_sigmoid(3)) / 2
    assert losses.bce_d(real, fake, *targets).item() == pytest.approx(by_hand, rel=1e-6)


def test_the_non_saturating_gradient_lives_where_d_wins():
    a = torch.tensor([-8.0], requires_grad=True)
    assert torch.autograd.grad(losses.bce_g(a), a)[0].item() == pytest.approx(-1, abs=1e-3)
    assert torch.autograd.grad(losses.minimax_g(a), a)[0].item() == pytest.approx(0, abs=1e-3)


def critic(x):
    """Logits (N,) of images (N, 1, 2, 2), smooth and with a bend, so that its gradient changes from place to place."""
    return (x.flatten(1) @ torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=x.dtype)).sin() + x.square().sum((1, 2, 3))


def slopes(x, h=1e-5):
    """Lengths (N,) of the critic's gradient, by differences instead of derivatives."""
    steps = h * torch.eye(4, dtype=x.dtype).view(4, 1, 2, 2)
    return torch.stack([(critic(x + s) - critic(x - s)) / (2 * h) for s in steps]).norm(dim=0)


def test_penalties_against_numerical_derivatives():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, 1, 2, 2, dtype=torch.float64)
    real.requires_grad_()
    r1 = losses.r1_penalty(critic(real), real).item()
    assert r1 == pytest.approx(slopes(real.detach()).square().mean().item(), rel=1e-6)
    torch.manual_seed(1)
    t = torch.rand(5, 1, 1, 1, dtype=torch.float64)
    torch.manual_seed(1)
    expected = (slopes(t * real.detach() + (1 - t) * fake) - 1).square().mean().item()
    assert losses.gradient_penalty(critic, real, fake).item() == pytest.approx(expected, rel=1e-6)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)  # it can be differentiated again
    losses.gradient_penalty(lambda x: weight * critic(x), real, fake).backward()
    assert weight.grad.abs() > 0
