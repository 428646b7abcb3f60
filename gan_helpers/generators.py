"""Trained generators: those that ship with the course, those of runs, and files to give away, each with its card."""

from __future__ import annotations

import json
import math
from pathlib import Path

import safetensors
import torch
from torch import nn

from . import models
from .checkpoints import FORMAT, candidates, read, read_header
from .console import banner
from .data import DOWNLOADED, EMBEDDED, apart, shadowed
from .data.layout import normal
from .environment import DATA, WITHOUT_DATA, at_home
from .errors import CourseError, nearest
from .files import save_text
from .recipes import RECIPES, Recipe
from .tensors import fill, save_tensors

SHIPPED = DATA / "generators"


def shipped() -> dict[str, Path]:
    """The generators that come with the course: name → file."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def about(path: Path) -> str:
    """A generator's one-line description, from its header alone."""
    try:
        with safetensors.safe_open(path, "np") as file:
            return Recipe.from_json((file.metadata() or {}).get("recipe", "")).about
    except (CourseError, safetensors.SafetensorError, OSError) as error:
        return f"damaged: {error}"


def find(source: str | Path) -> Path:
    """The file behind a shipped name, a path, or a run folder: its newest checkpoint that is whole.

    A name goes before a file that is called so: see `load`.

    Raises:
        CourseError: nothing there (the nearest shipped name is suggested), or no checkpoint of the folder can be read.
    """
    path = at_home(source)
    if source in shipped():
        if told := shadowed(source, "a generator of the course"):
            banner(told)
        return shipped()[source]
    if path.is_dir():
        problems = []
        for there in candidates(path):
            try:
                read_header(there)
            except CourseError as error:
                problems.append(str(error))
                continue
            if problems:
                banner(f"{problems[0]} {there.name} is taken, the one before.")
            return there
        if problems:
            raise CourseError(f"No checkpoint can be read: {' '.join(problems)} Put back a copy, or train again.")
        raise CourseError(f"{path} is a folder without a checkpoint: give a run folder, as `train` makes them.")
    if path.exists():
        return path
    raise CourseError(
        f"No checkpoint, run folder or shipped generator '{source}'.{nearest(str(source), shipped())} "
        + (f"Shipped: {', '.join(shipped())}." if shipped() else f"Shipped: none. {WITHOUT_DATA}")
    )


def class_names(generator: nn.Module) -> tuple[str, ...]:
    """The names of a generator's classes; their numbers, if it comes straight from training; () if it has none."""
    return tuple(getattr(generator, "class_names", ()) or map(str, range(getattr(generator, "num_classes", 0))))


def load_generator(source: str | Path) -> nn.Module:
    """A generator ready to sample, on the CPU, in evaluation mode and without gradients.

    Args:
        source: a shipped name, a run folder, a checkpoint, or an exported generator.

    Returns:
        The net (the moving average where the run had one) with the attributes `recipe`, `card` (a dict), and
        `class_names` in the order of its classes (empty if it draws no class at will).

    Raises:
        CourseError: not found, damaged, or weights that don't fit the recipe in the file.
    """
    path = find(source)
    recipe, header, tensors = read(path)
    prefix = "ema." if any(k.startswith("ema.") for k in tensors) else "generator."
    with torch.device("meta"):  # no memory is taken before the shapes are known to fit
        generator = models.build_generator(recipe)
    for name, tensor in generator.state_dict().items():
        if prefix + name in tensors and tensors[prefix + name].shape == tensor.shape:
            continue
        fill(
            {name: tensor}, {k: v for k, v in tensors.items() if k == prefix + name}, prefix, path
        )  # tells what is wrong
    generator.to_empty(device="cpu")
    fill(generator.state_dict(), tensors, prefix, path)
    try:
        generator.recipe, generator.card = recipe, dict(json.loads(header.get("card", "{}")))
        names = tuple(normal(str(name)) for name in json.loads(header.get("classes", "[]")))
    except (ValueError, TypeError, RecursionError):
        raise CourseError(f"{path}: its card is damaged.") from None
    if recipe.conditional and len(names) != recipe.num_classes:
        raise CourseError(f"{path}: it should name {recipe.num_classes} classes, and names {len(names)}.")
    generator.class_names = names if recipe.conditional else ()
    return generator.eval().requires_grad_(False)


