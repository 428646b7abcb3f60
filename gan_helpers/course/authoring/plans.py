"""How long each generator of the gallery trains, how wide its nets are, and what that takes.

The published systems are trained as they were published, in nets as wide as two CPU cores allow, until their distance
no longer falls or three times as long as in the first gallery. Ours get hours. `--gpu` is every recipe as it stands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ... import generators, recipes
from ...console import say
from ...recipes import Recipe
from ...training import Trainer, budget_in_steps


@dataclass(frozen=True)
class Plan:
    """One training.

    Attributes:
        steps: of the whole run.
        changes: of the recipe; widths, above all.
    """

    steps: int
    changes: dict = field(default_factory=dict)


def narrow(g_width: int, d_width: int, **changes) -> dict:
    """The changes for nets of these widths."""
    return {"g_width": g_width, "d_width": d_width, **changes}


PLANS = {  # for two CPU cores
    "best-cifar10": Plan(40_000, narrow(64, 64, batch_size=64)),
    "best-cifar10-uncond": Plan(20_000, narrow(64, 64, batch_size=64)),
    "best-celeba": Plan(10_000, narrow(32, 32)),
    "small-celeba": Plan(12_000),
    "small-cifar10": Plan(19_540),
    "dcgan-faces": Plan(12_000),
    "aux-cifar10": Plan(17_600, narrow(16, 32)),
    "acgan-cifar10": Plan(17_600, narrow(16, 32)),
    "lin-cifar10": Plan(24_000, narrow(32, 32)),
    "sagan-cifar10": Plan(8000, narrow(16, 16)),
    "genzoo-cifar10": Plan(15_000, narrow(32, 32)),
    "dcgan-fid-cifar10": Plan(15_000, narrow(32, 32)),
    "conv-cifar10": Plan(15_000, narrow(32, 32)),
    "class-cifar10": Plan(22_500, narrow(12, 16)),
    "conv-mnist": Plan(9380, narrow(64, 16)),
    "genzoo-mnist": Plan(24_200, narrow(32, 32)),
    "conv-celeba": Plan(12_000, narrow(16, 16)),
}
RUN_ON_A_GPU = {  # what of `--gpu` was run here
    "best-cifar10": "5.8 minutes of an H200 that it shared: 15,397 steps",
    "best-cifar10-uncond": "at width 96, 11.3 minutes of an H200 that it shared: 19,400 steps",
    "best-celeba": "10.3 minutes of an H200 that it shared: 14,915 steps",
    "dcgan-faces": "5.6 minutes of an H200 that it shared",
}
SIZES = {"cifar10": 50_000, "mnist": 30_000, "celeba": 162_770, "faces": 9000}  # training images


def planned(name: str, gpu: bool = False) -> Recipe:
    """The recipe as the gallery trains it: on two cores, or on a GPU at its own width and length."""
    recipe = recipes.get(name)
    if gpu or name not in PLANS:
        return recipe
    plan = PLANS[name]
    return recipe.but(**plan.changes, steps=plan.steps)


def on_noise(recipe: Recipe, device: str = "auto") -> Trainer:
    """A trainer of the recipe on images of noise, every class equally often: for what pixels do not matter to."""
    classes, rng = recipe.num_classes if recipe.labels else 0, np.random.default_rng(0)
    count = recipe.batch_size * max(2, classes)
    noise = rng.integers(0, 256, (count, recipe.channels, recipe.image_size, recipe.image_size), np.uint8)
    labels = np.arange(count) % classes if classes else None
    return Trainer(recipe, noise, device, labels=labels, class_names=tuple(map(str, range(classes))))


def images_per_second(recipe: Recipe, device: str = "auto", seconds: float = 3.0) -> float:
    """Of the training step on this machine, without all else that a run does; on noise, so it needs no data."""
    trainer = on_noise(recipe.but(steps=10**6), device)
    trainer.train_step()
    trainer.train_step().tolist()  # the device has finished before the clock starts
    began, first = time.perf_counter(), trainer.step
    while time.perf_counter() - began < seconds:
        row = trainer.train_step()
    row.tolist()
    return (trainer.step - first) * recipe.batch_size * recipe.d_steps / (time.perf_counter() - began)


def show(names: Sequence[str], gpu: bool = False, seconds: float = 3.0) -> float:
    """Print what each recipe would take on this machine, those that are shipped too; returns the hours of the others.

    A recipe whose length is told in epochs takes those of its whole data set.
    """
    total = 0.0
    say(f"{'recipe':22} {'G':>4} {'D':>4} {'steps':>9} {'images/s':>9} {'hours':>7}")
    for name in names:
        recipe = planned(name, gpu)
        rate = images_per_second(recipe, "cuda" if gpu else "cpu", seconds)
        steps = recipe.steps if recipe.epochs is None else budget_in_steps(recipe, SIZES[recipe.data])
        hours = recipe.minutes / 60 if steps is None else steps * recipe.batch_size * recipe.d_steps / rate / 3600
        shipped = name in generators.shipped()
        total += 0 if shipped else hours
        told = "shipped" if shipped else ""
        if gpu:
            told = f"run here: {RUN_ON_A_GPU[name]}" if name in RUN_ON_A_GPU else "not run here"
        count = f"{steps:,}" if steps else "by time"
        say(f"{name:22} {recipe.g_width:4} {recipe.d_width:4} {count:>9} {rate:9.0f} {hours:7.1f}  {told}".rstrip())
    return total
