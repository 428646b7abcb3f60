"""The gallery: every recipe trained for the same time and measured alike.

    python -m gan_helpers.course.authoring.gallery plan | train | board | stills [RECIPE ...] [--data NAME=PATH ...]

`plan` measures this machine and decides width and steps, `train` trains, exports and scores what is missing, `board`
writes the tables and animations into data/generators/README.md and draws the picture of samples, `stills` draws
`images/NAME-samples.webp`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from ... import checkpoints, data, evaluation, features, frames, generators, latent, plots, recipes, runs
from ...animate import animate
from ...environment import DATA, ROOT
from ...errors import CourseError, in_one_line, speak_anyway
from ...files import save_atomically, save_text
from ...recipes import Recipe
from ...training import Trainer

MINUTES = {  # on two CPU cores; 20 for each system as published, so that they can be compared
    **dict.fromkeys(
        ("aux-cifar10", "acgan-cifar10", "genzoo-cifar10", "lin-cifar10", "dcgan-fid-cifar10", "sagan-cifar10"), 20
    ),
    **dict.fromkeys(("conv-cifar10", "genzoo-mnist", "conv-mnist", "conv-celeba"), 20),
    **dict.fromkeys(("best-cifar10", "best-cifar10-uncond"), 20),
    "class-cifar10": 60,
}
LEAST_STEPS = 3000  # at the largest of these widths that makes so many in 20 minutes
WIDTHS = (1, 2, 4)  # full, half, quarter
PLAN, BOARD = DATA / "generators" / "plan.json", DATA / "generators" / "leaderboard.json"
PAGE = DATA / "generators" / "README.md"  # which shows both
LIMITS = {
    "cifar10": "32x32 objects, hardly any of which would be taken for a photo",
    "fashion_mnist": "32x32 clothes in grey",
    "celeba": "64x64; as biased as its data; not for identifying, profiling or deceiving people",
}
LICENCES = {
    "cifar10": "for study; the images' own terms apply to what was learned",
    "celeba": "non-commercial research only, as CelebA; outside the licence of the code",
}


def narrowed(recipe: Recipe, divisor: int) -> Recipe:
    """The recipe with nets of 1/divisor of their width."""
    return recipe.but(g_width=recipe.g_width // divisor, d_width=recipe.d_width // divisor)


def kind_of(recipe: Recipe) -> str:
    """The data set that a recipe is trained on here: Fashion-MNIST stands in for MNIST."""
    return "fashion_mnist" if recipe.data == "mnist" else recipe.data


def source_of(recipe: Recipe, sources: dict[str, str]) -> str:
    """Where a recipe's data lie."""
    return sources.get(kind_of(recipe), kind_of(recipe))


def opened(recipe: Recipe, sources: dict[str, str]) -> data.ImageSet:
    return data.load(source_of(recipe, sources), recipe.image_size, recipe.channels)


def plan(names: list[str], sources: dict[str, str], seconds: float = 20.0) -> None:
    """Measure each recipe's bare step on this machine, which should be idle; write width and steps to `plan.json`.

    Its images/s are the step's alone, to plan by; a run's own stand in its card.
    """
    found = json.loads(PLAN.read_text("utf-8")) if PLAN.exists() else {}
    for name in names:
        whole = recipes.get(name)
        images = opened(whole, sources)
        for divisor in WIDTHS:
            recipe = narrowed(whole, divisor).but(steps=10**6)
            trainer = Trainer(recipe, images.images, labels=images.labels, class_names=images.class_names)
            trainer.train_step()
            trainer.train_step()
            began, first = time.perf_counter(), trainer.step
            while time.perf_counter() - began < seconds:
                trainer.train_step()
            rate = (trainer.step - first) / (time.perf_counter() - began)
            if rate * 20 * 60 >= LEAST_STEPS:
                break
        steps = round(rate * 60 * MINUTES[name] / 10) * 10
        found[name] = {"divisor": divisor, "steps": steps, "images_per_second": round(rate * recipe.batch_size)}
        print(f"{name}: 1/{divisor} of the width, {steps:,} steps, {rate * recipe.batch_size:.0f} images/s", flush=True)
        save_text(PLAN, json.dumps(found, indent=2) + "\n")


