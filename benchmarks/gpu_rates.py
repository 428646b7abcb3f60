"""Images a second of every recipe on a GPU: float32 (with and without TF32) and mixed precision.

    python benchmarks/gpu_rates.py [--seconds 1.0] [--batch N] [RECIPE ...]

Random images, the recipe's own batch size; steps only, without callbacks.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from gan_helpers import recipes
from gan_helpers.training import Trainer


def rate(recipe: recipes.Recipe, seconds: float) -> tuple[float, float]:
    """Images a second over `seconds` after five steps, and the memory in GB that it took at most."""
    classes = recipe.num_classes if recipe.labels else 1
    shape = (max(2048, 200 * classes), recipe.channels, recipe.image_size, recipe.image_size)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = np.arange(len(images)) % classes if recipe.labels else None
    torch.cuda.reset_peak_memory_stats()
    trainer = Trainer(recipe.but(steps=10**6), images, "cuda", labels=labels)
    for _ in range(5):
        trainer.train_step()
    torch.cuda.synchronize()
    began, first = time.perf_counter(), trainer.step
    while time.perf_counter() - began < seconds:
        for _ in range(10):
            trainer.train_step()
        torch.cuda.synchronize()
    passed = time.perf_counter() - began
    images_seen = (trainer.step - first) * recipe.batch_size * recipe.d_steps
    return images_seen / passed, torch.cuda.max_memory_allocated() / 1e9


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    p.add_argument("names", nargs="*")
    p.add_argument("--seconds", type=float, default=1.0)
    p.add_argument("--batch", type=int)
    o = p.parse_args()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}; images/s")
    print(f"{'recipe':<26}{'batch':>6}{'float32':>10}{'TF32':>10}{'mixed':>10}{'GB, mixed':>11}")
    for name in o.names or recipes.RECIPES:
        recipe = recipes.get(name)
        recipe = recipe.but(batch_size=o.batch or recipe.batch_size)
        found = []
        for amp, tf32 in ((False, False), (False, True), (True, True)):
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            found.append(rate(recipe.but(amp=amp), o.seconds))
        rates = "".join(f"{images:>10,.0f}" for images, _ in found)
        print(f"{name:<26}{recipe.batch_size:>6}{rates}{found[-1][1]:>11.2f}", flush=True)


if __name__ == "__main__":
    main()
