"""Checkpoints that cannot be half written and cannot run code.

A checkpoint is one safetensors file: both nets, the moving average, both optimisers and the history as tensors; the
recipe, step and seconds in its header. Random states are not in it because every draw derives from seed and step.
"""

from __future__ import annotations

import contextlib
import json
import math
import platform
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import cards, precision
from .console import banner
from .data.images import digest_of
from .errors import CourseError
from .files import move
from .history import History
from .recipes import BUDGETS, Recipe
from .tensors import fill, read_tensors, save_tensors
from .training import ADVICE, COLUMNS, Diverged, Trainer, budget_in_steps

FORMAT = "1"


def read_header(path: Path) -> tuple[Recipe, dict[str, str]]:
    """Recipe and header of a checkpoint or a trained generator whose file is as long as its header says.

    Raises:
        CourseError: missing, truncated or foreign file; the message names it.
    """
    if not path.is_file():
        raise CourseError(f"No checkpoint at {path}.")
    header = cards.header(path)
    if "recipe" not in header or header.get("format") != FORMAT:
        raise CourseError(f"{path} is a safetensors file, but not one that this version of the course wrote.")
    try:
        return Recipe.from_json(header["recipe"]), header
    except CourseError as error:
        raise CourseError(f"{path}: {error}") from None


def read(path: Path) -> tuple[Recipe, dict[str, str], dict[str, Tensor]]:
    """Recipe, header and tensors of a checkpoint or a trained generator. Nothing is unpickled.

    Raises:
        CourseError: as `read_header`.
    """
    return *read_header(path), read_tensors(path)


def candidates(folder: Path) -> list[Path]:
    """The checkpoints of a run folder, newest first."""
    names = ("checkpoint.new.safetensors", "checkpoint.safetensors", "checkpoint.previous.safetensors")
    return [folder / name for name in names if (folder / name).exists()]


def newest(folder: Path, attempt: Callable[[Path], object]) -> Path | None:
    """The newest checkpoint of a run folder with which `attempt(path)` succeeds; each damaged one is named.

    Returns:
        Its path; None where the folder has no checkpoint at all.

    Raises:
        CourseError: there are checkpoints, and none can be read.   OtherImages: as `attempt`.
    """
    problems = []
    for path in candidates(folder):
        try:
            attempt(path)
        except OtherImages:
            raise
        except CourseError as error:
            problems.append(str(error))
            continue
        if problems:
            banner(f"{problems[0]} Going on from {path.name}.")
        return path
    if problems:
        raise CourseError(
            f"No checkpoint can be read: {' '.join(problems)} Put back a copy of one, or train anew in another folder "
            "(--out)."
        )
    return None


def optimizer_state(optimizer: torch.optim.Adam) -> dict[str, Tensor]:
    """Adam's moments and step counts by parameter number, created as zeros where no step was made yet."""
    state = {}
    for i, p in enumerate(optimizer.param_groups[0]["params"]):
        slot = optimizer.state[p]
        if not slot:
            device = p.device if optimizer.defaults["fused"] else "cpu"
            slot["step"] = torch.zeros((), dtype=torch.float32, device=device)
            slot["exp_avg"], slot["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        state |= {f"{i}.{k}": v for k, v in slot.items()}
    return state


def parts(trainer: Trainer) -> dict[str, dict[str, Tensor]]:
    """All tensors that decide how a run goes on, by part."""
    return {
        "generator.": trainer.generator.state_dict(),
        "discriminator.": trainer.discriminator.state_dict(),
        "g_optimizer.": optimizer_state(trainer.g_optimizer),
        "d_optimizer.": optimizer_state(trainer.d_optimizer),
    } | ({"ema.": trainer.ema.state_dict()} if trainer.recipe.ema else {})


def about_run(trainer: Trainer) -> dict[str, str]:
    """The header that checkpoints and best generators share."""
    return {
        "format": FORMAT,
        "recipe": trainer.recipe.to_json(),
        "step": str(trainer.step),
        "seconds": repr(trainer.seconds),
        "classes": json.dumps(trainer.class_names),
        "machine": machine(trainer),
    }


def chip(trainer: Trainer) -> str:
    """The name of the GPU, or the device's kind."""
    return torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else trainer.device.type


def machine(trainer: Trainer) -> str:
    """Device, its precision on a CPU where that is not float32, threads and PyTorch version, for cards."""
    name = chip(trainer) + (" in bfloat16" if trainer.bfloat16 else "")
    system = f"{platform.system()} {platform.machine()}"
    return f"{name}, {torch.get_num_threads()} threads, {system}, PyTorch {torch.__version__}"


def exactly(trainer: Trainer) -> str:
    """What the last bits of a run depend on besides its threads: the processor and how it decodes images, PyTorch."""
    name = chip(trainer)
    if trainer.device.type != "cuda":
        name = platform.processor() or platform.machine()
        with contextlib.suppress(OSError, IndexError):  # Linux on x86
            name = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))[0]
        name += f" ({torch.backends.cpu.get_cpu_capability()})"  # the set of instructions that PyTorch uses
    return f"{trainer.device.type} {name}, PyTorch {torch.__version__}, decoded images {trainer.batches.pixels}"


