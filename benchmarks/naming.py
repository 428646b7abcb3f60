"""Can a person name what a generator draws? Sheets of images to name, and the score of the answers.

    python benchmarks/naming.py sheets --data PATH [--generator best-cifar10] [--out runs/naming]
    python benchmarks/naming.py score [--out runs/naming]

`sheets` draws seeds 0 to 19 of six classes, mixes them with twenty real images of each class that trained nobody
(PATH is a folder or zip of CIFAR-10), and writes them in shuffled order onto numbered sheets, every image at four times
its size, with a key that no reader may see. Each reader chooses one of ten names for every number, alone, and writes
`answers-WHO.json`: {"1": "ship", …}. An image is named when three of five readers say its class. `score` writes
`benchmarks/results/naming.json` (every answer) and `naming.txt`. The sheets hold real photos and stay out of the
repository.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from report import RESULTS, reporter

from gan_helpers import data, generators, latent, plots

ASKED = ("ship", "automobile", "horse", "frog", "truck", "airplane")
SEEDS, SCALE, ON_A_SHEET, COLUMNS = range(20), 4, 20, 5
AGREE = 3  # readers


def sheets(source: str, name: str, out: Path) -> None:
    """Write the sheets and `key.json`: number → class, whether it is real, and the seed or row."""
    net, real = generators.load_generator(name), data.load(source, 32, split="report")
    tiles, key = [], []
    for kind in ASKED:
        label = net.class_names.index(kind)
        z = torch.cat([latent.draw_z(1, net.latent_dim, seed) for seed in SEEDS])
        tiles.append(plots.to_uint8(latent.generate(net, z, torch.full((len(z),), label))))
        key += [{"class": kind, "real": False, "seed": seed} for seed in SEEDS]
        rows = np.flatnonzero(real.labels == real.class_names.index(kind))[: len(SEEDS)]
        tiles.append(torch.from_numpy(real.images[rows]))
        key += [{"class": kind, "real": True, "row": int(row)} for row in rows]
    images = torch.cat(tiles)  # uint8 (240, 3, 32, 32)
    order = np.random.default_rng(0).permutation(len(images))
    out.mkdir(parents=True, exist_ok=True)
    side = 32 * SCALE
    for first in range(0, len(order), ON_A_SHEET):
        page = Image.new("RGB", (COLUMNS * (side + 20) + 20, ON_A_SHEET // COLUMNS * (side + 36) + 10), "white")
        for place, row in enumerate(order[first : first + ON_A_SHEET]):
            left, top = place % COLUMNS * (side + 20) + 20, place // COLUMNS * (side + 36) + 28
            tile = plots.grid(images[row : row + 1]).resize((side, side), Image.Resampling.BICUBIC)
            page.paste(tile, (left, top))
            ImageDraw.Draw(page).text((left, top - 22), str(first + place + 1), fill="black", font_size=18)
        page.save(out / f"sheet-{first // ON_A_SHEET + 1:02}.png")
    told = {str(k + 1): key[row] for k, row in enumerate(order)}
    (out / "key.json").write_text(json.dumps({"generator": name, "images": told}, indent=1) + "\n")
    print(f"{len(order) // ON_A_SHEET} sheets in {out}. Names: {', '.join(net.class_names)}.")


def interval(named: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over images bool (classes, n): images are drawn anew within each class."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, named.shape[1], (draws, *named.shape))
    means = np.take_along_axis(named[None], rows, 2).mean((1, 2))
    return tuple(np.quantile(means, [0.025, 0.975]))


def score(out: Path) -> None:
    """Count how many readers named each image, and write table and answers."""
    key = json.loads((out / "key.json").read_text())
    answers = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("answers-*.json"))}
    images = key["images"]
    say = reporter(RESULTS / "naming.txt")
    say(f"{key['generator']}, seeds {SEEDS[0]} to {SEEDS[-1]} of each class; {len(answers)} readers, ten names; named: "
        f"{AGREE} say the class")  # fmt: skip
    named = {}  # (class, real) → bool (n,)
    for kind in ASKED:
        for real in (False, True):
            numbers = [n for n, k in images.items() if (k["class"], k["real"]) == (kind, real)]
            right = [sum(told.get(n) == kind for told in answers.values()) for n in numbers]
            named[kind, real] = np.array(right) >= AGREE
    say(f"{'class':12} generated  real")
    for kind in ASKED:
        say(f"{kind:12} {named[kind, False].mean():9.2f}  {named[kind, True].mean():4.2f}")
    for real, title in ((False, "generated"), (True, "real")):
        all_of_them = np.stack([named[kind, real] for kind in ASKED])  # (6, 20)
        low, high = interval(all_of_them)
        say(f"mean, {title}: {all_of_them.mean():.2f}, 95 % of resamples of the images {low:.2f} to {high:.2f}")
    (RESULTS / "naming.json").write_text(json.dumps({"generator": key["generator"], "images": images,
                                                     "answers": answers}, indent=1) + "\n")  # fmt: skip


def command(about: str, sheets, score, data_set: str, generator: str, out: str) -> None:
    """The command line of a test by eye: `sheets` (data, generator, folder) before the readings, `score` after them."""
    p = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("job", choices=("sheets", "score"))
    p.add_argument("--data", default=data_set)
    p.add_argument("--generator", default=generator)
    p.add_argument("--out", type=Path, default=Path("runs") / out)
    o = p.parse_args()
    if o.job == "sheets":
        sheets(o.data, o.generator, o.out)
    else:
        score(o.out)


if __name__ == "__main__":
    command(__doc__, sheets, score, "cifar10", "best-cifar10", "naming")
