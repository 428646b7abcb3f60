"""Trained generators: those that ship with the course, those of runs, and files to give away, each with its card."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from . import cards, models
from .checkpoints import FORMAT, newest, read_header, score_of
from .console import banner
from .data import DOWNLOADED, EMBEDDED, apart, shadowed
from .data.layout import normal
from .environment import DATA, WITHOUT_DATA, at_home
from .errors import CourseError, nearest
from .recipes import RECIPES, Recipe
from .tensors import check_shapes, fill, read_tensors, save_tensors, shapes, to_8_bits

SHIPPED = DATA / "generators"


def shipped() -> dict[str, Path]:
    """The generators that come with the course: name → file."""
    return cards.shipped(SHIPPED)


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
        if there := newest(path, read_header):
            return there
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
    recipe, header = read_header(path)
    found = shapes(path)
    prefix = "ema." if any(name.startswith("ema.") for name in found) else "generator."
    with torch.device("meta"):  # no memory is taken before the shapes are known to fit
        generator = models.build_generator(recipe)
    check_shapes(generator.state_dict(), found, prefix, path)
    generator.to_empty(device="cpu")
    fill(generator.state_dict(), read_tensors(path, prefix), prefix, path)
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


def halved(weights: Tensor) -> Tensor:
    """A net's tensor in half precision, where that can hold it; counters and larger numbers as they are."""
    fits = weights.is_floating_point() and weights.abs().max() < torch.finfo(torch.half).max
    return weights.half() if fits else weights


def to_give_away(recipe: Recipe) -> Recipe:
    """The recipe without a path of this machine, and with a sentence about the images that it was trained on."""
    if recipe.data not in (*EMBEDDED, *DOWNLOADED):
        recipe = recipe.but(data=apart(Path(recipe.data).name))
    base = RECIPES.get(recipe.name, recipe)
    if recipe.data != base.data and recipe.about == base.about:  # which tells of other images
        recipe = recipe.but(about=f"The recipe {recipe.name}, trained on {recipe.data}")
    return recipe


def card_of(generator: nn.Module, recipe: Recipe, header: dict[str, str]) -> dict[str, object]:
    """What the card of a run's generator tells: recipe and overrides, steps, images, minutes, machine, parameters.

    Args:
        header: of the run's checkpoint or best generator.

    Raises:
        ValueError, KeyError: the header has no steps or seconds.
    """
    changed = recipe.differs(RECIPES.get(recipe.name, recipe)).items()
    overrides = {key: mine for key, (mine, _) in changed if key not in ("data", "about") and mine is not None}
    judge, score = score_of(header)
    return {
        "recipe": recipe.name,
        "overrides": overrides,
        "steps": int(header["step"]),
        "images_seen": int(header["step"]) * recipe.batch_size * recipe.d_steps,
        "minutes": round(float(header["seconds"]) / 60, 1),
        "machine": header.get("machine", ""),
        **({"chosen_by": f"{judge} {score:.4g}"} if judge else {}),
        "parameters": models.count_parameters(generator),
        "weights": "8 bits, a scale for each row; the rest 16",
    }


def export_generator(run: str | Path, out: Path, **texts: str) -> Path:
    """Write a run's generator as a small file to give away; its card goes beside it and inside.

    Matrices and kernels are kept in 8 bits, with a scale for each row, and the rest in 16.

    Args:
        texts: more lines for the card, for example data=…, licence=…, limits=….

    Raises:
        CourseError: no run there, a damaged one, a `.md` in the way that is no card, or the disk is full.
    """
    cards.card_path(out)  # or else nothing is written
    path = find(run)
    generator, (recipe, header) = load_generator(path), read_header(path)
    recipe = to_give_away(recipe)
    try:
        card = card_of(generator, recipe, header) | texts
    except (KeyError, ValueError):
        raise CourseError(f"{path} is no run's checkpoint: its step or seconds is missing or damaged.") from None
    weights = to_8_bits({f"generator.{name}": tensor for name, tensor in generator.state_dict().items()})
    weights = {name: halved(tensor) for name, tensor in weights.items()}
    inside = {"recipe": recipe.to_json(), "card": json.dumps(card), "classes": header.get("classes", "[]")}
    save_tensors(out, weights, {"format": FORMAT} | inside)
    cards.write_card(out, recipe.about, card)
    return out


def show_samples(source: str | Path, n: int = 64, seed: int = 0, class_name: str | None = None) -> nn.Module:
    """Load a generator, show n images that it draws, and return it.

    Args:
        source: a shipped name, a run folder, or a checkpoint.
        n, seed: of the latent vectors.
        class_name: for conditional generators, a class by name or number; by default each in turn.

    Raises:
        CourseError: nothing there, n out of range, or no such class (saying what there is).
    """
    from . import latent, plots

    if not 1 <= n <= 1000:
        raise CourseError(f"n must lie between 1 and 1,000; got {n}.")
    generator = load_generator(source)
    labels = None if class_name is None else torch.full((n,), class_number(generator, str(class_name)))
    images = latent.generate(generator, latent.draw_z(n, generator.latent_dim, seed), labels)  # (n, C, S, S)
    plots.show(plots.grid(images, columns=min(n, 16)), alt=f"{n} images drawn by {Path(source).name}, not picked")
    return generator
