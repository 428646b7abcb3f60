"""Can a person tell a generated face from a photo? Pairs of one of each, and the score of the answers.

    python benchmarks/face_pairs.py sheets --data PATH [--generator best-celeba] [--out runs/face-pairs]
    python benchmarks/face_pairs.py score [--out runs/face-pairs]

`sheets` puts seeds 0 to 39 beside forty photos that trained nobody (PATH is a folder or zip of CelebA). Which side is
which is drawn at random, and every image is shown at three times its size, on numbered sheets, with a key that no
reader may see. Each reader says of every pair, alone, which one was generated, and writes `answers-WHO.json`: {"1":
"left", …}. `score` writes `benchmarks/results/face_pairs.json` (every answer) and `face_pairs.txt`. Who guesses finds
half of them. The sheets hold photos of people and stay out of the repository.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from naming import command
from PIL import Image, ImageDraw
from report import RESULTS, reporter

from gan_helpers import data, generators, latent, plots

SEEDS, SCALE, ON_A_SHEET, COLUMNS = range(40), 3, 10, 2
SIDES = ("left", "right")


def sheets(source: str, name: str, out: Path) -> None:
    """Write the sheets and `key.json`: number → the side of the generated image, its seed, the row of the photo."""
    net = generators.load_generator(name)
    real = data.load(source, net.recipe.image_size, split="report")
    z = torch.cat([latent.draw_z(1, net.latent_dim, seed) for seed in SEEDS])
    rng = np.random.default_rng(0)
    rows = rng.choice(len(real), len(SEEDS), replace=False)
    images = torch.stack([plots.to_uint8(latent.generate(net, z)), torch.from_numpy(real.images[rows])])  # (2, 40, …)
    generated_is = rng.permutation(len(SEEDS)) % 2  # 0 left, 1 right, each as often
    out.mkdir(parents=True, exist_ok=True)
    side, key = net.recipe.image_size * SCALE, {}
    for first in range(0, len(SEEDS), ON_A_SHEET):
        page = Image.new("RGB", (COLUMNS * (2 * side + 40), ON_A_SHEET // COLUMNS * (side + 40)), "white")
        for place, k in enumerate(range(first, first + ON_A_SHEET)):
            left, top = place % COLUMNS * (2 * side + 40) + 10, place // COLUMNS * (side + 40) + 30
            for position in range(2):
                tile = plots.grid(images[int(position != generated_is[k]), k : k + 1])
                tile = tile.resize((side, side), Image.Resampling.BICUBIC)
                page.paste(tile, (left + position * (side + 6), top))
            ImageDraw.Draw(page).text((left, top - 24), str(k + 1), fill="black", font_size=18)
            key[str(k + 1)] = {"generated": SIDES[generated_is[k]], "seed": SEEDS[k], "row": int(rows[k])}
        page.save(out / f"sheet-{first // ON_A_SHEET + 1}.png")
    (out / "key.json").write_text(json.dumps({"generator": name, "pairs": key}, indent=1) + "\n")
    print(f"{len(SEEDS) // ON_A_SHEET} sheets in {out}. Which one was generated: left or right?")


def interval(found: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over pairs, of a share (n,) each."""
    rows = np.random.default_rng(0).integers(0, len(found), (draws, len(found)))
    return tuple(np.quantile(found[rows].mean(1), [0.025, 0.975]))


def score(out: Path) -> None:
    """Count who found the generated one, and write table and answers."""
    key = json.loads((out / "key.json").read_text())
    answers = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("answers-*.json"))}
    right = np.array(
        [[told.get(n) == pair["generated"] for n, pair in key["pairs"].items()] for told in answers.values()]
    )
    say = reporter(RESULTS / "face_pairs.txt")
    say(f"{key['generator']}, seeds {SEEDS[0]} to {SEEDS[-1]}, each beside a photo that trained nobody")
    say(f"{len(answers)} readers found this share of the generated: {', '.join(f'{s:.2f}' for s in right.mean(1))}")
    low, high = interval(right.mean(0))
    say(f"mean: {right.mean():.2f}, 95 % of resamples of the pairs {low:.2f} to {high:.2f}; who guesses finds .50")
    say(f"found by most readers: {(right.sum(0) > len(answers) / 2).mean():.2f} of the pairs; by none: "
        f"{(right.sum(0) == 0).mean():.2f}")  # fmt: skip
    kept = {"generator": key["generator"], "pairs": key["pairs"], "answers": answers}
    (RESULTS / "face_pairs.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    command(__doc__, sheets, score, "celeba", "best-celeba", "face-pairs")
