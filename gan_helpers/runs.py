"""From a recipe to a run folder, and back: start, resume, and open what a run left."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import torch
from filelock import lock_descriptor

from . import callbacks as cb
from . import checkpoints, data, precision, recipes
from .console import banner, say
from .environment import at_home, fast
from .errors import CourseError
from .files import save_text
from .recipes import BUDGETS, RECIPES, Recipe
from .threads import choose, cores, using
from .training import Diverged, Trainer

KEPT = "recipe.json"


def default_folder(recipe: Recipe) -> Path:
    """`runs/RECIPE`, or `runs/RECIPE-DATA` where the data is not in the recipe's name."""
    usual = recipe.name in RECIPES and RECIPES[recipe.name].data == recipe.data
    name = recipe.name if usual else f"{recipe.name}-{Path(recipe.data).stem}"
    return Path("runs") / (re.sub(r"[^\w.-]+", "-", name).strip(".") or "run")


def new_folder(name: str) -> Path:
    """The first of `runs/NAME`, `runs/NAME-2`, `runs/NAME-3`, … that is free."""
    names = [name, *(f"{name}-{k}" for k in range(2, 1000))]
    return next(Path("runs") / n for n in names if not (Path("runs") / n).exists())


def train(
    recipe: Recipe | str,
    images: data.ImageSet | None = None,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    callbacks=(),
    save_every: float = 60.0,
    judge=None,
    score_every: int = 500,
    progress: bool = True,
    threads: int | None = None,
) -> Trainer:
    """Train `recipe` in a run folder that loses nothing: checkpoints, grid, curves, GIF, history and TensorBoard logs.

    Args:
        recipe: a recipe, or the name of one.
        images: the data; None opens what the recipe names. The run's recipe and its cards tell of these images.
        out: the run folder, `default_folder(recipe)` if None.
        resume: go on where the folder's newest checkpoint stopped. Budgets are totals: a finished run stays as it is.
        callbacks: more of your own, called after those of the run.
        save_every: seconds between checkpoints.
        judge: generator → distance, for example `evaluation.Judge(held_out_images)`, asked every `score_every` steps:
            the scores go under the loss curves, and the best generator is kept as `best.safetensors`.
        progress: whether a bar shows it.
        threads: of the CPU, inside this call; None goes on with a checkpoint's number, or measures which is fastest.

    A new run on the CPU also tries bfloat16 where the recipe's `amp` and the processor allow it. Both choices are kept
    in the checkpoint, for the numbers of a run depend on them, and both take about a second; with the environment
    variable GAN_COURSE_FAST a run skips them: float32, and PyTorch's number of threads.

    Returns:
        The trainer, with its `generator` and `discriminator`, `ema`, which makes the pictures, and `history`, the
        curves. Ctrl-C saves and returns too; a second one, while it scores or draws, saves and interrupts.

    Raises:
        CourseError: no such recipe, a folder that holds another run or other files, data that don't fit, a full disk.
        Diverged: losses stopped being numbers; the folder keeps the last good state.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    recipe = recipe if images is None else told_of(recipe, images)
    folder = claim(at_home(out or default_folder(recipe)), recipe, resume)
    images = open_images(recipe, folder) if images is None else images
    images = images.resized(recipe.image_size, recipe.channels)
    of_data = {"labels": images.labels, "class_names": images.class_names, "digest": images.digest}
    trainer = Trainer(recipe, images.images, device, **of_data)
    with locked(folder):
        claim(folder, recipe, resume)  # again: meanwhile another process may have finished a run there
        if resume:
            checkpoints.newest(folder, partial(checkpoints.restore, trainer))
        save_text(folder / KEPT, recipe.to_json())
        pictures = cb.Tolerant(cb.Pictures(folder, seconds=save_every))
        if trainer.finished and trainer.step:
            say(f"{folder} is finished: {trainer.step:,} steps. To go on, give a larger budget.")
            if not (folder / "training.gif").exists():  # killed while it drew them
                pictures.start(trainer)
                pictures.stop(trainer)
            return trainer
        own = [cb.Tolerant(beside) for beside in (cb.Slowdown(), *([cb.Progress()] if progress else []))]
        own.append(cb.Checkpoints(folder, save_every))  # before the judge, who may take his time
        if judge:
            own.append(cb.Tolerant(cb.Scores(folder, judge, score_every)))
        own += [pictures, cb.Tolerant(cb.TensorBoard(folder))]
        try:
            with using(number_of_threads(trainer, threads)):
                choose_precision(trainer)
                trainer.fit([*own, *callbacks])
        except Diverged as error:
            good = checkpoints.candidates(folder)[0]
            raise Diverged(
                f"{error}\nThe last good state is kept in {good}. Start in a new folder with such a change: "
                "this run would diverge again."
            ) from None
        except (Exception, KeyboardInterrupt):
            if trainer.between_steps and len(trainer.rows) == trainer.step:
                checkpoints.save(trainer, folder)  # a callback failed or was interrupted: the state is whole
            raise
    if not trainer.finished:
        say(f"Stopped at step {trainer.step:,}; all is saved in {folder}. Go on with --resume (resume=True).")
    return trainer


def told_of(recipe: Recipe, images: data.ImageSet) -> Recipe:
    """The recipe whose `data` says what `images` are: their name, or where the whole folder or zip of them lies."""
    whole = images.origin and images.name == data.apart(Path(images.origin).stem)
    told = images.origin if whole else images.name
    return recipe if told in (recipe.data, str(at_home(recipe.data).resolve())) else recipe.but(data=told)


def open_images(recipe: Recipe, folder: Path, **options) -> data.ImageSet:
    """The images that a recipe names, for a run in `folder`; options as of `data.load`.

    Raises:
        CourseError: as `data.load`; where a run kept a path at which nothing is now, that says so.
    """
    there = recipe.data in (*data.EMBEDDED, *data.DOWNLOADED) or at_home(recipe.data).exists()
    if not there and (folder / KEPT).exists() and recipe_of(folder).data == recipe.data:
        raise CourseError(
            f"The images of this run lay in '{recipe.data}', says {folder / KEPT}, and nothing is there now, seen from "
            f"{Path.cwd()}: say where they are (--data; in Python recipe.but(data=…))."
        )
    return data.load(recipe.data, recipe.image_size, recipe.channels, **options)


def number_of_threads(trainer: Trainer, wanted: int | None) -> int | None:
    """For the whole run: what is wanted, what its checkpoint keeps, or the fastest. None leaves PyTorch's number."""
    if wanted is None and trainer.step and trainer.threads and trainer.threads > cores():
        banner(
            f"This run began with {trainer.threads} threads, and this process may use {cores()} of the cores: "
            f"--threads {cores()} (in Python: threads={cores()}) is faster, and rounds otherwise."
        )
    if wanted or trainer.step or trainer.device.type != "cpu" or fast():
        return trainer.threads if wanted is None else wanted
    return choose()


