"""From a recipe to a run folder, and back: start, resume, and open what a run left."""

from __future__ import annotations

from pathlib import Path

from . import callbacks as cb
from . import checkpoints, data
from .errors import CourseError
from .plots import save_atomically
from .recipes import BUDGETS, Recipe
from .training import Diverged, Trainer

KEPT = "recipe.json"


def default_folder(recipe: Recipe) -> Path:
    """`runs/RECIPE`, or `runs/RECIPE-DATA` where the data is not in the recipe's name."""
    stem = Path(recipe.data).stem
    return Path("runs") / (
        recipe.name if stem in recipe.name or recipe.name == "first-minute" else f"{recipe.name}-{stem}"
    )


def new_folder(name: str) -> Path:
    """The first of `runs/NAME`, `runs/NAME-2`, `runs/NAME-3`, … that is free."""
    names = [name, *(f"{name}-{k}" for k in range(2, 1000))]
    return next(Path("runs") / n for n in names if not (Path("runs") / n).exists())


def train(
    recipe: Recipe,
    images: data.ImageSet | None = None,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    callbacks=(),
    save_every: float = 60.0,
    progress: bool = True,
) -> Trainer:
    """Train `recipe` in a run folder that loses nothing: checkpoints, grid, curves, GIF, history and TensorBoard logs.

    Args:
        images: the data; None opens what the recipe names.
        out: the run folder, `default_folder(recipe)` if None.
        resume: go on where the folder's newest checkpoint stopped. Budgets are totals: a finished run stays as it is.
        callbacks: more of your own, called after those of the run.
        save_every: seconds between checkpoints.

    Returns:
        The trainer, whose `ema` makes the pictures and whose `history` holds the curves. Ctrl-C saves and returns too.

    Raises:
        CourseError: a folder that holds another run or other files, data that don't fit, a full disk.
        Diverged: losses stopped being numbers; the folder keeps the last good state.
    """
    folder = claim(Path(out or default_folder(recipe)), recipe, resume)
    images = data.load(recipe.data, recipe.image_size, recipe.channels) if images is None else images
    trainer = Trainer(recipe, images.resized(recipe.image_size, recipe.channels).images, device)
    folder.mkdir(parents=True, exist_ok=True)
    if resume:
        restore_newest(trainer, folder)
    save_atomically(folder / KEPT, lambda part: part.write_text(recipe.to_json()))
    if trainer.finished and trainer.step:
        print(f"{folder} is finished: {trainer.step:,} steps. To go on, give a larger budget.")
        return trainer
    own = [cb.Progress()] if progress else []
    own += [cb.Checkpoints(folder, save_every), cb.Pictures(folder, seconds=save_every), cb.TensorBoard(folder)]
    try:
        trainer.fit([*own, *callbacks])
    except Diverged as error:
        good = checkpoints.candidates(folder)[0]
        raise Diverged(f"{error}\nThe last good state is kept in {good}.") from None
    if not trainer.finished:
        print(
            f"Stopped at step {trainer.step:,}; all is saved in {folder}. To go on: resume (--resume, or resume=True)."
        )
    return trainer


def claim(folder: Path, recipe: Recipe, resume: bool) -> Path:
    """Check that `folder` may hold this run: new, empty, or (with `resume`) the same recipe but for its budget.

    Raises:
        CourseError: otherwise, saying what is in the way.
    """
    if not folder.exists() or (folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())):
        return folder
    if not folder.is_dir() or not (folder / KEPT).exists():
        raise CourseError(f"{folder} holds files that are no run of this course: choose another folder (--out).")
    if not resume:
        raise CourseError(
            f"{folder} holds a run already: go on with it (--resume, or resume=True), or choose another folder (--out)."
        )
    try:
        there = Recipe.from_json((folder / KEPT).read_text())
    except (CourseError, ValueError) as error:
        raise CourseError(f"{folder / KEPT} is damaged ({error}); the recipe is in the checkpoint, too.") from None
    changed = {k: v for k, v in there.differs(recipe).items() if k not in (*BUDGETS, "about")}
    if changed:
        listed = "; ".join(f"{k} is {a!r} there, {b!r} here" for k, (a, b) in changed.items())
        raise CourseError(
            f"{folder} holds another run ({listed}): resume with the same recipe, or choose another folder (--out)."
        )
    return folder


def restore_newest(trainer: Trainer, folder: Path) -> None:
    """Restore the newest checkpoint of a folder that can be read; each damaged one is named. None at all: start anew.

    Raises:
        CourseError: there are checkpoints, and none can be read.
    """
    problems = []
    for path in checkpoints.candidates(folder):
        try:
            checkpoints.restore(trainer, path)
        except CourseError as error:
            problems.append(str(error))
            continue
        if problems:
            data.banner(f"{problems[0]} Going on from {path.name}, step {trainer.step:,}.")
        return
    if problems:
        raise CourseError("No checkpoint can be read: " + " ".join(problems))
