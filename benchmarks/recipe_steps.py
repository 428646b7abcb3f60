"""Each recipe's training step against its textbook step: same nets, weights, images and draws, in turn, in one process.

    python benchmarks/recipe_steps.py [RECIPE ...] [--rounds 5] [--seconds 3]

The textbook step is written as the recipe's own kind of repository writes it: images decoded by a DataLoader, two
passes through D with two backward calls, D's gradients on while G learns, PyTorch's default Adam, losses fetched each
step. Nets have the width that the gallery plans. First both sides make a few steps in
double precision, without dropout and noise, and must agree. Then ten class pairs are timed against ten runs.
Prints a table and keeps it in `benchmarks/results/recipe_steps.txt`.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from report import arguments, reporter
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from gan_helpers import data, recipes
from gan_helpers.augment import diff_augment, flip
from gan_helpers.course.authoring import plans
from gan_helpers.training import Trainer


def write_classes(folder: Path, images: data.ImageSet) -> Path:
    """The images as PNG files in a folder for each class, as ImageFolder wants them."""
    for k in range(len(images.class_names)):
        (folder / f"{k:02d}").mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images.images, images.labels, strict=True)):
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(folder / f"{label:02d}" / f"{i:06d}.png")
    return folder


def loader(folder: Path, trainer: Trainer, images: data.ImageSet, steps: int) -> DataLoader:
    """The trainer's own batches, in its order, read from the files."""
    files = datasets.ImageFolder(str(folder))
    place = {int(Path(path).stem): i for i, (path, _) in enumerate(files.samples)}
    rows = [place[i] for step in range(steps) for i in trainer.batches.rows(step).tolist()]
    grey = [transforms.Grayscale()] if images.images.shape[1] == 1 else []
    normalise = transforms.Normalize(*[(0.5,) * images.images.shape[1]] * 2)
    files.transform = transforms.Compose([*grey, transforms.ToTensor(), normalise])
    return DataLoader(files, trainer.recipe.batch_size, sampler=rows, num_workers=2, drop_last=True)


def score(kind: str, logits, real: bool, for_g: bool, target):
    """One term of a loss, as textbooks write it: on real images, or on fakes."""
    if kind in ("bce", "minimax"):
        probability = logits.sigmoid()
        if for_g and kind == "minimax":
            return (1 - probability).log().mean()
        return F.binary_cross_entropy(probability, torch.zeros_like(logits) + target)
    if kind == "hinge" and not for_g:
        return F.relu(1 - logits).mean() if real else F.relu(1 + logits).mean()
    return -logits.mean() if real or for_g else logits.mean()  # Wasserstein, and the hinge's generator


class Textbook:
    """The peer, started from a Trainer's weights. Class pairs are ten nets with ten optimisers."""

    def __init__(self, trainer: Trainer, batches: DataLoader) -> None:
        r = self.r = trainer.recipe
        nets = [
            copy.deepcopy(net).to(memory_format=torch.contiguous_format)
            for net in (trainer.generator, trainer.discriminator)
        ]
        self.nets = list(zip(nets[0].nets, nets[1].nets, strict=True)) if r.labels == "pairs" else [tuple(nets)]
        self.optimisers = [
            [
                torch.optim.Adam(net.parameters(), lr, (r.beta1, r.beta2), r.adam_eps)
                for net, lr in zip(pair, (r.g_lr, r.d_lr), strict=True)
            ]
            for pair in self.nets
        ]
        self.averages = [copy.deepcopy(g).requires_grad_(False) for g, _ in self.nets] if r.ema else []
        self.batches, self.trainer, self.step = iter(batches), trainer, 0

    def train_step(self) -> list[float]:
        """One D and one G update; the two losses."""
        r = self.r
        real, y = next(self.batches)
        if self.trainer.dtype == torch.float64:  # its transforms round in single precision: back to the bytes, and anew
            real = (real * 127.5 + 127.5).round().double() / 127.5 - 1
        k = int(y[0]) if r.labels == "pairs" else 0
        (generator, discriminator), (g_opt, d_opt) = self.nets[k], self.optimisers[k]
        told = (y,) if r.labels in ("acgan", "conditional") else ()
        shown = (y,) if r.labels == "conditional" else ()
        with self.trainer.seeded(1, self.step):
            real = flip(real) if r.flip else real
            fake = generator(self.trainer.sample_z(), *told)
            real, seen = diff_augment(real, r.augment), diff_augment(fake.detach(), r.augment)
            noise = r.target_noise * torch.rand(2, len(real), dtype=real.dtype) if r.target_noise else (0, 0)
            discriminator.zero_grad()
            d_loss = 0.0
            for x, target, is_real in (
                (real, r.real_target - noise[0], True),
                (seen, r.fake_target + noise[1], False),
            ):
                verdict = discriminator(x, *shown)
                logits, kinds = verdict if r.head_classes else (verdict, None)
                loss = score(r.loss, logits, is_real, False, target)
                if r.labels == "acgan" or (r.labels == "real" and is_real):
                    loss = loss + F.cross_entropy(kinds, y)
                loss.backward()
                d_loss += loss.item()
            d_opt.step()
            generator.zero_grad()
            verdict = discriminator(diff_augment(fake, r.augment), *shown)
            logits, kinds = verdict if r.head_classes else (verdict, None)
            g_loss = score(r.loss, logits, False, True, r.real_target)
            if r.labels == "acgan":
                g_loss = g_loss + F.cross_entropy(kinds, y)
            g_loss.backward()
            g_opt.step()
        if r.ema:
            states = self.averages[k].state_dict().values(), generator.state_dict().values()
            for mine, theirs in zip(*states, strict=True):
                mine.mul_(r.ema).add_(theirs, alpha=1 - r.ema) if mine.is_floating_point() else mine.copy_(theirs)
        self.step += 1
        return [d_loss, g_loss.item()]


