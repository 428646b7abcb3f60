"""The gallery: generators trained as planned, measured alike, and shown.

    python -m gan_helpers.course.authoring.gallery plan | train | cards | board | stills [RECIPE ...]
        [--data NAME=PATH ...] [--gpu]

`plan` prints what each training takes on this machine. `train` prints it too, then trains, exports, scores and draws
what is missing, in the order given; interrupted, it goes on where it stopped. `cards` writes the cards anew, `board`
the tables and animations of data/generators/README.md and the picture of samples, `stills` draws
`images/NAME-samples.webp`. `digits` trains the network that measures digits. `--gpu` plans and trains every recipe at
its own width and length.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch.utils.flop_counter import FlopCounterMode

from ... import checkpoints, classifier, data, evaluation, frames, generators, recipes, runs
from ...animate import animate
from ...console import say
from ...environment import ROOT
from ...errors import CourseError, in_one_line, speak_anyway
from ...recipes import Recipe
from ...training import Trainer
from . import board, plans, portraits

JOBS = ("plan", "train", "cards", "board", "stills", "digits")
SCORES = 24  # of a run, as it trains
LIMITS = {
    "cifar10": "32x32 objects, hardly any of which would be taken for a photo",
    "mnist": "32x32 handwritten digits in grey",
    "celeba": "64x64; as biased as its data; not for identifying, profiling or deceiving people",
    "faces": "64x64 cartoon faces in two styles",
}
LICENCES = {
    "cifar10": "for study; the images' own terms apply to what was learned",
    "celeba": "non-commercial research only, as CelebA; outside the licence of the code",
}
FIRST_HALF, SECOND_HALF = np.arange(30_000), np.arange(30_000, 60_000)  # of MNIST: for generators, and to judge them


def opened(kind: str, sources: dict[str, str], image_size: int, channels: int) -> data.ImageSet:
    """The images that the gallery's generators learn from: of MNIST the first half, named after the set."""
    images = data.load(sources.get(kind, kind), image_size, channels)
    return images.take(FIRST_HALF, "mnist, digits 0 to 29,999") if images.name == "mnist" else images