def is_number(name: str) -> bool:
    """Whether a class is called by a number, as digits are."""
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def class_number(generator: nn.Module, name: str) -> int:
    """The number of a class that a loaded generator draws, by its name or its number (where names are no numbers).

    Raises:
        CourseError: no such class, or a generator that draws no class at will; the message says what there is.
    """
    names = generator.class_names
    if not names:
        raise CourseError(f"{generator.recipe.name} draws no class at will: its generator is never told one.")
    name, by_number = normal(name), not all(map(is_number, names))
    if name not in names and not (by_number and name.isdecimal() and int(name) < len(names)):
        raise CourseError(f"There is no class '{name}'.{nearest(name, names)} Classes: {', '.join(names)}.")
    return names.index(name) if name in names else int(name)


def export_generator(run: str | Path, out: Path, **texts: str) -> Path:
    """Write a run's generator as a small file to give away, in half precision.

    A card is written beside it (`.md`) and into its header: recipe, overrides, steps, minutes, machine.

    Args:
        texts: more lines for the card, for example data=…, licence=…, limits=….

    Raises:
        CourseError: no run there, a damaged one, a `.md` in the way that is no card, or the disk is full.
    """
    path = find(run)
    recipe, header, tensors = read(path)
    try:
        step, seconds = int(header["step"]), float(header["seconds"])
    except (KeyError, ValueError):
        raise CourseError(f"{path} is no run's checkpoint: its step or seconds is missing or damaged.") from None
    judge, _, value = header.get("score", "").rpartition(" ")  # see save_best
    if out.with_suffix(".md").exists() and not out.exists():
        raise CourseError(f"{out.with_suffix('.md')} is there and no card of {out.name}: choose another name.")
    prefix = "ema." if recipe.ema else "generator."
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    fits = {k: v.is_floating_point() and v.abs().max() < torch.finfo(torch.half).max for k, v in weights.items()}
    weights = {"generator." + k: v.half() if fits[k] else v for k, v in weights.items()}
    if recipe.data not in (*EMBEDDED, *DOWNLOADED):
        recipe = recipe.but(data=apart(Path(recipe.data).name))  # no path of this machine
    base = RECIPES.get(recipe.name, recipe)
    if recipe.data != base.data and recipe.about == base.about:  # which tells of other images
        recipe = recipe.but(about=f"The recipe {recipe.name}, trained on {recipe.data}")
    card = {
        "recipe": recipe.name,
        "overrides": {
            k: mine for k, (mine, _) in recipe.differs(base).items() if k not in ("data", "about") and mine is not None
        },
        "steps": step,
        "images_seen": step * recipe.batch_size * recipe.d_steps,
        "minutes": round(seconds / 60, 1),
        "machine": header.get("machine", ""),
        **({"chosen_by": f"{judge} {float(value):.4g}"} if value else {}),
        "parameters": models.count_parameters(load_generator(path)),
        **texts,
    }
    kept = {
        "format": FORMAT,
        "recipe": recipe.to_json(),
        "card": json.dumps(card),
        "classes": header.get("classes", "[]"),
    }
    save_tensors(out, weights, kept)
    lines = [f"# {out.stem}", "", recipe.about + ".", "", "| | |", "|---|---|"]
    for key, value in card.items():
        if isinstance(value, dict):
            value = ", ".join(f"`{k}={v}`" for k, v in value.items()) or "none"
        lines.append(f"| {key.replace('_', ' ')} | {f'{value:,}' if isinstance(value, int) else value} |")
    save_text(out.with_suffix(".md"), "\n".join(lines) + "\n")
    return out


def show_samples(source: str | Path, n: int = 64, seed: int = 0, kind: str | None = None):
    """Load a generator, show n images that it draws, and return it.

    Args:
        source: a shipped name, a run folder, or a checkpoint.
        n, seed: of the latent vectors.
        kind: a class by name or number, for conditional generators; by default each in turn.

    Raises:
        CourseError: nothing there, n out of range, or no such class (saying what there is).
    """
    import torch

    from . import latent, plots

    if not 1 <= n <= 1000:
        raise CourseError(f"n must lie between 1 and 1,000; got {n}.")
    generator = load_generator(source)
    labels = None if kind is None else torch.full((n,), class_number(generator, str(kind)))
    images = latent.generate(generator, latent.draw_z(n, generator.latent_dim, seed), labels)  # (n, C, S, S)
    plots.show(plots.grid(images, columns=min(n, 16)), alt=f"{n} images drawn by {Path(source).name}, not picked")
    return generator
