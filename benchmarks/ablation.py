"""What each part of the sealed recipe is worth, and each way to use labels: equal nets and images seen, several seeds.

    python benchmarks/ablation.py parts|classes [--seeds 3]

`parts`: the recipe `first-minute` of notebook 00 with batches of 64, on the embedded faces at 16x16. `classes`: four
classes of the embedded Fashion-MNIST at 16x16. Trains what `results/JOB.json` does not have yet (about 15 seconds a run
in one thread), then writes the table, `results/JOB.txt`. Notebooks 06 and 07 read the JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from gan_helpers import data, features, recipes
from gan_helpers.latent import draw_z, generate
from gan_helpers.metrics import Pairs, frechet_distance, kid, precision_recall
from gan_helpers.models import count_parameters
from gan_helpers.plots import to_uint8
from gan_helpers.training import Trainer

RESULTS = Path(__file__).resolve().parent / "results"
# The average of G is kept in every run and scored beside G itself, for it changes nothing in the training.
WHOLE = recipes.get("first-minute").but(name="parts", image_size=16, batch_size=64, decay=0.3, steps=500)
PARTS = {  # what the textbook has in its place
    "spectral normalisation": {"net.d_norm": "batch"},
    "hinge": {"loss": "bce"},
    "brightness": {"augment": ""},
    "rates": {"g_lr": 2e-4, "d_lr": 2e-4, "beta2": 0.999},
    "decay": {"decay": 0},
}
BEST = recipes.get("small-cifar10").but(
    name="classes", data="fashion", num_classes=4, image_size=16, channels=1, flip=False, augment="", latent_dim=64,
    real_target=1, batch_size=64, g_width=16, d_width=16, g_lr=1e-3, d_lr=1e-3, ema=0.99, steps=800,
)  # fmt: skip
FOUR = {"T-shirt/top": 0, "Trouser": 1, "Dress": 3, "Shirt": 6}  # classes, three of which are easily confused
WAYS = {  # to use labels; the four narrow pairs together have about as many parameters as the one pair of the others
    "a pair a class": {"labels": "pairs", "g_width": 6, "d_width": 6},
    "class head, real only": {"labels": "real"},
    "class head, AC-GAN": {"labels": "acgan"},
    "conditional": {"labels": "conditional"},
}


def plan(job: str) -> dict[str, recipes.Recipe]:
    """Every run by name: the ways; or the textbook, to which parts are added one by one, and the whole less each."""
    if job == "classes":
        return {name: BEST.but(**change) for name, change in WAYS.items()}
    recipe = WHOLE.but(**{k: v for textbook in PARTS.values() for k, v in textbook.items()})
    runs = {"textbook": recipe}
    for name, textbook in PARTS.items():
        runs[f"+ {name}"] = recipe = recipe.but(**{key: WHOLE.flat()[key] for key in textbook})
    for name, textbook in list(PARTS.items())[:-1]:  # without the last one it is the run before
        runs[f"without {name}"] = WHOLE.but(**textbook)
    return runs


def images_of(job: str, split: str = "train") -> data.ImageSet:
    """The faces, or the four classes of Fashion, numbered from 0, at 16x16."""
    if job == "parts":
        return data.load("faces", WHOLE.image_size, split=split)
    images = data.load("fashion", BEST.image_size, split=split)
    images = images.take(np.isin(images.labels, list(FOUR.values())), images.name)
    return replace(images, labels=np.searchsorted(list(FOUR.values()), images.labels), class_names=tuple(FOUR))


class Scores:
    """Distances from the held-out images at the same size, through the network of their set."""

    def __init__(self, job: str) -> None:
        real = images_of(job, "held-out")
        self.n = min(500, len(real))  # images to score
        self.network = features.load("faces-net" if job == "parts" else "fashion-net")
        self.labels, self.real = torch.from_numpy(real.labels), self.network(real.images)  # (N,) (N, 192)

    def of(self, images: torch.Tensor, y: torch.Tensor | None) -> dict[str, float]:
        """Scores of images (N, C, S, S) in [-1, 1]; with the classes y (N,) that were asked for, those of classes too.

        `right`: share that the network takes for the class, of the four. `kernel`: mean kernel distance of a class.
        `variety`: variance of the features inside a class, as a share of that of real images.
        """
        seen, logits = self.network.with_logits(to_uint8(images))
        pairs = precision_recall(Pairs(seen, self.real))
        found = {"distance": frechet_distance(seen, self.real), **{k: pairs[k] for k in ("precision", "recall")}}
        if y is not None:
            own = [(seen[y == k], self.real[self.labels == k]) for k in range(len(FOUR))]
            found["right"] = (logits[:, list(FOUR.values())].argmax(1) == y).float().mean().item()
            found["kernel"] = mean(kid(Pairs(f, r)).value for f, r in own)
            found["variety"] = mean((f.var(0).sum() / r.var(0).sum()).item() for f, r in own)
        return found


def train(recipe: recipes.Recipe, images: data.ImageSet, scores: Scores) -> dict:
    """One run, and the scores of its averaged generator and of the plain one."""
    trainer = Trainer(recipe, images.images, "cpu", labels=images.labels, class_names=images.class_names)
    began = time.process_time()
    trainer.fit()
    seconds, n = time.process_time() - began, scores.n
    z, y = draw_z(n, recipe.latent_dim), torch.arange(n) % recipe.num_classes if recipe.conditional else None
    return {
        "images": trainer.step * recipe.batch_size,
        "parameters": [count_parameters(net) for net in (trainer.generator, trainer.discriminator)],
        "seconds": round(seconds, 1),
        "average": scores.of(generate(trainer.ema, z), y),
        "plain": scores.of(generate(trainer.generator, z), y),
    }


NAMES = ("distance", "precision", "recall", "right", "kernel", "variety")


def table(job: str, found: dict) -> str:
    """Mean and spread over seeds of each score."""

    def cell(runs: list[dict], net: str, score: str) -> str:
        values = [run[net][score] for run in runs if score in run[net]]
        if not values:
            return f"{'-':>16}"
        return f"{mean(values):8.3f} ± {stdev(values) if len(values) > 1 else 0:5.3f}"

    lines = [f"{'':<32}seeds{'plain distance':>16}" + "".join(f"{n:>16}" for n in NAMES)]
    for name in ["real images", *plan(job)]:
        if runs := list(found.get(name, {}).values()):
            cells = "".join(cell(runs, "average", score) for score in NAMES)
            lines.append(f"{name:<32}{len(runs):>5}{cell(runs, 'plain', 'distance')}{cells}")
    return "\n".join(lines) + "\n"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("job", choices=("parts", "classes"))
    p.add_argument("--seeds", type=int, default=3)
    o = p.parse_args()
    kept, scores, images = RESULTS / f"{o.job}.json", Scores(o.job), images_of(o.job)
    found = json.loads(kept.read_text()) if kept.exists() else {}
    n = scores.n
    real, y = torch.from_numpy(images.images[:n].copy()).float() / 127.5 - 1, torch.from_numpy(images.labels[:n])
    floor = scores.of(real, y if o.job == "classes" else None)
    found["real images"] = {"0": {"average": floor, "plain": floor}}
    for seed in range(o.seeds):
        for name, recipe in plan(o.job).items():
            if str(seed) not in found.get(name, {}):
                found.setdefault(name, {})[str(seed)] = run = train(recipe.but(seed=seed), images, scores)
                kept.write_text(json.dumps(found, indent=1) + "\n")
                print(f"{name}, seed {seed}: {run['average']} ({run['seconds']} s)", flush=True)
    (RESULTS / f"{o.job}.txt").write_text(table(o.job, found))
    print(table(o.job, found))


if __name__ == "__main__":
    main()