def choose_precision(trainer: Trainer) -> None:
    """Put a new float32 run on the CPU into bfloat16, if its recipe allows that and a test finds it right and faster.

    A run that goes on keeps what it has.
    """
    on_cpu = trainer.device.type == "cpu" and trainer.dtype == torch.float32
    if trainer.recipe.amp and on_cpu and not trainer.step and not fast():
        alike = trainer.recipe.but(name="", about="", seed=0, steps=0)  # what a run's speed does not depend on
        if precision.pays(alike, torch.get_num_threads()):
            trainer.use_bfloat16()
            with suppress(OSError):  # where nobody listens
                print("It computes in bfloat16, which is faster here; amp=False keeps float32.", file=sys.stderr)


def recipe_of(folder: Path) -> Recipe:
    """The recipe of a run folder, from `recipe.json`, or from a checkpoint where that is damaged.

    Raises:
        CourseError: neither can be read.
    """
    try:
        return Recipe.from_json((folder / KEPT).read_text(encoding="utf-8"))
    except (CourseError, OSError, ValueError) as error:
        with suppress(CourseError):
            if path := checkpoints.newest(folder, checkpoints.read_header):
                return checkpoints.read_header(path)[0]
        raise CourseError(f"{folder / KEPT} is damaged, and no checkpoint beside it can be read ({error}).") from None


@contextmanager
def locked(folder: Path):
    """Makes `folder`, where no other process may train inside; the system frees the lock even of a killed process.

    Where the file system knows no locks (network folders, Google Drive) it says so, and goes on.

    Raises:
        CourseError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "ab", buffering=0)  # noqa: SIM115 (closed below)
    except OSError as error:
        told = error.strerror or error
        raise CourseError(f"{folder} cannot be written ({told}): choose another folder (--out).") from None
    with file:
        try:
            ours = lock_descriptor(file.fileno(), blocking=False)
        except OSError as error:
            ours = True
            told = error.strerror or error
            banner(f"In {folder} files cannot be locked ({told}): see to it that no other process trains there.")
        if not ours:
            raise CourseError(f"Another process is training in {folder}: stop it, or choose another folder (--out).")
        with suppress(OSError):
            if not file.tell():  # Google Drive's app would put another file in the place of an empty one
                file.write(b"A process that trains here holds a lock on this file.\n")
        yield


def claim(folder: Path, recipe: Recipe, resume: bool) -> Path:
    """Check that `folder` may hold this run: new, empty, or (with `resume`) the same recipe but for its budget.

    Raises:
        CourseError: otherwise, saying what is in the way.
    """
    if all(getattr(recipe, budget) is None for budget in BUDGETS):
        raise CourseError(f"The recipe '{recipe.name}' has no budget: give epochs, steps or minutes.")
    if not folder.exists() or (folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())):
        return folder
    if not folder.is_dir() or not (folder / KEPT).exists():
        raise CourseError(f"{folder} holds files that are no run of this course: choose another folder (--out).")
    if not resume:
        raise CourseError(
            f"{folder} holds a run already: go on with it (--resume, or resume=True), or choose another folder (--out)."
        )
    if changed := checkpoints.different(recipe_of(folder), recipe):
        raise CourseError(
            f"{folder} holds another run ({changed}): resume with the same recipe, or choose another folder (--out)."
        )
    return folder
