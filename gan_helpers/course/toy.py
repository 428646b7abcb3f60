"""GANs on the line and in the plane: shapes, losses, two tiny nets, and a trainer quick enough to watch on one core.

Everything is deterministic from a seed. Points are tensors (N, dim), dim being 1 or 2, and lie within about ±1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CourseError, nearest
from ..temporary import frozen

# ---------------------------------------------------------------------------------------------------------- shapes


@dataclass(frozen=True)
class Shape:
    """A distribution: one of `points` (K, dim), chosen at random, plus Gaussian noise of standard deviation `spread`.

    `modes` says whether the points are modes that one can count; those of a curve or a drawing are not.
    """

    name: str
    points: Tensor
    spread: float
    modes: bool = True

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n samples (n, dim)."""
        chosen = torch.randint(len(self.points), (n,), generator=generator)
        return self.points[chosen] + self.spread * torch.randn(n, self.points.shape[1], generator=generator)


def ring(modes: int = 8, spread: float = 0.05) -> Shape:
    """Gaussians evenly on the unit circle."""
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return Shape("ring", torch.stack([angle.cos(), angle.sin()], 1), spread)


def grid(side: int = 5, spread: float = 0.04) -> Shape:
    """side × side Gaussians."""
    line = torch.linspace(-1, 1, side)
    return Shape("grid", torch.cartesian_prod(line, line), spread)


def spiral(turns: float = 1.5, spread: float = 0.03) -> Shape:
    """One arm from the centre outwards, equally dense along its length."""
    angle = 2 * math.pi * turns * torch.linspace(0.02, 1, 400).sqrt()
    radius = angle / angle.max()
    return Shape("spiral", torch.stack([radius * angle.cos(), radius * angle.sin()], 1), spread, modes=False)


def two_bumps(spread: float = 0.15) -> Shape:
    """Two Gaussians on the line."""
    return Shape("two bumps (1-D)", torch.tensor([[-0.7], [0.7]]), spread)


def drawing(text: str) -> Shape:
    """A shape typed as rows of characters: each but space and full stop is ink, and twice as tall as wide.

    Raises:
        CourseError: there is no ink.
    """
    ink = [(x, -2 * y) for y, row in enumerate(text.splitlines()) for x, c in enumerate(row) if c not in " .\t"]
    if not ink:
        raise CourseError("The drawing is empty: type some # where the data should lie.")
    points = torch.tensor(ink, dtype=torch.float32)
    points -= (points.amax(0) + points.amin(0)) / 2
    scale = points.abs().max().clamp(min=1.0)
    return Shape("drawing", points / scale, min(0.4 / scale.item(), 0.1), modes=False)


SHAPES: dict[str, Callable[[], Shape]] = {"ring": ring, "grid": grid, "spiral": spiral, "two bumps (1-D)": two_bumps}


def modes_covered(samples: Tensor, shape: Shape) -> tuple[int, float]:
    """How many modes the samples (N, dim) cover, and which share of the samples lies on any point of the shape.

    A sample lies on the nearest point if it is within three spreads of it. A mode counts as covered if at least a
    quarter of its fair share N / K of samples lies on it, so that a stray sample is no mode.
    """
    distance, nearest_point = torch.cdist(samples, shape.points).min(1)
    on = distance < 3 * shape.spread
    per_mode = nearest_point[on].bincount(minlength=len(shape.points))
    return int((per_mode >= 0.25 * len(samples) / len(shape.points)).sum()), on.float().mean().item()


# ---------------------------------------------------------------------------------------------------------- losses
# On logits (N,), each the mean over the batch: D's takes those of real and of fake points, G's those of fakes.


def log_d(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))), D = σ(logit). Goodfellow et al. 2014, arXiv:1406.2661."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_g(fake: Tensor) -> Tensor:
    """log(1 - D(G(z))): saturates, for its slope in the logit is -D."""
    return -F.softplus(fake).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-log D(G(z)): its slope in the logit is -(1 - D)."""
    return F.softplus(-fake).mean()


def least_squares_d(real: Tensor, fake: Tensor) -> Tensor:
    """½(a - 1)² on real, ½a² on fake. Mao et al. 2017, arXiv:1611.04076."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_g(fake: Tensor) -> Tensor:
    """½(a - 1)²."""
    return 0.5 * (fake - 1).square().mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of a on fake less mean on real, for a critic kept nearly 1-Lipschitz. Arjovsky et al. 2017, 1701.07875."""
    return fake.mean() - real.mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - a) on real, max(0, 1 + a) on fake. Lim & Ye 2017, arXiv:1705.02894."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def linear_g(fake: Tensor) -> Tensor:
    """-a, the generator's loss of Wasserstein and hinge GANs."""
    return -fake.mean()


class Loss(NamedTuple):
    """A pair of losses, the weight of the gradient penalty, and what to draw: D's field is tanh((a - middle) / scale).

    The Wasserstein critic has neither: mean and spread of its values on the picture are taken.
    """

    d: Callable[[Tensor, Tensor], Tensor]
    g: Callable[[Tensor], Tensor]
    penalty: float = 0.0
    middle: float | None = 0.0
    scale: float | None = 2.0


