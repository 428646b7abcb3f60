"""The nine failures: each one switch away from health, with its cures and the number that shows both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from .ward import Patient, clothes, points


@dataclass(frozen=True)
class Case:
    """A failure: how the healthy patient is made, the one switch that breaks it, and cures, added to the switch.

    `measure` is the number that shows failure and cure, `what` says in words what it is.
    """

    make: Callable[..., Patient]
    what: str
    measure: Callable[[Patient], float]
    switch: dict
    cures: dict[str, dict] = field(default_factory=dict)
    healthy: dict = field(default_factory=dict)

    @property
    def arms(self) -> dict[str, dict]:
        """The settings of the healthy, the sick, and each treated patient."""
        sick = self.healthy | self.switch
        return {"healthy": self.healthy, "sick": sick} | {name: sick | cure for name, cure in self.cures.items()}

    def treat(self, seed: int = 0, healthy: bool = True) -> dict[str, Patient]:
        """All arms trained from one seed."""
        return {name: self.make(seed, **how) for name, how in self.arms.items() if healthy or name != "healthy"}


def over(column: str, share: float = 0.5) -> Callable[[Patient], float]:
    """The mean of a vital over the checks in the last `share` of the run; 0: that of the last check."""

    def measure(patient: Patient) -> float:
        n = max(1, round(share * (len(patient.checks) - 1)))
        return float(np.mean([getattr(check, column) for check in patient.checks[-n:]]))

    return measure


def spread_of_one(module: nn.Module) -> None:
    """`init.normal_` with its default spread, 1, where DCGAN has 0.02."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight)


def batchnorm_around_zero(module: nn.Module) -> None:
    """A fault of a published project: BatchNorm's weights from N(0, 0.02²) instead of N(1, 0.02²)."""
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 0.0, 0.02)


def moved(patient: Patient) -> float:
    """Share of pixels that differ by over 5 % of their range between a sample drawn alone and in a batch of 250."""
    return ((patient.draw(1) - patient.draw(250)).abs() > 0.1).float().mean().item()


def wobble(patient: Patient) -> float:
    """How far a sample of fixed noise moves from check to check, the mean over the second half of the run."""
    late = [check.samples for check in patient.checks[len(patient.checks) // 2 :]]
    return torch.stack([(b - a).norm(dim=1).mean() for a, b in pairwise(late)]).mean().item()


CASES = {
    "mode collapse": Case(
        points, "modes covered, of 8, mean over the second half of the run", over("kinds"),
        switch={"g_lr": 1e-2}, cures={"two time scales": {"d_lr": 2e-2}, "R1": {"r1": 1.0}},
    ),
    "D too weak": Case(
        points, "Fréchet distance, mean over the second half of the run", over("distance"),
        healthy={"steps": 400, "every": 50}, switch={"d_lr": 2e-4}, cures={"more D steps": {"d_steps": 10}},
    ),
    "vanishing gradients": Case(
        points, "length of G's gradient after 500 steps of D alone", over("g_gradient", 0),
        healthy={"g_lr": 0.0, "steps": 500, "every": 50}, switch={"loss": "minimax"},
        cures={"instance noise": {"noise": 0.5}},
    ),
    "D too strong": Case(
        clothes, "FD(fashion-net) of 250 samples at the end", over("distance", 0), switch={"d_lr": 2e-2},
        cures={
            "label smoothing": {"real_target": 0.8}, "instance noise": {"instance_noise": 0.5},
            "R1": {"r1": 1.0}, "spectral normalisation": {"net": {"d_norm": "spectral"}}, "EMA": {"ema": 0.95},
        },
    ),
    "wrong BatchNorm mode": Case(
        clothes, "share of pixels that move when a sample is drawn alone", moved, switch={"batchnorm": "train"},
        healthy={"every": 200},
    ),
    "BatchNorm mode, by distance": Case(
        clothes, "FD(fashion-net) of 250 samples at the end", over("distance", 0), switch={"batchnorm": "train"},
    ),
    "wrong initialisation": Case(
        clothes, "FD(fashion-net) of 250 samples at the end", over("distance", 0), switch={"init": spread_of_one},
    ),
    "BatchNorm around 0": Case(
        clothes, "FD(fashion-net) of 250 samples at the end", over("distance", 0),
        switch={"init": batchnorm_around_zero},
    ),
    "oscillation": Case(
        points, "Fréchet distance, mean over the second half of the run", over("distance"),
        switch={"momentum": 0.9}, cures={"R1": {"r1": 1.0}, "EMA": {"ema": 0.98}},
    ),
    "restless samples": Case(
        points, "way of a fixed sample from check to check, second half of the run", wobble,
        switch={"g_lr": 5e-3, "d_lr": 1e-2}, cures={"EMA": {"ema": 0.98}},
    ),
    "late divergence": Case(
        points, "Fréchet distance at the end", over("distance", 0), switch={"schedule": 2.0},
        cures={"halving instead": {"schedule": 0.5}, "R1": {"r1": 1.0}},
    ),
    "memorisation": Case(
        clothes, "called real by D: training less unseen images, second half of the run", over("gap"),
        healthy={"d_lr": 3e-3}, switch={"few": 10}, cures={"DiffAugment": {"augment": "brightness,translation,cutout"}},
    ),
}  # fmt: skip
