"""Patients: small GANs on points in the plane and on 16x16 clothes, and their vitals, taken as they train."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ... import data, features, latent, plots
from ...metrics import frechet_distance
from ...recipes import Recipe
from ...training import Trainer, update_ema
from .. import toy


class Vitals(NamedTuple):
    """One look at a patient.

    `g_gradient` and `d_gradient` are the lengths of the last step's gradients; `seen`, `unseen` and `faked` the shares
    of training images, of real images that D never saw, and of fakes that D calls real; `diversity` the mean distance
    between two samples, over that of two real ones; `distance` the Fréchet distance to unseen real samples;
    `histogram` the share of samples of each kind (K,); `samples` (N, …).
    """

    step: int
    g_gradient: float
    d_gradient: float
    seen: float
    unseen: float
    faked: float
    diversity: float
    distance: float
    histogram: Tensor
    samples: Tensor

    @property
    def accuracy(self) -> float:
        """Share of right answers of D on as many unseen real samples as fakes; 0.5 is guessing."""
        return (self.unseen + 1 - self.faked) / 2

    @property
    def gap(self) -> float:
        """By how much more often D calls training images real than unseen ones: what it knows by heart."""
        return self.seen - self.unseen

    @property
    def kinds(self) -> int:
        """Kinds (modes, classes) that get at least a quarter of their fair share of the samples."""
        return int((self.histogram >= 0.25 / len(self.histogram)).sum())


class Ward(NamedTuple):
    """What all patients of one sort are measured with.

    `real` are samples that no D saw; `look` gives the features (N, D) of samples, of which distances are taken, and the
    kind (N,) of each: its place in `kinds`, or -1.
    """

    real: Tensor
    look: Callable[[Tensor], tuple[Tensor, Tensor]]
    kinds: tuple[str, ...]


class Patient:
    """A GAN under observation: `checks` holds its vitals, from before the first step to the last.

    Args:
        gan: a `ToyGAN` or a `Trainer`.
        ward: what it is measured with.
        draw: () → its samples.
        trained_on: some of its training samples.
        step: one step of training.
    """

    def __init__(self, gan, ward: Ward, draw: Callable[[], Tensor], trained_on: Tensor, step: Callable) -> None:
        self.gan, self.ward, self.draw, self.trained_on, self.step = gan, ward, draw, trained_on, step
        self.checks: list[Vitals] = []
        self.losses: list[list[float]] = []  # of D and of G, a pair a step, where the steps return them
        self.real, _ = ward.look(ward.real)  # (N, D)

    def watch(self, steps: int, every: int, live: Callable[[Patient], None] | None = None) -> Patient:
        """Train, with a check before the first step and each `every` steps, after which `live(self)` is called."""
        for k in range(steps + 1):
            if k and (row := self.step()) is not None:
                self.losses.append(row[:2].tolist())
            if k % every == 0 or k == steps:
                self.checks.append(self.check(k))
                if live:
                    live(self)
        return self

    @torch.no_grad()
    def check(self, step: int) -> Vitals:
        samples, D = self.draw(), self.gan.discriminator
        (found, kind), bars = self.ward.look(samples), len(self.ward.kinds)
        called = [(D(x) > 0).float().mean().item() for x in (self.trained_on, self.ward.real, samples)]
        spread = torch.pdist(found).mean() / torch.pdist(self.real).mean()
        return Vitals(
            step,
            *(gradient(net) for net in (self.gan.generator, D)),
            *called,
            spread.item(),
            frechet_distance(found, self.real) if found.isfinite().all() else float("inf"),
            kind[kind >= 0].bincount(minlength=bars) / len(kind),
            samples,
        )

    @property
    def last(self) -> Vitals:
        return self.checks[-1]


def gradient(net: nn.Module) -> float:
    """Length of the gradient that the last step left in a net's parameters; 0 before the first."""
    parts = [p.grad.square().sum() for p in net.parameters() if p.grad is not None]
    return torch.stack(parts).sum().sqrt().item() if parts else 0.0


# ------------------------------------------------------------------------------------------------ points in the plane


