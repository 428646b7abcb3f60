"""What a learner feels: `first-minute` after 60 seconds beside the textbook's 64x64 DCGAN after 10 minutes, same data.

    python benchmarks/time_to_quality.py [--seconds 60] [--textbook-seconds 600]

Writes `images/time_to_quality.png` (ours above, textbook below) and prints what each side saw.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from textbook import loader, write_images
from textbook import train_step as textbook_step

from gan_helpers import data, plots, recipes
from gan_helpers.latent import draw_z, generate
from gan_helpers.training import Trainer

IMAGES = Path(__file__).resolve().parents[1] / "images"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--textbook-seconds", type=float, default=600)
    o = p.parse_args()
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
    page.save(IMAGES / "time_to_quality.png")


if __name__ == "__main__":
    main()
