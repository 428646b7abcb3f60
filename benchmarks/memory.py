"""What it brings that freed memory is kept (`gan_helpers/memory.py`): steps a second of recipes with it and without.

    python benchmarks/memory.py [RECIPE ...] [--rounds 3] [--seconds 8]

Both sides run the same training step on noise images, each in a process of its own, in turn. Nets have the width that
the gallery plans. Prints a table and keeps it in `benchmarks/results/memory.txt`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ONE = """
import json, resource, sys, time
name, kept, seconds = sys.argv[1], sys.argv[2] == "kept", float(sys.argv[3])
import numpy as np, torch
from gan_helpers import memory
from gan_helpers.course.authoring import plans
from gan_helpers.training import Trainer
if not kept:  # as on a system without mallopt
    memory.keep_freed = lambda: None
recipe = plans.planned(name).but(steps=10**6)
rng, size = np.random.default_rng(0), recipe.image_size
images = rng.integers(0, 256, (5000, recipe.channels, size, size), np.uint8)
labels = np.arange(5000) % 10
trainer = Trainer(recipe, images, "cpu", labels=labels, class_names=tuple("0123456789"))
for _ in range(5):
    trainer.train_step()
start, first = time.perf_counter(), trainer.step
while time.perf_counter() - start < seconds:
    trainer.train_step()
rate = (trainer.step - first) / (time.perf_counter() - start)
print(json.dumps([torch.get_num_threads(), rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def measured(name: str, kept: bool, seconds: float) -> tuple[int, float, float]:
    """Threads, steps a second and peak memory in MB of a process of its own."""
    command = [sys.executable, "-c", ONE, name, "kept" if kept else "given back", str(seconds)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["dcgan-celeba", "sagan-cifar10", "class-cifar10", "aux-cifar10", "small-cifar10"]
    p.add_argument("recipes", nargs="*", default=names)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=8)
    o = p.parse_args()
    lines = [f"{'recipe':<20} {'given back':>12} {'kept':>8}  ratio (lowest)   peak memory, given back and kept"]
    for name in o.recipes:
        pairs = [[measured(name, kept, o.seconds) for kept in (False, True)] for _ in range(o.rounds)]
        given, kept = (statistics.median(pair[side][1] for pair in pairs) for side in (0, 1))
        ratios = [pair[1][1] / pair[0][1] for pair in pairs]
        peaks = [max(pair[side][2] for pair in pairs) for side in (0, 1)]
        lines.append(
            f"{name:<20} {given:12.2f} {kept:8.2f}  {statistics.median(ratios):.2f} ({min(ratios):.2f})      "
            f"{peaks[0]:8.0f} MB {peaks[1]:8.0f} MB"
        )
        print(lines[-1], flush=True)
    head = f"{pairs[0][0][0]} threads; training steps a second, medians of {o.rounds} rounds of {o.seconds:g} s"
    text = "\n".join([head, *lines])
    print(text)
    (Path(__file__).parent / "results" / "memory.txt").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
