"""Our training step against the textbook's: same nets, weights, data and seeds, in turn, in one process.

    python benchmarks/train_step.py [--image-size 64] [--width 64] [--batch 128] [--rounds 5] [--steps 3]

Prints and keeps in `benchmarks/results/train_step.txt`: both rates and the median ratio; equality in float64, drift in
float32; our rate as a share of what this machine's own float32 matrix product would allow; and a profile of our step.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from textbook import loader, train_step, write_images

from gan_helpers import data, recipes
from gan_helpers.training import Trainer

GFLOP = 2.29  # an image of the 64x64, 64 wide DCGAN at the least: 8 passes of D and 3 of G, 0.208 GFLOP each


def matmul_rate(n: int = 2048, seconds: float = 2.0) -> float:
    """GFLOP/s of this machine's float32 matrix product, the best of several."""
    a, best, end = torch.randn(n, n), 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        best = max(best, 2 * n**3 / (time.perf_counter() - start) / 1e9)
    return best


class Textbook:
    """The peer, started from the weights of a Trainer."""

    def __init__(self, trainer: Trainer, batches) -> None:
        r = trainer.recipe
        self.nets = [
            copy.deepcopy(net).to(memory_format=torch.contiguous_format)
            for net in (trainer.generator, trainer.discriminator)
        ]
        options = dict(betas=(r.beta1, r.beta2), foreach=None, fused=None)  # PyTorch's defaults
        self.optimisers = [
            torch.optim.Adam(net.parameters(), lr=lr, **options)
            for net, lr in zip(self.nets, (r.g_lr, r.d_lr), strict=True)
        ]
        self.batches, self.trainer = iter(batches), trainer
        self.step = 0

    def train_step(self) -> tuple[float, ...]:
        real = next(self.batches)[0]
        if self.trainer.dtype == torch.float64:  # its transforms round in single precision: back to the bytes, and anew
            real = (real * 127.5 + 127.5).round().double() / 127.5 - 1
        with self.trainer.seeded(1, self.step):
            z = self.trainer.sample_z()
        self.step += 1
        return train_step(*self.nets, *self.optimisers, real, z)


def pair(recipe, images, folder: Path, steps: int, dtype=torch.float32) -> tuple[Textbook, Trainer]:
    """Both sides from the same weights, given the same images in the same order."""
    ours = Trainer(recipe, images, "cpu", dtype=dtype)
    epochs = 1 + steps * recipe.batch_size // len(images)
    rows = [i for epoch in range(epochs) for i in ours.batches.orders[0].epoch(epoch).tolist()]
    return Textbook(ours, loader(folder, rows, recipe.image_size, recipe.batch_size)), ours


def timed(side, steps: int, batch_size: int) -> float:
    """Images a second over `steps` steps."""
    start = time.perf_counter()
    for _ in range(steps):
        side.train_step()
    return steps * batch_size / (time.perf_counter() - start)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("image-size", 64), ("width", 64), ("batch", 128), ("rounds", 5), ("steps", 3)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "train_step.txt")
    o = p.parse_args()
    o.out.parent.mkdir(exist_ok=True)
    lines: list[str] = []

    def say(text: str) -> None:
        print(text, flush=True)
        lines.append(text)
        o.out.write_text("\n".join(lines) + "\n")

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    say(f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    images = data.load("faces").resized(o.image_size, 3).images[:1024]
    recipe = recipes.get("dcgan-celeba").but(
        image_size=o.image_size, g_width=o.width, d_width=o.width, batch_size=o.batch, ema=0, steps=1_000_000
    )
    with tempfile.TemporaryDirectory() as folder:
        files = write_images(Path(folder), images)

        small = recipe.but(batch_size=16)
        book, ours = pair(small, images, files, 20, torch.float64)
        worst = 0.0
        for _ in range(20):
            a, b = book.train_step(), ours.train_step().tolist()
            worst = max(worst, *(abs(x - y) for x, y in zip(a, b, strict=True)))
        gap = max(
            (x - y).abs().max().item()
            for mine, theirs in zip((ours.generator, ours.discriminator), book.nets, strict=True)
            for x, y in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True)
        )
        say(f"float64, 20 steps of 16: largest difference of losses {worst:.1e}, of weights {gap:.1e} (at most 1e-10)")
        assert worst < 1e-10 and gap < 1e-10

        book, ours = pair(small, images, files, 20)
        drift = [abs(book.train_step()[0] - ours.train_step()[0].item()) for _ in range(20)]
        say(f"float32: D loss differs by {drift[0]:.1e} in step 1 (at most 1e-5), by {max(drift):.1e} at most in 20")
        assert drift[0] < 1e-5

        book, ours = pair(recipe, images, files, (o.steps + 1) * (o.rounds + 1))
        timed(book, 1, o.batch), timed(ours, 1, o.batch)  # warm up
        rates = []
        for _ in range(o.rounds):
            gflops = matmul_rate()
            rates.append((timed(book, o.steps, o.batch), timed(ours, o.steps, o.batch), gflops))
            say("textbook {:6.1f}   ours {:6.1f} images/s   matrix product {:6.1f} GFLOP/s".format(*rates[-1]))
        say(f"median ratio {statistics.median(b / a for a, b, _ in rates):.2f}")
        if (o.image_size, o.width) == (64, 64):
            share = statistics.median(b * GFLOP / g for _, b, g in rates)
            say(f"our step runs at {share:.0%} of the matrix-product bound ({GFLOP} GFLOP an image)")

        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(o.steps):
                ours.train_step()
        table = profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=40)
        keep = [" ".join([row[:42], *row[42:].split()[:1]]) for row in table.splitlines() if "%" in row]
        say("profile of our step, share of processor time:\n" + "\n".join(keep))


if __name__ == "__main__":
    main()