def freeze_power_iteration(trainer: Trainer) -> None:
    """Each pass through a spectrally normalised net in training moves its vectors, and the sides make unlike passes."""
    for module in [*trainer.generator.modules(), *trainer.discriminator.modules()]:
        if hasattr(module, "n_power_iterations"):
            module.n_power_iterations = 0


def agreement(recipe: recipes.Recipe, images: data.ImageSet, folder: Path, steps: int = 3) -> float:
    """Largest difference of losses and weights after a few steps in float64, without dropout and noise in targets."""
    plain = recipe.but(net=dict.fromkeys(["d_dropout"] * hasattr(recipe.net, "d_dropout"), 0), batch_size=8)
    plain = plain.but(adam_eps=1e-4)  # at 1e-8 Adam divides tiny gradients by their own size: rounding is enlarged
    ours = Trainer(plain, images.images, "cpu", torch.float64, images.labels, images.class_names)
    freeze_power_iteration(ours)
    book = Textbook(ours, loader(folder, ours, images, steps))
    losses = [(book.train_step(), ours.train_step()[:2].tolist()) for _ in range(steps)]
    worst = max(abs(a - b) for pair in losses for a, b in zip(*pair, strict=True))
    for k, pair in enumerate(book.nets):
        for theirs, mine in zip(pair, (ours.generator, ours.discriminator), strict=True):
            mine = mine.nets[k] if recipe.labels == "pairs" else mine
            for a, b in zip(theirs.state_dict().values(), mine.state_dict().values(), strict=True):
                worst = max(worst, (a - b).abs().max().item())
    return worst


def timed(side, seconds: float) -> float:
    """Steps a second over about that many seconds."""
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or not steps:
        side.train_step()
        steps += 1
    return steps / (time.perf_counter() - start)


class TenRuns:
    """One trainer a class, as if each were a run of its own; a step of each in turn."""

    def __init__(self, recipe: recipes.Recipe, images: data.ImageSet) -> None:
        single = recipe.but(labels="")
        self.runs = [Trainer(single, images.images[images.labels == k], "cpu") for k in range(10)]
        self.turns = cycle(self.runs)

    def train_step(self) -> None:
        next(self.turns).train_step()


def main() -> None:
    p = arguments(__doc__, "recipe_steps.txt", rounds=5, seconds=3)
    p.add_argument("names", nargs="*", default=list(plans.PLANS))
    o = p.parse_args()
    say = reporter(o.out)
    say(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; images/s, medians of {o.rounds} rounds")
    say(f"{'recipe':22} width  textbook    ours  ratio (lowest)  float64 difference")
    fashion, ratios = data.load("fashion"), []
    for name in o.names:
        recipe = plans.planned(name).but(steps=1_000_000)
        images = fashion.resized(recipe.image_size, recipe.channels)
        images = data.ImageSet(**{**vars(images), "images": images.images[:2000], "labels": images.labels[:2000]})
        with tempfile.TemporaryDirectory() as temporary:
            folder = write_classes(Path(temporary), images)
            gap = agreement(recipe, images, folder)
            assert gap < 1e-9, f"{name}: the two sides differ by {gap:.1e}"
            ours = Trainer(recipe, images.images, "cpu", labels=images.labels, class_names=images.class_names)
            book = Textbook(ours, loader(folder, ours, images, 4000))
            timed(book, 0), timed(ours, 0)  # warm up
            rates = [(timed(book, o.seconds), timed(ours, o.seconds)) for _ in range(o.rounds)]
        found = [b / a for a, b in rates]
        ratios.append(statistics.median(found))
        speeds = [recipe.batch_size * statistics.median(side) for side in zip(*rates, strict=True)]
        say(
            f"{name:22}   1/{recipes.get(name).g_width // recipe.g_width}  {speeds[0]:8.1f} {speeds[1]:7.1f}"
            f"   {ratios[-1]:.2f} ({min(found):.2f})    {gap:.1e}"
        )
        if recipe.labels == "pairs":
            runs = TenRuns(recipe, images)
            pairs = [(timed(runs, 10 * o.seconds / 3), timed(ours, 10 * o.seconds / 3)) for _ in range(o.rounds)]
            say(f"    ten pairs in one run against ten runs: {statistics.median(b / a for a, b in pairs):.2f}")
    say(f"median of the ratios {statistics.median(ratios):.2f}, lowest {min(ratios):.2f}")


if __name__ == "__main__":
    main()
