"""A ward of small GANs that fail on purpose, each by one switch; their vitals, taken as they train; and cures.

`python -m gan_helpers.failures` treats every case over five seeds and writes `benchmarks/results/failures.txt`.
"""

from __future__ import annotations

import argparse
import copy
import functools
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from . import data, features, latent, plots, toy
from .files import save_atomically
from .metrics import frechet_distance
from .recipes import Recipe
from .training import Trainer, update_ema

RESULTS = data.ROOT / "benchmarks" / "results" / "failures.txt"
NOWHERE = "off"  # the histogram's last bar of points: those that lie on no mode


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
    latent_dim=32, g_width=16, d_width=16, d_norm="none", batch_size=32, g_lr=1e-3, d_lr=1e-3, steps=200,
)  # fmt: skip


@functools.cache
def clothes_ward() -> tuple[Ward, np.ndarray]:
    """The ward of the clothes, and their 9,000 training images (N, 1, 16, 16)."""
    net, train, unseen = features.load("fashion-net"), *(data.load("fashion", 16, split=s) for s in data.SPLITS)

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
            trainer.generator.apply(init), trainer.discriminator.apply(init)

    def draw(batch: int = 1 if batchnorm == "train" else len(z)) -> Tensor:
        net = copy.deepcopy(trainer.ema).train(batchnorm == "train")
        with torch.no_grad():
            return torch.cat([net(part) for part in z.split(batch)])

    return Patient(trainer, ward, draw, to_float(train[: min(few, 500)]), trainer.train_step).watch(steps, every)


# ---------------------------------------------------------------------------------------------------------- the cases


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
            "R1": {"r1": 1.0}, "spectral normalisation": {"d_norm": "spectral"}, "EMA": {"ema": 0.95},
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


def record(name: str) -> str:
    """What was recorded of a case over five seeds, as a table in words."""
    rows = [row for row in results() if row.case == name]
    if not rows:
        return f"{name}: not recorded yet. Run: python -m gan_helpers.failures --only '{name}'"
    lines = [f"{name}, five seeds: {rows[0].what}"]
    for row in rows:
        mean, low, high = (f"{f(row.values):.3g}" for f in (np.mean, min, max))
        lines.append(f"  {row.arm:<24}{mean:>8}   ({low} to {high})  {row.verdict}".rstrip())
    return "\n".join(lines)


