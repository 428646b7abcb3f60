"""The one-minute recipe against others in the same minute: distance, precision, and the share of each style of head.

    python benchmarks/first_minute.py [NAME ...] [--seeds 0 1 2]

Every run gets a minute of two idle cores; `before` is the recipe as it was until November 2026. Prints a table, keeps
it in `benchmarks/results/first_minute.txt`, and draws the first images of each run into `runs/first_minute/`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from report import RESULTS, reporter

from gan_helpers import data, evaluation, features, latent, plots, recipes, runs

NOW = recipes.get("first-minute")
BEFORE = NOW.but(g_width=32, d_width=32, batch_size=64, decay=0.3)
FIRST = BEFORE.but(batch_size=32, d_width=24)  # better at once: the others begin here
SMALL = dict(family="small", net={"d_norm": "spectral"}, batch_size=32)
TRIED = {
    "now": NOW,
    "before": BEFORE,
    "first": FIRST,
    "batch 16": FIRST.but(batch_size=16),
    "batch 16, decay .6, ema .995": FIRST.but(batch_size=16, decay=0.6, ema=0.995),
    "batch 16, rates 1e-3": FIRST.but(batch_size=16, decay=0.6, g_lr=1e-3, d_lr=1e-3),
    "rates 1e-3, 2e-3, decay .6": FIRST.but(decay=0.6, g_lr=1e-3, d_lr=2e-3),
    "decay .6": FIRST.but(decay=0.6),
    "D of width 16": FIRST.but(d_width=16, decay=0.5),
    "D of width 32, ema .995": FIRST.but(d_width=32, ema=0.995),
    "no momentum": FIRST.but(beta1=0, decay=0.5),
    "bce": FIRST.but(loss="bce", decay=0.5),
    "flips, no brightness": FIRST.but(augment="", flip=True),
    "instance noise .15": FIRST.but(instance_noise=0.15, decay=0.5),
    "small nets": BEFORE.but(**SMALL, g_lr=4e-4, d_lr=8e-4),
    "small nets, D of width 16": BEFORE.but(**SMALL, d_width=16),
    "residual nets of width 16": BEFORE.but(
        family="residual", g_width=16, d_width=16, batch_size=32, g_lr=5e-4, d_lr=1e-3
    ),
}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=RESULTS / "first_minute.txt")
    p.add_argument("names", nargs="*", default=["now", "before"], help=", ".join(TRIED))
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    o = p.parse_args()
    say, faces, asked = reporter(o.out), data.load("faces"), features.questioner("faces")
    pictures = Path("runs") / "first_minute"
    pictures.mkdir(parents=True, exist_ok=True)
    say(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; a minute each")
    say(f"{'recipe':28} seed   steps  1000 KD(faces-net)  precision  share of toon heads (of real ones .50)")
    for name in o.names:
        for seed in o.seeds:
            with tempfile.TemporaryDirectory() as folder:
                recipe = TRIED[name].but(seed=seed)
                trainer = runs.train(recipe, faces, Path(folder) / "run", progress=False)
            options = dict(n=1000, metrics=("kernel", "precision"), network="faces-net", draws=2, progress=False)
            found = evaluation.evaluate(trainer.ema, "faces", **options)
            images = latent.generate(trainer.ema, latent.draw_z(1000, recipe.latent_dim, seed=5))
            toon = asked.answers(plots.to_uint8(images))["style"].argmax(1).float().mean().item()
            kd, precision = (found[metric].value for metric in ("kernel", "precision"))
            say(f"{name:28} {seed:4} {trainer.step:7,}  {1000 * kd:18.1f}  {precision:9.2f}  {toon:.2f}")
            plots.grid(images[:64], 16, 2).save(pictures / f"{name.replace(' ', '-')}-{seed}.png")


if __name__ == "__main__":
    main()