def train(names: list[str], sources: dict[str, str], gpu: bool = False) -> None:
    """Train, export, measure and draw each recipe that is not shipped yet."""
    missing = [name for name in names if name not in generators.shipped()]
    hours = plans.show(missing, gpu)
    say(f"{len(missing)} to train: about {hours:.1f} hours, in runs/gallery/. Ctrl-C saves; this command goes on.")
    for name in missing:
        recipe = plans.planned(name, gpu)
        images, source = opened(recipe.data, sources, recipe.image_size, recipe.channels), source_of(recipe, sources)
        folder = Path("runs") / "gallery" / name
        judge = evaluation.Judge(source, channels=recipe.channels, image_size=recipe.image_size)
        every = max(100, (recipe.steps or 10_000) // SCORES)
        set_itself = replace(images, name=recipe.data)  # wherever its images lie
        trainer = runs.train(recipe, set_itself, folder, judge=judge, score_every=every, resume=folder.exists())
        if not trainer.finished:
            return
        export(name, folder, recipe, images)
        measure(name, folder, source, trainer)
        film(name, folder, trainer)
        cards([name], sources)


def source_of(recipe: Recipe, sources: dict[str, str]) -> str:
    """Where a recipe's data lie."""
    return sources.get(recipe.data, recipe.data)


def export(name: str, folder: Path, recipe: Recipe, images: data.ImageSet) -> None:
    """Write the best generator of a run to where the shipped ones lie."""
    jpeg = "; its pixels were JPEG re-encoded (quality 75)" if "jpeg" in images.name else ""
    header = checkpoints.read(generators.find(folder))[1]  # of the last checkpoint: the whole run
    seconds, seen = float(header["seconds"]), int(header["step"]) * recipe.batch_size * recipe.d_steps
    whole = recipes.get(name)
    card = {
        "minutes_of_the_run": round(seconds / 60, 1),
        "images_per_second": round(seen / seconds),
        "GFLOP_an_image": float(f"{gflop(recipe):.2g}"),
        "data": f"{images.name}, {len(images):,} training images{jpeg}",
        "licence": "MIT, as the code" if images.shareable else LICENCES[recipe.data],
        "limits": LIMITS[recipe.data].replace("32x32", f"{recipe.image_size}x{recipe.image_size}", 1),
        "width": f"G {recipe.g_width} of the recipe's {whole.g_width}, D {recipe.d_width} of {whole.d_width}",
    }
    generators.export_generator(folder / "best.safetensors", generators.SHIPPED / f"{name}.safetensors", **card)


def gflop(recipe: Recipe, batch: int = 8) -> float:
    """Of a training step, both nets, for each image: 10^9 additions or multiplications in products and convolutions."""
    trainer = plans.on_noise(recipe.but(batch_size=batch, steps=1), "cpu")
    with FlopCounterMode(display=False) as counter:
        trainer.train_step()
    return counter.get_total_flops() / (batch * recipe.d_steps) / 1e9


def measure(name: str, folder: Path, source: str, trainer: Trainer) -> None:
    """Score the best and the last generator of a run, and keep its curve."""
    judges = board.judges_of(recipes.get(name).data, trainer.recipe.channels)
    paths = {"best": folder / "best.safetensors", "last": folder}
    scores = {which: board.judged(path, source, judges) for which, path in paths.items()}
    board.keep(name, scores, trainer.scores, trainer.score_name)


def film(name: str, folder: Path, trainer: Trainer) -> None:
    """Animate the steps that led to the best generator of a run, as WebP; the last frame is that generator's own."""
    kept, by_class = folder / "best.safetensors", trainer.recipe.conditional
    led_to_it = frames.half_frames(folder, by_class, until=int(checkpoints.read(kept)[1]["step"]) - 1)
    best = generators.load_generator(kept)
    last = frames.sheet(best, *frames.fixed_latents(trainer))
    path = ROOT / "images" / f"{name}.webp"
    animate([*led_to_it, frames.half(last, by_class)], path, quality=70, max_bytes=512_000)


def cards(names: list[str], sources: dict[str, str]) -> None:
    """Write the cards of shipped generators anew."""
    judged = board.read()
    for name in names:
        net, kind = generators.load_generator(name), board.kind_of(name)
        may_be_shown = kind in data.SETS and data.SETS[kind].card["shareable"]
        train = opened(kind, sources, net.recipe.image_size, net.recipe.channels) if may_be_shown else None
        portraits.card(name, judged.get(name), train)


def digits(sources: dict[str, str]) -> None:
    """Train `mnist-net` on the half of MNIST that no generator of the gallery learns from."""
    source = sources.get("mnist", "mnist")
    whole, test = (data.load(source, 32, 1, split=split) for split in ("train", "held-out"))
    train = whole.take(SECOND_HALF, "mnist, digits 30,000 to 59,999")
    right = classifier.train_classifier(train, test, classifier.NETWORKS / "mnist-net.safetensors", width=96)
    say(f"mnist-net names {right['class']:.2%} of the test digits.")


def main(argv: list[str] | None = None) -> int:
    about = __doc__.partition("\n")[0]
    p = argparse.ArgumentParser(prog="python -m gan_helpers.course.authoring.gallery", description=about)
    p.add_argument("job", choices=JOBS)
    p.add_argument("names", nargs="*", help="recipes (default: all)")
    p.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH", help="where data sets lie, e.g. cifar10=c.zip")
    p.add_argument("--gpu", action="store_true", help="every recipe at its own width and length, on a GPU")
    speak_anyway()
    o = p.parse_args(argv)
    shipped, planned = generators.shipped(), list(plans.PLANS)
    known = [*shipped] if o.job in ("cards", "board", "stills") else planned
    try:
        if odd := [*(p for p in o.data if "=" not in p), *(n for n in o.names if n not in known)]:
            raise CourseError(f"'{odd[0]}' is no recipe of the gallery and no NAME=PATH. It has: {', '.join(known)}.")
        sources, names = dict(pair.split("=", 1) for pair in o.data), o.names or known
        if o.job == "plan":
            say(f"In all {plans.show(names, o.gpu):.1f} hours for what is not shipped.")
        elif o.job == "train":
            train(names, sources, o.gpu)
        elif o.job == "cards":
            cards(names, sources)
        elif o.job == "board":
            portraits.page_of_all(board.write())
        elif o.job == "stills":
            portraits.stills(names)
        else:
            digits(sources)
    except Exception as error:
        if (told := in_one_line(error)) is None:
            raise
        print(f"gallery: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