class Noise(nn.Module):
    """Instance noise: N(0, std²) is added to whatever D looks at. Sønderby et al. 2017, arXiv:1610.04490."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x)


@functools.cache
def ring_ward(spread: float) -> Ward:
    shape = toy.ring(spread=spread)

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        distance, nearest = torch.cdist(x, shape.points).min(1)
        return x, nearest.where(distance < 3 * spread, -1)

    real = shape.draw(512, torch.Generator().manual_seed(2))
    return Ward(real, look, tuple(f"{45 * k}°" for k in range(8)))


def points(
    seed: int = 0, *, steps: int = 1000, every: int = 100, spread: float = 0.05, momentum: float = 0.5,
    noise: float = 0.0, ema: float = 0.0, schedule: float = 1.0,
    live: Callable[[Patient], None] | None = None, **options,
) -> Patient:  # fmt: skip
    """A GAN on the ring of notebook 01, trained.

    Args:
        spread: standard deviation of the eight modes.
        momentum: Adam's β₁ of both nets.
        noise: standard deviation of instance noise.
        ema: decay of the average of G's weights that makes the samples; 0: G makes them.
        schedule: what both learning rates are multiplied by every 100 steps.
        live: called after each check.
        options: of `ToyGAN`: loss, g_lr, d_lr, d_steps, r1, penalty, batch_size.
    """
    gan = toy.ToyGAN(toy.ring(spread=spread), seed=seed, **options)
    for optimizer in (gan.g_opt, gan.d_opt):
        optimizer.param_groups[0]["betas"] = (momentum, 0.9)
    if noise:
        gan.discriminator = nn.Sequential(Noise(noise), gan.discriminator)
    average = copy.deepcopy(gan.generator).requires_grad_(False) if ema else gan.generator

    g_lr, d_lr = gan.g_lr, gan.d_lr

    def step() -> None:
        factor = schedule ** (gan.steps // 100)
        gan.g_lr, gan.d_lr = g_lr * factor, d_lr * factor
        gan.step()
        if ema:
            update_ema(average, gan.generator, min(ema, gan.steps / (10 + gan.steps)))

    patient = Patient(gan, ring_ward(spread), lambda: average(gan.fixed_z), gan.real, step)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for the noise
        return patient.watch(steps, every, live)


# ------------------------------------------------------------------------------------------------------ small images

CLOTHES = Recipe(
    "patient", "a small GAN on clothes that a laptop trains in seconds", data="fashion", image_size=16, channels=1,
    latent_dim=32, g_width=16, d_width=16, net={"d_norm": "none"}, batch_size=32, g_lr=1e-3, d_lr=1e-3, steps=200,
)  # fmt: skip


@functools.cache
def clothes_ward() -> tuple[Ward, np.ndarray]:
    """The ward of the clothes, and their 9,000 training images (N, 1, 16, 16)."""
    net, splits = features.load("fashion-net"), ("train", "held-out")
    train, unseen = (data.load("fashion", 16, split=split) for split in splits)

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        found, logits = net.with_logits(plots.to_uint8(x))
        return found, logits.argmax(1)

    return Ward(to_float(unseen.images[:500]), look, unseen.class_names), train.images


def to_float(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).float() / 127.5 - 1


def clothes(
    seed: int = 0, *, steps: int = 200, every: int = 50, few: int = 9000, init: Callable | None = None,
    batchnorm: str = "eval", **changes,
) -> Patient:  # fmt: skip
    """A GAN on 16x16 clothes, trained.

    Args:
        few: how many of the training images it gets.
        init: applied to every module of both nets before the first step, to spoil their initialisation.
        batchnorm: the mode in which samples are drawn; in 'train' they are drawn one at a time, as a slider does.
        changes: of the recipe `CLOTHES`.
    """
    ward, train = clothes_ward()
    trainer = Trainer(CLOTHES.but(seed=seed, steps=steps, **changes), train[:few], "cpu")
    z = latent.draw_z(250, CLOTHES.latent_dim)
    if init:
        with trainer.seeded(0x1417):
            trainer.generator.apply(init)
            trainer.discriminator.apply(init)

    def draw(batch: int = 1 if batchnorm == "train" else len(z)) -> Tensor:
        net = copy.deepcopy(trainer.ema).train(batchnorm == "train")
        with torch.no_grad():
            return torch.cat([net(part) for part in z.split(batch)])

    return Patient(trainer, ward, draw, to_float(train[: min(few, 500)]), trainer.train_step).watch(steps, every)
