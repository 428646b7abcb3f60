"""Why `small-cifar10` is as it is: the same net, four minutes of training for each choice, one seed.

    python benchmarks/best_trials.py --data cifar10.zip [NAME ...]

Each trial has its whole schedule in `--seconds` of training on this machine (scoring is not counted) and is scored
four times on the way. Adds its lines, distances and speed, to `benchmarks/results/best_trials.txt`. One seed:
differences of less than about 0.5 mean nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from time_to_quality import curve

from gan_helpers import data, evaluation, recipes
from gan_helpers.training import Trainer

RESULTS = Path(__file__).parent / "results" / "best_trials.txt"
BEST = recipes.get("small-cifar10")
SPECTRAL = dict(net={"d_norm": "spectral"}, loss="hinge", real_target=1)
PROJECTION = dict(labels="conditional")
TRIALS = {
    "as it is": {},
    "batches of 64": dict(batch_size=64),
    "batches of 16": dict(batch_size=16),
    "projection": PROJECTION,
    "projection, batches of 64": dict(**PROJECTION, batch_size=64),
    "projection, batches of 16": dict(**PROJECTION, batch_size=16),
    "spectral, projection": dict(**SPECTRAL, **PROJECTION, g_lr=2e-4, d_lr=2e-4),
    "spectral, projection, batches of 64, DiffAugment": dict(
        **SPECTRAL, **PROJECTION, batch_size=64, augment="color,translation"
    ),
    "spectral, projection, batches of 64, two rates": dict(
        **SPECTRAL, **PROJECTION, batch_size=64, g_lr=5e-4, d_lr=1e-3
    ),
    "batches of 16, decay from the start": dict(batch_size=16, decay=1.0),
}


def trial(recipe: recipes.Recipe, images: data.ImageSet, judge: evaluation.Judge) -> str:
    """Train for the recipe's minutes: its distances on the way, and images per second."""
    trainer = Trainer(recipe, images.images, "cpu", labels=images.labels, class_names=images.class_names)
    found = curve(trainer, judge, scores=4)
    rate = trainer.step * recipe.batch_size / trainer.seconds
    return "  ".join(f"{value:5.1f}" for _, value in found) + f"   {rate:.0f} images/s"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TRIALS)} (default: all)")
    p.add_argument("--data", required=True, help="CIFAR-10: a folder or zip of classes")
    p.add_argument("--seconds", type=float, default=240)
    o = p.parse_args()
    images, judge = data.load(o.data, BEST.image_size), evaluation.Judge(o.data, n=2000)
    for name in o.names or TRIALS:
        line = f"{name:50}{trial(BEST.but(**TRIALS[name], minutes=o.seconds / 60), images, judge)}"
        print(line, flush=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