def panel(patients: dict[str, Patient]):
    """The diagnosis panel, a row for each patient: samples, kinds, gradients, D's opinions, diversity and distance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.9 * len(patients) + 0.3), dpi=80, layout="constrained")
    titles = "samples", "share of each kind", "length of gradients", "share that D calls real", "against real samples"
    rows = figure.subplots(len(patients), 5, squeeze=False)
    for row, (name, patient) in zip(rows, patients.items(), strict=True):
        last, first, bars = patient.last, row[0].get_subplotspec().is_first_row(), len(patient.ward.kinds)
        draw_samples(row[0], patient)
        row[0].set_ylabel(name, fontsize=10)
        row[1].bar(range(bars), last.histogram.tolist(), color=plots.BLUE)
        row[1].axhline(1 / bars, color="black", linestyle=":")
        highest = max(0.4, 1.05 * last.histogram.max().item())
        row[1].set(ylim=(0, highest), xticks=[], xlabel=f"{last.kinds} of {bars} kinds")
        draw_course(row[2], patient, G="g_gradient", D="d_gradient")
        draw_course(row[3], patient, training="seen", fake="faked", unseen="unseen")
        draw_course(row[4], patient, diversity="diversity", distance="distance")
        row[3].set_ylim(-0.05, 1.05)
        row[2].set_yscale("log"), row[4].set_yscale("log")
        for axes, title in zip(row, titles, strict=True):
            axes.set_title(title if first else "", fontsize=10)
            axes.tick_params(labelsize=7)
        for axes in row[2:]:
            axes.legend(fontsize=7) if first else None
    for column in (rows[:, 2], rows[:, 4]):  # whole decades, the same for all patients
        low, high = np.log10([axes.get_ylim() for axes in column]).T
        for axes in column:
            axes.set_ylim(10.0 ** np.floor(low.min()), 10.0 ** np.ceil(high.max()))
            axes.tick_params(which="minor", labelleft=False)
    return figure


def draw_course(axes, patient: Patient, **columns: str) -> None:
    """Some vitals over the steps, one line each: legend = column."""
    looks = (("-", plots.BLUE), ("--", plots.ORANGE), (":", "black"))
    for (label, column), (style, colour) in zip(columns.items(), looks, strict=False):
        checks = [(check.step, getattr(check, column)) for check in patient.checks]
        checks = [(step, value) for step, value in checks if value or "gradient" not in column]  # none before step 1
        axes.plot(*zip(*checks, strict=True), style, color=colour, label=label)


def draw_samples(axes, patient: Patient) -> None:
    """Points over real ones, or 24 images."""
    samples = patient.last.samples
    if samples.ndim == 2:
        for points_, colour in ((patient.ward.real, plots.BLUE), (samples, plots.ORANGE)):
            axes.plot(*points_.T, ".", color=colour, markersize=2)
        axes.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
    else:
        axes.imshow(plots.grid(samples[:24], 6), interpolation="nearest")
    axes.set(xticks=[], yticks=[])


# ------------------------------------------------------------------------------------------------------- five seeds


class Row(NamedTuple):
    """One line of the record: what one arm of a case measured with each seed, and what that shows.

    `how` is the call that makes the patients. `verdict` is 'fails' or 'cures' where the lowest and highest of the seeds
    leave a gap to the healthy (or the sick) patients', on the right side; 'not shown' otherwise; '' for the healthy.
    """

    case: str
    what: str
    arm: str
    how: str
    values: tuple[float, ...]
    verdict: str
    seconds: float

    def __str__(self) -> str:
        values = " ".join(f"{value:.3g}" for value in self.values)
        return " | ".join([*self[:4], values, self.verdict, f"{self.seconds:.1f}"])

    @classmethod
    def read(cls, line: str) -> Row:
        *names, values, verdict, seconds = line.split(" | ")
        return cls(*names, tuple(map(float, values.split())), verdict, float(seconds))


def call(make: Callable, how: dict) -> str:
    """The call as one would type it."""
    values = (f"{key}={getattr(value, '__name__', repr(value))}" for key, value in how.items())
    return f"{make.__name__}({', '.join(values)})"


def verdict(arm: str, values: tuple, healthy: tuple, sick: tuple) -> str:
    """See `Row`."""
    up = np.mean(healthy) > np.mean(sick)  # whether more is better
    if arm == "healthy":
        return ""
    better, worse = (healthy, values) if arm == "sick" else (values, sick)
    apart = min(better) > max(worse) if up else max(better) < min(worse)
    return ("fails" if arm == "sick" else "cures") if apart else "not shown"


def treat_all(name: str, case: Case, seeds: int) -> list[Row]:
    """Every arm of a case over `seeds` seeds; arms that the record has already, for any case, are taken from it."""
    rows = {}
    for arm, how in case.arms.items():
        text = call(case.make, how)
        same = [row for row in results() if (row.what, row.how) == (case.what, text) and len(row.values) == seeds]
        began = time.process_time()
        values = same[0].values if same else tuple(case.measure(case.make(seed, **how)) for seed in range(seeds))
        seconds = same[0].seconds if same else (time.process_time() - began) / seeds
        row = rows[arm] = Row(name, case.what, arm, text, values, "", seconds)
        rows[arm] = row._replace(verdict=verdict(arm, values, rows["healthy"].values, rows.get("sick", row).values))
        print(rows[arm], flush=True)
        save([row for row in results() if (row.case, row.arm) != (name, arm)] + [rows[arm]])
    return list(rows.values())


def results(path: Path = RESULTS) -> list[Row]:
    """The rows of the record."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row.read(line) for line in lines[2:]]


def save(rows: list[Row]) -> None:
    order = {(name, arm): k for k, (name, arm) in enumerate((n, a) for n, case in CASES.items() for a in case.arms)}
    rows = sorted((row for row in rows if (row.case, row.arm) in order), key=lambda row: order[row.case, row.arm])
    about = f"{platform.machine()}, 1 thread, PyTorch {torch.__version__}; one value for each seed from 0"
    columns = "case | what is measured | arm | made by | values | shown beyond seed spread | CPU seconds a run"
    text = "\n".join([about, columns, *map(str, rows)]) + "\n"
    save_atomically(RESULTS, lambda part: part.write_text(text, encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(CASES), help="names of cases; the others' rows are kept")
    o = parser.parse_args()
    torch.set_num_threads(1)
    for name in o.only:
        treat_all(name, CASES[name], o.seeds)


if __name__ == "__main__":
    main()