def train(names: list[str], sources: dict[str, str]) -> None:
    """Train, export and measure each recipe that is not shipped yet. Interrupted runs go on where they stopped."""
    for name in names:
        if name in generators.shipped():
            continue
        try:
            planned = json.loads(PLAN.read_text("utf-8"))[name]
        except (OSError, ValueError, KeyError):
            raise CourseError(f"{name} is not in {PLAN}: run the command plan first, on an idle machine.") from None
        recipe = narrowed(recipes.get(name), planned["divisor"]).but(steps=planned["steps"])
        images, source = opened(recipe, sources), source_of(recipe, sources)
        folder = Path("runs") / "gallery" / name
        judge = evaluation.Judge(source, channels=recipe.channels, image_size=recipe.image_size)
        every = max(100, recipe.steps // 15)
        set_itself = replace(images, name=kind_of(recipe))  # wherever its images lie
        trainer = runs.train(recipe, set_itself, folder, judge=judge, score_every=every, resume=folder.exists())
        if not trainer.finished:
            return
        measure(name, folder, source)
        film(name, folder, trainer)
        export(name, folder, recipe, images, planned)


def export(name: str, folder: Path, recipe: Recipe, images: data.ImageSet, planned: dict) -> None:
    """Write the best generator of a run, with its card, to where the shipped ones lie."""
    jpeg = "; its pixels were JPEG re-encoded (quality 75)" if "jpeg" in images.name else ""
    header = checkpoints.read(generators.find(folder))[1]  # of the last checkpoint: the whole run
    seconds, seen = float(header["seconds"]), int(header["step"]) * recipe.batch_size * recipe.d_steps
    card = {
        "minutes_of_the_run": round(seconds / 60, 1),
        "images_per_second": round(seen / seconds),
        "data": f"{images.name}, {len(images):,} training images{jpeg}",
        "licence": "MIT, as the code" if images.shareable else LICENCES[kind_of(recipe)],
        "limits": LIMITS[kind_of(recipe)].replace("32x32", f"{recipe.image_size}x{recipe.image_size}", 1),
        "width": f"1/{planned['divisor']} of the recipe's",
    }
    generators.export_generator(folder / "best.safetensors", generators.SHIPPED / f"{name}.safetensors", **card)


DRAWS, T = 5, 2.776  # fresh sets of images; Student's t for the 95 % interval of their mean, 4 degrees of freedom


def judged(path: str | Path, source: str, networks: Sequence[str], n: int | None = None) -> dict[str, dict[str, dict]]:
    """What each network says of n images of a generator: network → metric → the fields of its `evaluation.Score`."""
    options = dict(n=n, draws=DRAWS, progress=False)
    scores = {network: evaluation.evaluate(path, source, network=network, **options) for network in networks}
    return {network: {metric: asdict(s) for metric, s in found.items()} for network, found in scores.items()}


def judges_of(recipe: Recipe) -> tuple[str, ...]:
    """The networks that the board asks: `imagenet` where it is installed, and the data set's own."""
    own = features.own_of(kind_of(recipe), recipe.channels)
    return (features.IMAGENET, own) if features.imagenet_installed() else (own,)


def measure(name: str, folder: Path, source: str) -> None:
    """Score the best and the last generator of a run."""
    paths = {"best": folder / "best.safetensors", "last": folder}
    scores = {which: judged(path, source, judges_of(recipes.get(name))) for which, path in paths.items()}
    board = json.loads(BOARD.read_text("utf-8")) if BOARD.exists() else {}
    board[name] = scores
    save_text(BOARD, json.dumps(board, indent=1) + "\n")


def film(name: str, folder: Path, trainer: Trainer) -> None:
    """Animate the steps that led to the best generator of a run, as WebP; the last frame is that generator's own."""
    kept, by_class = folder / "best.safetensors", trainer.recipe.conditional
    led_to_it = frames.half_frames(folder, by_class, until=int(checkpoints.read(kept)[1]["step"]) - 1)
    best = generators.load_generator(kept)
    last = frames.sheet(best, *frames.fixed_latents(trainer))
    path = ROOT / "images" / f"{name}.webp"
    animate([*led_to_it, frames.half(last, by_class)], path, quality=70, max_bytes=512_000)


SETS = {
    "cifar10": "CIFAR-10",
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
    "celeba": "CelebA",
    "faces": "Cartoon faces",
}
COLUMNS = (
    "generator", "1000 x KD", "FD", "precision", "recall", "own network: 1000 x KD", "parameters",
    "images seen", "images/s", "minutes",
)  # fmt: skip
NOTES = """\
**How to read the columns.** **KD** is the kernel distance and **FD** the Fréchet distance between generated and real
images; smaller is better. The first columns look at the images through `imagenet`, a network that was trained on
photographs of a thousand kinds of things and never saw these data. For digits, clothes and drawings its eyes are weak.
The column *own network* looks through the course's own small network, which was trained on these very data. ± is half
the 95 % interval over five fresh sets of images from *one* training run: another seed of training would move most
generators further than that. Both sides come to the network in the generator's own size. FD is left out where there are
fewer images than twice the network's features. *At the end* is the KD of a run's last generator, where that is not the
one that was kept. Images/s and minutes are of the whole run without the scoring; early runs did not note them, show no
rate, and show the minutes that they were planned for.

**This is not the official FID**, which needs the weights of Inception and 50,000 images. On a GPU, at a recipe's full
width and length, these two commands measure it, against the official test images (papers mostly take the training
images):

```
python -m gan_helpers train NAME --out runs/NAME-full
python -m gan_helpers evaluate runs/NAME-full --data cifar10 --n 50000 --features inception
```"""
MARKS = "<!-- leaderboard -->", "<!-- end of leaderboard -->"


def interval(score: evaluation.Score, scale: float = 1.0, digits: int = 1) -> str:
    """The mean over draws, and half its 95 % interval, times `scale`."""
    half = T * (score.spread or 0) / score.draws**0.5
    return f"{scale * score.value:.{digits}f} ± {scale * half:.{digits}f}"


def leaderboard(names: list[str] | None = None) -> tuple[list[str], str]:
    """The shipped generators among `names` (all), a table for each data set, smallest kernel distance first."""
    kept, shipped = json.loads(BOARD.read_text("utf-8")), generators.shipped()
    found = {
        name: {
            which: {n: {k: evaluation.Score(**s) for k, s in by.items()} for n, by in judges.items()}
            for which, judges in kept[name].items()
        }
        for name in names or kept
        if name in kept and name in shipped
    }
    order, lines = [], []
    for kind, title in SETS.items():
        own = [name for name in found if kind_of(recipes.get(name)) == kind]
        own.sort(key=lambda name: next(iter(found[name]["best"].values()))["kernel"].value)
        if own:
            order += own
            lines += [f"**{title}**", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
            lines += [row(name, found[name]) for name in own]
            judges = {s["kernel"].network: s["kernel"] for name in own for s in found[name]["best"].values()}
            lines += ["", *map(protocol_line, judges.values()), ""]
    return order, "\n".join([*lines, NOTES])


def row(name: str, found: dict) -> str:
    """A generator's line of the board."""
    card, (first, *others) = generators.load_generator(name).card, found["best"].values()
    last = next(iter(found["last"].values()))["kernel"] if "last" in found else None
    cells = (
        f"[`{name}`]({name}.md)",
        interval(first["kernel"], 1000) + (f", at the end {1000 * last.value:.1f}" if last else ""),
        interval(first["frechet"]) if "frechet" in first else "—",
        *(f"{first[metric].value:.2f}" for metric in ("precision", "recall")),
        interval(others[0]["kernel"], 1000) if others else "—",
        f"{card['parameters'] / 1e6:.1f} M",
        f"{card['images_seen']:,}",
        f"{card.get('images_per_second', '—')}",
        f"{card.get('minutes_of_the_run', MINUTES.get(name, card['minutes']))}",
    )
    return f"| {' | '.join(cells)} |"


def protocol_line(score: evaluation.Score) -> str:
    """What a table's numbers depend on, and what real images score."""
    floor = f"; real images among themselves {abs(1000 * score.floor):.1f}" if score.floor is not None else ""
    return (
        f"- {score.name}: {score.draws} x {score.n:,} images against {score.reference.rpartition(' ')[0]}; network "
        f"{score.weights}, {score.resize}{floor}"
    )


def films(order: list[str]) -> str:
    """The animations of the generators in `order`, three in a row, as Markdown that folds up."""
    lines = ["<details><summary>How they learned: an animation of each, from fixed noise</summary>", ""]
    for start in range(0, len(order), 3):
        row = order[start : start + 3]
        alt = "Generated images of {0} form from noise while it trains"
        shown = (f'<img src="../../images/{name}.webp" width="270" alt="{alt.format(name)}">' for name in row)
        lines += [f"| {' | '.join(row)} |", "|---" * len(row) + "|", f"| {' | '.join(shown)} |", ""]
    return "\n".join([*lines, "</details>"])


def board(names: list[str], sources: dict[str, str]) -> None:
    """Write table and animations into the generators' page, and draw `images/gallery.webp`: twenty samples of each."""
    order, table = leaderboard(names)
    print(table)
    before, mark, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise CourseError(f"{PAGE} has no place for the table, between {MARKS[0]} and {MARKS[1]}.")
    save_text(PAGE, f"{before}{mark}\n{table}\n\n{films(order)}\n{end}{after}")
    shown = [*order, *(name for name in generators.shipped() if name not in order)]
    page = Image.new("RGB", (190 + 20 * 66, len(shown) * 70), "white")
    for k, name in enumerate(shown):
        net = generators.load_generator(name)
        images = latent.generate(net, latent.draw_z(20, net.latent_dim))  # (20, C, S, S)
        page.paste(plots.grid(F.interpolate(images, 64, mode="nearest"), 20), (190, 70 * k))
        ImageDraw.Draw(page).text((4, 70 * k + 24), name, fill="black", font_size=16)
    save_atomically(ROOT / "images" / "gallery.webp", partial(page.save, quality=90))


def stills(names: list[str], sources: dict[str, str]) -> None:
    """Draw the first images of shipped generators, not picked: 64, or 12 of each class, enlarged twice, by its name."""
    for name in names:
        net = generators.load_generator(name)
        if not net.class_names:
            page = plots.grid(latent.generate(net, latent.draw_z(64, net.latent_dim)))
        else:
            labels = torch.arange(net.num_classes).repeat_interleave(12)
            images = latent.generate(net, latent.draw_z(len(labels), net.latent_dim), labels)  # (N, C, S, S)
            sheet = plots.grid(F.interpolate(images, scale_factor=2, mode="bilinear"), 12)
            page = Image.new("RGB", (96 + sheet.width, sheet.height), "white")
            page.paste(sheet, (96, 0))
            for k, kind in enumerate(net.class_names):
                middle = (k + 0.5) * page.height / net.num_classes
                ImageDraw.Draw(page).text((88, middle), kind, fill="black", font_size=15, anchor="rm")
        save_atomically(ROOT / "images" / f"{name}-samples.webp", partial(page.save, quality=90))


def main(argv: list[str] | None = None) -> int:
    about = __doc__.partition("\n")[0]
    p = argparse.ArgumentParser(prog="python -m gan_helpers.course.authoring.gallery", description=about)
    p.add_argument("job", choices=("plan", "train", "board", "stills"))
    p.add_argument("names", nargs="*", help="recipes (default: all)")
    p.add_argument("--data", nargs="+", default=[], metavar="NAME=PATH", help="where data sets lie, e.g. cifar10=c.zip")
    speak_anyway()
    o = p.parse_args(argv)
    known = [*MINUTES, *(generators.shipped() if o.job in ("board", "stills") else ())]  # also those made elsewhere
    names = o.names or list(dict.fromkeys(known))
    try:
        if odd := [*(p for p in o.data if "=" not in p), *(n for n in names if n not in known)]:
            raise CourseError(f"'{odd[0]}' is no recipe of the gallery and no NAME=PATH. It has: {', '.join(MINUTES)}.")
        sources = dict(pair.split("=", 1) for pair in o.data)
        {"plan": plan, "train": train, "board": board, "stills": stills}[o.job](names, sources)
    except Exception as error:
        if (told := in_one_line(error)) is None:
            raise
        print(f"gallery: {told}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
