"""The command line: `python -m gan_helpers COMMAND`, also as `gan-helpers`."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from . import memory
from .errors import CourseError, in_one_line, speak_anyway

# Each command imports what it needs: PyTorch takes a second or two, and help and wrong options are answered at once.


def list_all(o: argparse.Namespace) -> None:
    if o.recipe is not None:
        list_options(o.recipe, o.json)
        return
    from . import cards, data, features, metrics, recipes
    from .environment import DATA

    generators, networks = (cards.shipped(DATA / kind) for kind in ("generators", "networks"))
    table = {
        "recipes": {name: r.about for name, r in recipes.RECIPES.items()},
        "data": {**data.EMBEDDED, **data.DOWNLOADED, "PATH": "a folder or zip of your own images"},
        "generators": {name: about(path, "recipe", "about") for name, path in generators.items()},
        "metrics": {name: metric.about for name, metric in metrics.METRICS.items()},
        "networks": {name: about(path, "card", "trained on") for name, path in networks.items()} | features.OTHERS,
    }
    if o.json:
        print(json.dumps(table, indent=2))
        return
    for title, rows in table.items():
        print(f"{title}:")
        for name, line in rows.items():
            print(f"  {name:<22} {line}")


def list_options(name: str, as_json: bool) -> None:
    from . import recipes
    from .options import described

    recipe = recipes.get(name)
    if as_json:
        print(recipe.to_json())
        return
    for option, value, allowed, meaning in described(recipe):
        print(f"{option:<16} {value:<12} {meaning}" + (f" ({allowed})" if allowed else ""))


def about(path: Path, text: str, key: str) -> str:
    """What a trained file tells of itself in `text` of its header, which is JSON, under `key`."""
    from . import cards

    try:
        return json.loads(cards.header(path)[text])[key]
    except (CourseError, KeyError, TypeError, ValueError) as error:
        return f"damaged: {error}"


def train(o: argparse.Namespace) -> int:
    if o.features and not o.score_every:
        raise CourseError("--features names the network that scores: give --score-every STEPS too.")
    from . import environment, recipes, runs
    from .devices import pick_device

    changes = dict(pair.split("=", 1) for pair in o.set)
    changes |= {k: getattr(o, k) for k in (*recipes.BUDGETS, "data") if getattr(o, k) is not None}
    recipe = recipes.get(o.recipe).but(**changes)
    pick_device(o.device)
    folder = environment.at_home(o.out or runs.default_folder(recipe))
    if o.resume and (folder / runs.KEPT).exists() and (begun := runs.recipe_of(folder)).name == recipe.name:
        recipe = begun.but(**changes)  # what was set when the run began need not be typed again
    runs.claim(folder, recipe, o.resume)  # before minutes of decoding
    opening = {"fallback": o.fallback, "skip_broken": o.skip_broken}
    images, judge = runs.open_images(recipe, folder, **opening), None
    recipe = runs.told_of(recipe, images)
    if o.score_every:
        from .evaluation import Judge

        judge = Judge(recipe.data, o.features, channels=recipe.channels, image_size=recipe.image_size, **opening)
    print(f"{recipe.name} on {images}, in {folder}")
    options = {"judge": judge, "score_every": o.score_every, "threads": o.threads, "progress": not o.quiet}
    trainer = runs.train(recipe, images, folder, device=o.device, resume=o.resume, save_every=o.save_every, **options)
    for what, name in {"grid": "samples.png", "curves": "losses.png", "animation": "training.gif"}.items():
        if (folder / name).exists():
            print(f"{what:<10} {folder / name}")
    return 0 if trainer.finished else 130


def sample(o: argparse.Namespace) -> None:
    out = checked_out(o.out, (".png", ".npy"))
    import numpy as np
    import torch

    from . import files, generators, plots
    from .latent import draw_z, generate

    generator = generators.load_generator(o.source)
    labels = None
    if o.class_name is not None:
        labels = torch.full((o.n,), generators.class_number(generator, o.class_name))
    z = draw_z(o.n, generator.recipe.latent_dim, o.seed)  # (N, latent_dim)
    images = generate(generator, z, labels, each=plots.to_uint8)  # (N, C, S, S)

    def write(part: Path) -> None:
        with open(part, "wb") as file:
            np.save(file, images.permute(0, 2, 3, 1).numpy())

    files.save_atomically(out, plots.grid(images).save if out.suffix.lower() == ".png" else write)
    print(f"{o.n} images in {out}")


def animate(o: argparse.Namespace) -> None:
    from . import animate as animation
    from . import frames
    from .environment import at_home

    out, run = checked_out(o.out, animation.SUFFIXES), at_home(o.run)
    if not (run / "frames").is_dir():
        raise CourseError(f"{o.run} is no run folder: it has no frames.")
    animation.animate(frames.frames(run), out, fps=o.fps)
    print(f"{out} ({out.stat().st_size:,} bytes)")


def walk(o: argparse.Namespace) -> None:
    from . import animate as animation

    out = checked_out(o.out, animation.SUFFIXES)
    animation.check_format(out)
    import torch

    from . import generators, latent
    from .console import bar

    generator, frames = generators.load_generator(o.source), max(2, round(o.seconds * o.fps))
    keys = torch.stack([latent.draw_z(o.n, generator.latent_dim, seed) for seed in o.seeds])  # (K, N, latent_dim)
    if o.direction is None:
        z = torch.stack([latent.walk(stops, frames) for stops in keys.unbind(1)], 1)
    else:
        z = latent.swing(keys[0], direction(generator, o.direction), frames)
    drawing = animation.film(lambda step: latent.generate(generator, step), z)
    pictures = list(bar(drawing, total=frames, unit="frame", desc=out.name))
    animation.animate(pictures, out, fps=o.fps, hold=0, max_bytes=round(o.max_mb * 1e6))
    print(f"{out} ({out.stat().st_size:,} bytes, {frames / o.fps:.1f} s)")


def direction(generator, name: str):
    """A direction (latent_dim,) by number, 1 being the strongest, or by attribute."""
    from . import data, directions

    if name.isdecimal():
        found = directions.principal(generator)
        if not 1 <= int(name) <= len(found):
            raise CourseError(f"--direction takes 1 to {len(found)}, or an attribute; got '{name}'.")
        return found[int(name) - 1]
    r = generator.recipe
    if r.data not in data.EMBEDDED:
        raise CourseError(f"The images of {r.data} have no attributes at hand: --direction takes a number.")
    probe = directions.Probe.fit(data.load(r.data, r.image_size, r.channels), (name,))
    return directions.attribute_directions(generator, probe)[name]


def export_explorer(o: argparse.Namespace) -> None:
    out = checked_out(o.out, (".html",))
    from . import generators, page

    page.export_page(generators.load_generator(o.source), out, Path(o.source).stem)
    print(f"{out} ({out.stat().st_size:,} bytes): open it in a browser")


def export(o: argparse.Namespace) -> None:
    from . import generators

    texts = {k: getattr(o, k) for k in ("data", "licence", "limits") if getattr(o, k)}
    out = generators.export_generator(o.run, checked_out(o.out, (".safetensors",)), **texts)
    print(f"{out} ({out.stat().st_size:,} bytes) and its card {out.with_suffix('.md')}")


def evaluate(o: argparse.Namespace) -> None:
    from . import evaluation, files

    out = checked_out(o.out, (".json",)) if o.out else None
    metrics = None if o.metrics is None else tuple(o.metrics.split(","))
    options = {"labels": o.labels, "skip_broken": o.skip_broken}
    scores = evaluation.evaluate(o.source, o.data, o.n, metrics, o.features, o.draws, **options)
    print(evaluation.table(scores))
    if out:
        files.save_text(out, evaluation.to_json(scores))
        print(f"in full: {out}")


def evaluate_classes(o: argparse.Namespace) -> None:
    out = checked_out(o.out, (".png", ".json")) if o.out else None
    from . import by_class, files

    found = by_class.by_class(o.source, o.data, o.n, o.seed, o.classifiers, o.features, skip_broken=o.skip_broken)
    print(found)
    if out and out.suffix.lower() == ".png":
        files.save_atomically(out, found.plot().savefig)
    elif out:
        files.save_text(out, found.to_json())


def network(o: argparse.Namespace) -> None:
    from . import classifier, data, environment

    out = checked_out(o.out or f"{environment.at_home(o.data).resolve().stem}-net.safetensors", (".safetensors",))
    splits = (data.load(o.data, o.image_size, split=s, skip_broken=o.skip_broken) for s in ("train", "held-out"))
    options = {key: getattr(o, key) for key in ("image_size", "width", "epochs", "flip", "seed", "device")}
    right = classifier.train_classifier(*splits, out, **options)
    for question, share in right.items():
        print(f"{question:<16} {share:.1%} right on held-out images")
    print(f"{out} ({out.stat().st_size:,} bytes) and its card {out.with_suffix('.md')}")


def checked_out(name: str, suffixes: tuple[str, ...]) -> Path:
    """The path to write to, its folder made.

    Raises:
        CourseError: another file type, or a folder that cannot be made.
    """
    from .environment import at_home

    path = at_home(name)
    if path.suffix.lower() not in suffixes:
        raise CourseError(f"--out must end in {' or '.join(suffixes)}; got '{name}'.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CourseError(f"The folder of --out {name} cannot be made ({error.strerror}).") from None
    return path


def number(kind: type, low: float, high: float) -> Callable[[str], float]:
    """A reader of an option that is a number, whole (`int`) or not (`float`), between `low` and `high`."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if low <= (value := kind(text)) <= high:  # nan is not, either
                return value
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"must be {what} between {low:,} and {high:,}; got '{text}'")

    return read


