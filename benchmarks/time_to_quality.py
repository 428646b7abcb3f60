"""How long until it is as good? Two questions.

    python benchmarks/time_to_quality.py [--seconds 60] [--textbook-seconds 600]
    python benchmarks/time_to_quality.py --systems cifar10=PATH [celeba=PATH ...] [--seconds 240]

What a learner feels: `first-minute` after 60 seconds beside the textbook's 64x64 DCGAN after 10 minutes, same data.
Writes `images/time_to_quality.webp` (ours above, textbook below) and prints what each side saw.

`--systems`: our own small recipe, with its whole schedule in `--seconds`, against the distance that each published
system reached in its minutes on two cores (`data/generators/leaderboard.json`). Only training counts, not scoring.
Keeps a table for each data set, `benchmarks/results/time_to_quality_{set}.txt`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from textbook import loader, write_images
from textbook import train_step as textbook_step
from torch import nn

from gan_helpers import data, evaluation, features, generators, plots, recipes
from gan_helpers.course.authoring import board
from gan_helpers.growing import grow
from gan_helpers.latent import draw_z, generate
from gan_helpers.training import Trainer

# Of our recipe, where time is short: shares of it, and what changes. No momentum, and in colour half its batches: more
# steps bring more than larger ones. Elsewhere than on CIFAR-10 DCGAN's nets, which spend nothing on maps of the full
# size, with D narrower than G: D's passes are most of a step. Faces begin at 32x32 and grow. Shoes all point to one
# side: no flips. Chosen by results/best_elsewhere.txt, on the images that score them.
STAGES = {
    "cifar10": [(1, dict(batch_size=16, beta1=0))],
    "celeba": [
        (0.45, dict(family="dcgan", labels="", flip=False, g_width=32, d_width=24, batch_size=16, beta1=0, g_lr=6e-4,
                   d_lr=6e-4, decay=0)),
        (0.55, dict(g_lr=4e-4, d_lr=4e-4, decay=1)),
    ],
    "fashion_mnist": [(1, dict(family="dcgan", labels="", channels=1, flip=False, g_width=64, d_width=16, beta1=0))],
}  # fmt: skip
IMAGES = Path(__file__).resolve().parents[1] / "images"


def curve(trainer: Trainer, judge: Callable[[nn.Module], Any], scores: int) -> list[tuple[float, Any]]:
    """Train to the end of the budget: (seconds of training, judgement) pairs at equal shares of it."""
    found: list[tuple[float, Any]] = []
    while not trainer.finished:
        start = time.perf_counter()
        trainer.train_step()
        trainer.seconds += time.perf_counter() - start  # without what the judge takes
        if trainer.progress * scores >= len(found) + 1 or trainer.finished:
            found.append((trainer.seconds, judge(trainer.ema)))
    return found


def race(sources: dict[str, str], seconds: float) -> None:
    """Our recipe against every published system of each data set; only images of the full size count."""
    judged = board.read()
    for kind, source in sources.items():
        own = features.own_of(kind, 1 if kind == "fashion_mnist" else 3)
        rivals = {
            name: found["best"][own]["frechet"].value
            for name, found in judged.items()
            if not name.startswith(("best", "small")) and board.kind_of(name) == kind
        }
        recipe = recipes.get("small-cifar10").but(data=kind)

        def judge(net: nn.Module, source: str = source, own: str = own) -> evaluation.Score:
            return evaluation.evaluate(net, source, None, ("frechet",), own, draws=1, progress=False)["frechet"]

        lines = [f"small-cifar10 on {kind}, {seconds:.0f} s of training on {torch.get_num_threads()} threads, PyTorch "]
        lines[0] += torch.__version__
        trainer, spent = None, 0.0
        for share, changes in STAGES[kind]:
            recipe = recipe.but(minutes=share * seconds / 60, **changes)
            size = 2 * trainer.recipe.image_size if trainer else recipe.image_size
            images, start = data.load(source, size, recipe.channels), time.perf_counter()
            if trainer:
                trainer = grow(trainer, images.images, minutes=recipe.minutes, **changes)
                spent += time.perf_counter() - start
            else:
                trainer = Trainer(recipe, images.images, "cpu", labels=images.labels, class_names=images.class_names)
            judged = curve(trainer, judge, scores=round(12 * share))
            found = [(spent + at, each.value) for at, each in judged]  # of the last stage, in the end
            spent = found[-1][0]
            what = ", ".join(f"{key}={value!r}" for key, value in changes.items())
            lines.append(f"  at {size}x{size} ({what}), {trainer.step:,} steps")
            lines.append("    " + "  ".join(f"{at:.0f} s {value:.2f}" for at, value in found))
        score = judged[-1][1]
        lines.append(f"  {score.name}, {score.n:,} images against {score.reference}")
        for rival, theirs in sorted(rivals.items(), key=lambda pair: pair[1]):
            at = next((at for at, value in found if value <= theirs), None)
            minutes = generators.load_generator(rival).card["minutes_of_the_run"]
            reached = f"after {at:.0f} s, 1/{minutes * 60 / at:.1f} of its time" if at else "not reached"
            lines.append(f"    {rival:20} {theirs:6.2f} after {minutes} minutes: {reached}")
        text = "\n".join(lines) + "\n"
        print(text, flush=True)
        (Path(__file__).parent / "results" / f"time_to_quality_{kind}.txt").write_text(text)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float)
    p.add_argument("--textbook-seconds", type=float, default=600)
    p.add_argument("--systems", nargs="+", metavar="NAME=PATH")
    o = p.parse_args()
    if o.systems:
        race(dict(pair.split("=", 1) for pair in o.systems), o.seconds or 240)
        return
    o.seconds = o.seconds or 60
    faces = data.load("faces")

    recipe = recipes.get("first-minute").but(minutes=o.seconds / 60)
    ours = Trainer(recipe, faces.resized(recipe.image_size, 3).images, "cpu").fit()
    print(f"first-minute: {ours.seconds:.0f} s, {ours.step * recipe.batch_size:,} images seen, {recipe.image_size} px")
    mine = generate(ours.ema, draw_z(40, recipe.latent_dim))

    plain = recipes.get("dcgan-celeba").but(ema=0, steps=1)
    book = Trainer(plain, faces.images, "cpu")  # for its nets and their initial weights
    nets = [
        book.generator.to(memory_format=torch.contiguous_format),
        book.discriminator.to(memory_format=torch.contiguous_format),
    ]
    optimisers = [torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in nets]
    with tempfile.TemporaryDirectory() as folder:
        files, start, steps = write_images(Path(folder), faces.images), time.perf_counter(), 0
        while time.perf_counter() - start < o.textbook_seconds:
            rows = torch.randperm(len(faces)).tolist()
            for real, _ in loader(files, rows, 64, plain.batch_size):
                losses = textbook_step(*nets, *optimisers, real, torch.randn(len(real), 100))
                steps += 1
                if time.perf_counter() - start > o.textbook_seconds:
                    break
    seconds = time.perf_counter() - start
    print(f"textbook: {seconds:.0f} s, {steps * plain.batch_size:,} images seen, 64 px; D loss {losses[0]:.3f}")
    theirs = generate(nets[0], draw_z(20, 100))
    sheets = [plots.grid(mine, 10, scale=2), plots.grid(theirs, 10)]
    from PIL import Image

    page = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets) + 12), "white")
    page.paste(sheets[0], (0, 0))
    page.paste(sheets[1], (0, sheets[0].height + 12))
    page.save(IMAGES / "time_to_quality.webp", quality=90)


if __name__ == "__main__":
    main()