LOSSES = {
    "minimax": Loss(log_d, minimax_g),
    "non-saturating": Loss(log_d, non_saturating_g),
    "least squares": Loss(least_squares_d, least_squares_g, middle=0.5, scale=0.5),
    "Wasserstein-GP": Loss(wasserstein_d, linear_g, penalty=1.0, middle=None, scale=None),
    "hinge": Loss(hinge_d, linear_g, scale=1.0),
}


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (|∇D| - 1)² at mix · real + (1 - mix) · fake. Points (N, dim), mix (N, 1) in [0, 1]. arXiv:1704.00028."""
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.norm(dim=1) - 1).square().mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Mean of |∇D|² at the real points (N, dim), which must have required their gradient. arXiv:1801.04406."""
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().sum(1).mean()


# --------------------------------------------------------------------------------------------------------- the GAN


def mlp(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Two hidden layers: (N, inputs) → (N, outputs)."""
    layers = [nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


VIEW, CELLS = 1.5, 48  # the picture shows [-VIEW, VIEW] in each direction; D's field is sampled at CELLS points


class Frame(NamedTuple):
    """One moment of a training, all that is drawn of it, as arrays.

    `fake` (N, dim) are G's images of fixed z, `pull` (N, dim) the direction in which G's loss moves each of them,
    `field` D's logits, (CELLS,) or (CELLS, CELLS) with rows from the top down.
    """

    step: int
    fake: np.ndarray
    pull: np.ndarray
    field: np.ndarray
    modes: int
    on_shape: float


class ToyGAN:
    """A GAN on a shape, trained step by step; `frames` keeps its history.

    `g_lr`, `d_lr` and `d_steps` may be changed between steps. `r1` is the weight of the R1 penalty, `penalty` that of
    the gradient penalty (None: the loss's own).

    Raises:
        CourseError: an unknown loss.
    """

    def __init__(
        self,
        shape: Shape,
        loss: str = "non-saturating",
        g_lr: float = 1e-3,
        d_lr: float = 2e-3,
        d_steps: int = 1,
        batch_size: int = 128,
        seed: int = 0,
        r1: float = 0.0,
        penalty: float | None = None,
    ) -> None:
        if loss not in LOSSES:
            raise CourseError(f"There is no loss '{loss}'.{nearest(loss, LOSSES)} There are {', '.join(LOSSES)}.")
        self.shape, self.loss, self.batch_size, self.steps = shape, LOSSES[loss], batch_size, 0
        self.g_lr, self.d_lr, self.d_steps, self.r1 = g_lr, d_lr, d_steps, r1
        if penalty is not None:
            self.loss = self.loss._replace(penalty=penalty)
        self.random = torch.Generator().manual_seed(seed)
        dim = shape.points.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator, self.discriminator = mlp(2, dim), mlp(dim, 1)
        self.g_opt, self.d_opt = (
            torch.optim.Adam(net.parameters(), betas=(0.5, 0.9), fused=True)
            for net in (self.generator, self.discriminator)
        )
        fixed = torch.Generator().manual_seed(1)  # the same for all seeds
        self.fixed_z, self.real = torch.randn(256, 2, generator=fixed), shape.draw(256, fixed)
        line = (torch.arange(CELLS) + 0.5) * (2 * VIEW / CELLS) - VIEW  # the cells' middles
        y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
        self.lattice = line[:, None] if dim == 1 else torch.stack([x, y], 2).flatten(0, 1)
        self.frames = [self.frame()]

    def sample_z(self) -> Tensor:
        """A batch of latent vectors (batch_size, 2)."""
        return torch.randn(self.batch_size, 2, generator=self.random)

    def step(self) -> None:
        """`d_steps` updates of D, then one of G."""
        for opt, lr in ((self.g_opt, self.g_lr), (self.d_opt, self.d_lr)):
            opt.param_groups[0]["lr"] = lr
        D = self.discriminator
        for _ in range(self.d_steps):
            real = self.shape.draw(self.batch_size, self.random).requires_grad_(bool(self.r1))
            with torch.no_grad():
                fake = self.generator(self.sample_z())
            real_logits = D(real)
            d_loss = self.loss.d(real_logits, D(fake))
            if self.r1:
                d_loss = d_loss + self.r1 / 2 * r1_penalty(real_logits, real)
            if self.loss.penalty:
                mix = torch.rand(self.batch_size, 1, generator=self.random)
                d_loss = d_loss + self.loss.penalty * gradient_penalty(D, real, fake, mix)
            self.d_opt.zero_grad()
            d_loss.backward()
            self.d_opt.step()
        with frozen(D):
            g_loss = self.loss.g(D(self.generator(self.sample_z())))
            self.g_opt.zero_grad()
            g_loss.backward()
            self.g_opt.step()
        self.steps += 1

    def frame(self) -> Frame:
        """What there is to see now."""
        with torch.no_grad():
            fake, field = self.generator(self.fixed_z), self.discriminator(self.lattice)
        x = fake.clone().requires_grad_()
        loss = self.loss.g(self.discriminator(x)) * len(x)  # a sum, so that each point gets a gradient of its own
        (gradient,) = torch.autograd.grad(loss, x)
        side = (CELLS,) * x.shape[1]
        arrays = fake.numpy(), -gradient.numpy(), field.view(side).numpy()
        return Frame(self.steps, *arrays, *modes_covered(fake, self.shape))

    def train(self, steps: int, every: int = 0) -> ToyGAN:
        """`steps` more steps, with a frame kept each `every` steps (0: at the end only). Returns itself."""
        for k in range(1, steps + 1):
            self.step()
            if k == steps or (every and k % every == 0):
                self.frames.append(self.frame())
        return self