def setting(text: str) -> str:
    """A `key=value`, as it is."""
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"takes key=value; got '{text}'")
    return text


class Parser(argparse.ArgumentParser):
    """One that tells of a wrong word in one line, as every other error is told."""

    def error(self, message: str) -> None:
        message = re.sub("^argument ([^:]+): ", r"\1 ", message)
        raise CourseError(f"{message}. Help: {self.prog} --help")


SEED = number(int, 0, 2**32 - 1)
GENERATOR = "a shipped name, a run folder or a checkpoint"


def parser() -> Parser:
    """Every command with its options; whatever is wrong with a single one of them is told here."""
    p = Parser(prog="gan-helpers", description="Train, sample and animate the GANs of the course.")
    commands = p.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call, about: str) -> argparse.ArgumentParser:
        c = commands.add_parser(name, help=about, description=about)
        c.set_defaults(call=call)
        return c

    c = command("list", list_all, "recipes, data sets, shipped generators, metrics and networks that measure")
    c.add_argument("recipe", nargs="?", help="a recipe: what each of its options is, may be and does")
    c.add_argument("--json", action="store_true")

    c = command("train", train, "train a recipe in a run folder")
    c.add_argument("recipe", help="see `list`")
    c.add_argument("--data", help="a data set's name, or a folder or zip of images (default: the recipe's)")
    budget = c.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=float, help="total passes over the data")
    budget.add_argument("--steps", type=int, help="total generator updates")
    budget.add_argument("--minutes", type=float, help="total training time")
    c.add_argument("--out", help="the run folder (default: runs/RECIPE)")
    c.add_argument("--resume", action="store_true", help="go on where the folder's last checkpoint stopped")
    c.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", action="extend", type=setting,
                   help="change options of the recipe or its nets, such as g_lr=1e-4 net.d_norm=spectral; `list "
                   "RECIPE` tells them all")  # fmt: skip
    c.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    c.add_argument("--threads", type=int, help="of the CPU (default: the checkpoint's, or the fastest of a short test)")
    c.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
    c.add_argument("--fallback", choices=("faces", "fashion"), help="the embedded set to use where a download fails")
    c.add_argument("--save-every", type=number(float, 1, 1e9), default=60, metavar="SECONDS",
                   help="between checkpoints (default 60)")  # fmt: skip
    c.add_argument("--score-every", type=number(int, 0, 10**9), default=0, metavar="STEPS",
                   help="score against held-out images, and keep the best generator (default: never)")  # fmt: skip
    c.add_argument("--quiet", action="store_true", help="no progress bar (in a log it is a line a minute)")
    c.add_argument("--features", help="the network that scores (default: imagenet where it is installed)")

    c = command("sample", sample, "draw images from a generator")
    c.add_argument("source", help=GENERATOR)
    c.add_argument("--n", type=number(int, 1, 100_000), default=64)
    c.add_argument("--seed", type=SEED, default=0)
    c.add_argument("--class", dest="class_name", help="a class by name or number (default: each in turn)")
    c.add_argument("--out", required=True, help="FILE.png (a grid) or FILE.npy (uint8 N x H x W x C)")

    c = command("animate", animate, "make an animation of a run's fixed-noise grids")
    c.add_argument("run", help="a run folder")
    c.add_argument("--out", required=True, help="FILE.gif, FILE.webp or FILE.mp4")
    c.add_argument("--fps", type=number(float, 0.1, 50), default=8)

    c = command("evaluate", evaluate, "measure a generator or images against a data set's held-out images")
    c.add_argument("source", help=f"{GENERATOR}, FILE.npy, or a folder or zip of images")
    c.add_argument("--data", required=True, help="the data set: a name, or a folder or zip of images")
    c.add_argument("--n", type=int, help="images to score (default: as many as are held out, at most 10,000)")
    c.add_argument("--metrics", help="comma-separated: see `list`")
    c.add_argument("--features", metavar="NETWORK", help="see `list` (default: imagenet where it is installed)")
    c.add_argument("--draws", type=int, default=3, help="fresh sets of images, for the spread (default 3)")
    c.add_argument("--labels", choices=("equal", "data"), default="equal",
                   help="draw a generator's classes equally often, or as often as the data set has them")  # fmt: skip
    c.add_argument(
        "--skip-broken", action="store_true", help="leave out images, real or generated, that cannot be read"
    )
    c.add_argument("--out", help="FILE.json, with every score's whole protocol")

    c = command("evaluate-classes", evaluate_classes, "measure each class of a conditional generator")
    c.add_argument("source", help=GENERATOR)
    c.add_argument("--data", required=True, help="the data set: a name, or a folder or zip with class folders")
    c.add_argument("--n", type=number(int, 10, 10_000), default=400, help="images of each class (default 400)")
    c.add_argument("--seed", type=SEED, default=0)
    c.add_argument("--classifiers", nargs=2, metavar="FILE", default=(),
                   help="two networks that name the classes (default: those of CIFAR-10 for its classes)")  # fmt: skip
    c.add_argument("--features", metavar="NETWORK", help="see `list` (default: imagenet where it is installed)")
    c.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")
    c.add_argument("--out", help="FILE.png (a plot) or FILE.json (everything)")

    c = command("network", network, "train the small classifier whose features measure a data set")
    c.add_argument("data", help="a data set with labels or attributes, or a folder with class folders")
    c.add_argument("--out", help="FILE.safetensors (default: DATA-net.safetensors, here)")
    c.add_argument("--epochs", type=int, default=8, help="passes over the images")
    c.add_argument("--image-size", type=int, default=32, choices=(32, 64), help="of the network's input")
    c.add_argument("--width", type=int, default=192, help="how many features it makes")
    c.add_argument("--flip", action="store_true", help="mirror half of the images")
    c.add_argument("--seed", type=SEED, default=0, help="of its first weights and of the order of the images")
    c.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    c.add_argument("--skip-broken", action="store_true", help="leave out images that cannot be read")

    c = command("walk", walk, "make an endless animation of a walk from seed to seed, or along a direction")
    c.add_argument("source", help=GENERATOR)
    c.add_argument("--out", required=True, help="FILE.gif, FILE.webp or FILE.mp4")
    c.add_argument("--seeds", type=SEED, nargs="+", default=[0, 1, 2, 3], help="the stops (default 0 1 2 3)")
    c.add_argument("--direction", help="to and fro instead, from the first seed: 1 is the strongest; or an attribute")
    c.add_argument("--n", type=number(int, 1, 64), default=1, help="images side by side")
    c.add_argument("--seconds", type=number(float, 0.5, 60), default=8)
    c.add_argument("--fps", type=number(float, 1, 50), default=25)
    c.add_argument("--max-mb", type=number(float, 0.1, 1000), default=3,
                   help="frames and colours are left out until it fits (default 3)")  # fmt: skip

    c = command("export-explorer", export_explorer, "write a generator with sliders as one HTML page, for any browser")
    c.add_argument("source", help=GENERATOR)
    c.add_argument("--out", required=True, help="FILE.html")

    c = command("export", export, "write a run's generator as a small file with a card")
    c.add_argument("run", help="a run folder or a checkpoint")
    c.add_argument("--out", required=True, help="FILE.safetensors")
    for text in ("data", "licence", "limits"):
        c.add_argument(f"--{text}", help="a line for the card")
    return p


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 1 with one line on stderr if not, 130 for a run that was stopped."""
    speak_anyway()
    memory.keep_freed()
    try:
        o = parser().parse_args(argv)
        return o.call(o) or 0
    except BrokenPipeError:
        return 0
    except Exception as error:
        if (told := in_one_line(error)) is None:
            raise
        print(f"gan-helpers: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("gan-helpers: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