def different(there: Recipe, here: Recipe) -> str:
    """What makes two recipes different runs, in words: all but budget, description and where the data lie."""
    pairs = there.differs(here).items()
    return "; ".join(f"{k} is {a!r} there, {b!r} here" for k, (a, b) in pairs if k not in (*BUDGETS, "about", "data"))


class OtherImages(CourseError):
    """A run was trained on other images than it would go on with."""


def trained_on(trainer: Trainer) -> dict[str, int | str | list[str]]:
    """What a run has seen, which is the same on every machine: it goes on with nothing else."""
    images, labels = trainer.batches.images, trainer.batches.labels
    if not trainer.digest:
        trainer.digest = digest_of(images.cpu().numpy() if isinstance(images, Tensor) else images)
    classes = "" if labels is None else digest_of(labels.cpu().numpy().astype(np.int64))
    return {"images": len(images), "content": trainer.digest, "labels": classes, "names": [*trainer.class_names]}


def check_images(trainer: Trainer, path: Path, kept: str) -> None:
    """Compare what the header of a checkpoint `kept` of its images with the trainer's.

    Older checkpoints kept their number and a checksum of resized pixels, which differ between processors: the number
    counts.

    Raises:
        OtherImages: they differ, and how.   CourseError: the header is damaged.
    """
    here, old = trained_on(trainer), re.fullmatch(r"(\d+) images, [0-9a-f]{8}", kept)
    try:
        there = here | ({"images": int(old[1])} if old else dict(json.loads(kept)))
        changes = {
            "images": f"{there['images']:,} images there, {here['images']:,} here",
            "content": "as many images, and others, or in another order",
            "names": f"classes {', '.join(map(str, there['names']))} there, {', '.join(here['names'])} here",
            "labels": "the same images, and some of them of another class",
        }
    except (ValueError, TypeError):
        raise CourseError(f"{path} is no checkpoint of a run: what it tells of its images is damaged.") from None
    for key, change in changes.items():
        if there[key] != here[key]:
            raise OtherImages(
                f"{path} was trained on other images than the data set holds now: {change}. Put back what it had, "
                "say where that lies (--data), or train anew in another folder (--out)."
            )


