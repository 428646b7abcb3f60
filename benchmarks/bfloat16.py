"""The training step in bfloat16 against float32 on this CPU: same recipe, weights, images and draws, in turn.

    python benchmarks/bfloat16.py [RECIPE ...] [--rounds 5] [--seconds 1.2]

Nets have the width that the gallery plans, or their own where it plans none. Of each
round the ratio counts; beside it stand the self-test's answer and its time. Wants a processor that has bfloat16,
and an idle machine. Prints a table and keeps it in `benchmarks/results/bfloat16.txt`.
"""

from __future__ import annotations

import statistics
import time

import torch
from report import arguments, reporter

from gan_helpers import data, precision, recipes
from gan_helpers.course.authoring import plans
from gan_helpers.training import Trainer

NAMES = ("small-cifar10", "dcgan-celeba", "conv-mnist", "sagan-cifar10", "lin-cifar10")


def milliseconds(trainer: Trainer, seconds: float) -> float:
    """Of one step, over about that many seconds."""
    began, first = time.perf_counter(), trainer.step
    while time.perf_counter() - began < seconds:
        trainer.train_step()
    return 1e3 * (time.perf_counter() - began) / (trainer.step - first)


def main() -> None:
    p = arguments(__doc__, "bfloat16.txt", rounds=5, seconds=1.2)
    p.add_argument("names", nargs="*", default=NAMES)
    o = p.parse_args()
    say = reporter(o.out)
    say(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; ms a step, medians of {o.rounds} rounds")
    say(f"{'recipe':16} width  float32  bfloat16  ratio (lowest to highest)  self-test")
    fashion = data.load("fashion")
    for name in o.names:
        recipe = plans.planned(name).but(steps=10**6)
        divisor = recipes.get(name).g_width // recipe.g_width
        images = fashion.resized(recipe.image_size, recipe.channels)
        sides = [Trainer(recipe, images.images[:2000], "cpu", labels=images.labels[:2000]) for _ in range(2)]
        sides[1].use_bfloat16()
        for side in sides:
            side.train_step()
        rounds = [[milliseconds(side, o.seconds) for side in sides] for _ in range(o.rounds)]
        single, half = map(statistics.median, zip(*rounds, strict=True))
        ratios = [b / a for a, b in rounds]
        began = time.perf_counter()
        answer = precision.pays(recipe, torch.get_num_threads())
        say(f"{name:16}   1/{divisor}  {single:7.1f}   {half:7.1f}   {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})       {'yes' if answer else 'no'}, "
            f"{time.perf_counter() - began:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