def save(trainer: Trainer, folder: Path) -> Path:
    """Save a run as `checkpoint.safetensors`, keeping the one before as `checkpoint.previous.safetensors`.

    Raises:
        Diverged: a weight or a loss is not finite; nothing is written.
        CourseError: the disk is full.
    """
    trainer.flush()
    tensors = {prefix + name: t for prefix, part in parts(trainer).items() for name, t in part.items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise Diverged(f"The run diverged by step {trainer.step}: {name} is not finite. {ADVICE}")
    tensors["history"] = torch.from_numpy(trainer.rows.table)
    header = about_run(trainer) | {
        "images": json.dumps(trained_on(trainer)),
        "exactly": exactly(trainer),
        "scaler": json.dumps(trainer.scaler.state_dict()),
        "bfloat16": json.dumps(trainer.bfloat16),
        "threads": str(torch.get_num_threads()),
    }
    last, new = folder / "checkpoint.safetensors", folder / "checkpoint.new.safetensors"
    save_tensors(new, tensors, header)
    try:
        if last.exists():
            move(last, folder / "checkpoint.previous.safetensors")
        move(new, last)
    except OSError as error:
        raise CourseError(f"{last} is held by another program ({error}); the newest state is {new.name}.") from None
    return last


def restore(trainer: Trainer, path: Path) -> None:
    """Put a saved run into a fresh trainer of the same recipe (budget and device may differ).

    A run on the CPU goes on in the precision that it had, and `trainer.threads` tells the number of threads that it
    had: only with both does it go on bit for bit. Where that cannot be, it goes on and says so.

    Raises:
        CourseError: damaged file, or another recipe.   OtherImages: other data than the run was trained on.
    """
    recipe, header, tensors = read(path)
    if changed := different(recipe, trainer.recipe):
        raise CourseError(f"{path} is of another run ({changed}).")
    try:
        step, seconds, history = int(header["step"]), float(header["seconds"]), tensors["history"]
        threads = int(header["threads"]) if "threads" in header else None  # an older run keeps none
        scaler = json.loads(header.get("scaler", "{}"))  # empty from a run without float16
        in_range = step >= 0 and 0 <= seconds < math.inf
        whole = in_range and history.shape == (step, len(COLUMNS)) and bool(history.isfinite().all())
    except (KeyError, ValueError):
        whole = False
    if not whole:
        raise CourseError(f"{path} is no checkpoint of a run: its step, seconds or history is missing or damaged.")
    check_images(trainer, path, header.get("images", ""))
    for prefix, part in parts(trainer).items():
        fill(part, tensors, prefix, path)
    trainer.step, trainer.seconds, trainer.threads = step, seconds, threads
    trainer.rows = History(len(COLUMNS), history.numpy())
    if trainer.scaler.is_enabled() and scaler:
        trainer.scaler.load_state_dict(scaler)
    if header.get("bfloat16") == "true" and trainer.device.type == "cpu":
        if precision.supported():
            trainer.use_bfloat16()
        else:
            banner("This run began in bfloat16, which this processor does not compute in: it goes on in float32.")
    tell_changes(trainer, recipe, header)


def tell_changes(trainer: Trainer, recipe: Recipe, header: dict[str, str]) -> None:
    """Say where a run that was restored by `recipe` and `header` will differ from one that was never interrupted."""
    was = trainer.rate_left(trainer.progress_in(recipe, budget_in_steps(recipe, len(trainer.batches.images))))
    if trainer.rate_left() > was + 0.01:
        banner(
            f"The learning rates had fallen to {was:.0%} and go on at {trainer.rate_left():.0%}: they fall over the "
            f"last {recipe.decay:.0%} of the budget, which is larger now. Images may get worse before they get better."
        )
    if header.get("exactly", here := exactly(trainer)) != here:
        banner(
            f"This run was saved on {header['exactly']}, and goes on on {here}: as well, but perhaps no longer bit for "
            "bit like one that was never interrupted."
        )


def save_best(trainer: Trainer, path: Path, judge: str, value: float) -> None:
    """Save only the generator that makes the pictures, with what an export's card tells, and its score in the header.

    Raises:
        CourseError: the disk is full; the best that stood at `path` still does.
    """
    prefix = "ema." if trainer.recipe.ema else "generator."
    tensors = {prefix + name: t for name, t in trainer.ema.state_dict().items()}
    save_tensors(path, tensors, about_run(trainer) | {"score": f"{judge} {value:.17g}"})


def score_of(header: dict[str, str]) -> tuple[str, float]:
    """By which judge a kept best generator was chosen, and its score; '' and infinity for any other file."""
    judge, _, value = header.get("score", "").rpartition(" ")
    with contextlib.suppress(ValueError):
        if math.isfinite(float(value)):
            return judge, float(value)
    return "", math.inf


def best_score(path: Path, judge: str) -> float:
    """The score of a kept best generator, from its header; infinite where no whole file has one of that judge."""
    with contextlib.suppress(CourseError):
        name, value = score_of(cards.header(path))
        return value if name == judge else math.inf
    return math.inf
