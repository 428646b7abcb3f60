"""Checkpoints that cannot be half written and cannot run code; the generators that ship with the course.

A checkpoint is one safetensors file: both nets, the moving average, both optimisers and the history as tensors; the
recipe, step and seconds in its header. Random states are not in it because every draw derives from seed and step.
"""

from __future__ import annotations

import contextlib
import json
import math
import platform
import re
from pathlib import Path

import numpy as np
import safetensors
import torch
from torch import Tensor

from . import precision
from .console import banner
from .data.images import digest_of
from .errors import CourseError
from .files import move
from .recipes import BUDGETS, Recipe
from .tensors import fill, save_tensors
from .training import ADVICE, COLUMNS, Diverged, Trainer, budget_in_steps

FORMAT = "1"


def read_header(path: Path) -> tuple[Recipe, dict[str, str]]:
    """Recipe and header of a checkpoint or a shipped generator whose file is as long as its header says.

    Raises:
        CourseError: as `read`.
    """
    if not path.is_file():
        raise CourseError(f"No checkpoint at {path}.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CourseError(f"{path} is damaged or is not a checkpoint ({error}).") from None
    if "recipe" not in header or header.get("format") != FORMAT:
        raise CourseError(f"{path} is a safetensors file, but not one that this version of the course wrote.")
    try:
        return Recipe.from_json(header["recipe"]), header
    except CourseError as error:
        raise CourseError(f"{path}: {error}") from None


def read(path: Path) -> tuple[Recipe, dict[str, str], dict[str, Tensor]]:
    """Recipe, header and tensors of a checkpoint or a shipped generator. Nothing is unpickled.

    Raises:
        CourseError: missing, truncated or foreign file; the message names it.
    """
    recipe, header = read_header(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            return recipe, header, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CourseError(f"{path} is damaged or is not a checkpoint ({error}).") from None


def optimizer_state(optimizer: torch.optim.Adam) -> dict[str, Tensor]:
    """Adam's moments and step counts by parameter number, created as zeros where no step was made yet."""
    state = {}
    for i, p in enumerate(optimizer.param_groups[0]["params"]):
        slot = optimizer.state[p]
        if not slot:
            slot["step"] = torch.zeros(
                (), dtype=torch.float32, device=p.device if optimizer.defaults["fused"] else "cpu"
            )
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


def machine(trainer: Trainer) -> str:
    """Device, its precision on a CPU where that is not float32, threads and PyTorch version, for cards."""
    name = torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else trainer.device.type
    name += " in bfloat16" if trainer.bfloat16 else ""
    threads, system = torch.get_num_threads(), f"{platform.system()} {platform.machine()}"
    return f"{name}, {threads} threads, {system}, PyTorch {torch.__version__}"


class OtherImages(CourseError):
    """A run was trained on other images than it would go on with."""


def trained_on(trainer: Trainer) -> dict[str, int | str | list[str]]:
    """What a run has seen, which is the same on every machine: it goes on with nothing else."""
    images, labels = trainer.batches.images, trainer.batches.labels
    if not trainer.digest:
        trainer.digest = digest_of(images.cpu().numpy() if isinstance(images, Tensor) else images)
    classes = "" if labels is None else digest_of(labels.cpu().numpy().astype(np.int64))
    return {"images": len(images), "content": trainer.digest, "labels": classes, "names": [*trainer.class_names]}


def processor() -> str:
    """The model of the CPU, and the set of instructions that PyTorch uses of it."""
    with contextlib.suppress(OSError, IndexError):  # Linux on x86
        model = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))[0]
        return f"{model} ({torch.backends.cpu.get_cpu_capability()})"
    return f"{platform.processor() or platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"


def exactly(trainer: Trainer) -> str:
    """What the last bits of a run depend on besides its threads: the processor and how it decodes images, PyTorch."""
    name = torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else processor()
    return f"{trainer.device.type} {name}, PyTorch {torch.__version__}, decoded images {trainer.batches.pixels}"


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
    except (ValueError, TypeError):
        raise CourseError(f"{path} is no checkpoint of a run: what it tells of its images is damaged.") from None
    if there["images"] != here["images"]:
        changed = f"{there['images']:,} images there, {here['images']:,} here"
    elif there["content"] != here["content"]:
        changed = "as many images, and others, or in another order"
    elif there["names"] != here["names"]:
        changed = f"classes {', '.join(map(str, there['names']))} there, {', '.join(here['names'])} here"
    elif there["labels"] != here["labels"]:
        changed = "the same images, and some of them of another class"
    else:
        return
    raise OtherImages(
        f"{path} was trained on other images than the data set holds now: {changed}. Put back what it had, "
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
    tensors["history"] = torch.tensor(trainer.rows, dtype=torch.float64).reshape(-1, len(COLUMNS))
    scaler = json.dumps(trainer.scaler.state_dict())
    header = about_run(trainer) | {"images": json.dumps(trained_on(trainer)), "exactly": exactly(trainer)}
    header["scaler"] = scaler
    header |= {"bfloat16": json.dumps(trainer.bfloat16), "threads": str(torch.get_num_threads())}
    last, new = folder / "checkpoint.safetensors", folder / "checkpoint.new.safetensors"
    save_tensors(new, tensors, header)
    try:
        if last.exists():
            move(last, folder / "checkpoint.previous.safetensors")
        move(new, last)
    except OSError as error:
        raise CourseError(f"{last} is held by another program ({error}); the newest state is {new.name}.") from None
    return last


def save_best(trainer: Trainer, path: Path, judge: str, value: float) -> None:
    """Save only the generator that makes the pictures, with what an export's card tells, and its score in the header.

    Raises:
        CourseError: the disk is full; the best that stood at `path` still does.
    """
    prefix = "ema." if trainer.recipe.ema else "generator."
    tensors = {prefix + name: t for name, t in trainer.ema.state_dict().items()}
    save_tensors(path, tensors, about_run(trainer) | {"score": f"{judge} {value:.17g}"})


def best_score(path: Path, judge: str) -> float:
    """The score of a kept best generator, from its header; infinite where no whole file has one of that judge."""
    try:
        with safetensors.safe_open(path, "np") as file:
            name, _, value = file.metadata()["score"].rpartition(" ")
        return float(value) if name == judge and math.isfinite(float(value)) else math.inf
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError):
        return math.inf


def different(there: Recipe, here: Recipe) -> str:
    """What makes two recipes different runs, in words: all but budget, description and where the data lie."""
    pairs = there.differs(here).items()
    return "; ".join(f"{k} is {a!r} there, {b!r} here" for k, (a, b) in pairs if k not in (*BUDGETS, "about", "data"))


def candidates(folder: Path) -> list[Path]:
    """The checkpoints of a run folder, newest first."""
    names = ("checkpoint.new.safetensors", "checkpoint.safetensors", "checkpoint.previous.safetensors")
    return [folder / name for name in names if (folder / name).exists()]


def restore(trainer: Trainer, path: Path) -> None:
    """Put a saved run into a fresh trainer of the same recipe (budget and device may differ).

    A run on the CPU goes on in the precision that it had, and `trainer.threads` tells the number of threads that it
    had: only with both does it go on bit for bit. A processor without bfloat16 goes on in float32, and says so;
    another machine or PyTorch goes on, too, and says that the last bits will differ.

    Raises:
        CourseError: damaged file, or another recipe.   OtherImages: other data than the run was trained on.
    """
    recipe, header, tensors = read(path)
    if changed := different(recipe, trainer.recipe):
        raise CourseError(f"{path} is of another run ({changed}).")
    try:
        step, seconds, history = int(header["step"]), float(header["seconds"]), tensors["history"]
        threads = int(header["threads"]) if "threads" in header else None  # an older run keeps none
        good = (
            step >= 0 and 0 <= seconds < math.inf and history.shape == (step, len(COLUMNS)) and history.isfinite().all()
        )
    except (KeyError, ValueError):
        good = False
    if not good:
        raise CourseError(
            f"{path} is no checkpoint of a run: its step, its seconds or its history is missing or damaged."
        )
    check_images(trainer, path, header.get("images", ""))
    for prefix, part in parts(trainer).items():
        fill(part, tensors, prefix, path)
    trainer.step, trainer.seconds, trainer.rows, trainer.threads = step, seconds, history.tolist(), threads
    was = trainer.rate_left(trainer.progress_in(recipe, budget_in_steps(recipe, len(trainer.batches.images))))
    if trainer.rate_left() > was + 0.01:
        banner(
            f"The learning rates had fallen to {was:.0%} and go on at {trainer.rate_left():.0%}: they fall over the "
            f"last {recipe.decay:.0%} of the budget, which is larger now. Images may get worse before they get better."
        )
    if header.get("bfloat16") == "true" and trainer.device.type == "cpu":
        if precision.supported():
            trainer.use_bfloat16()
        else:
            banner("This run began in bfloat16, which this processor does not compute in: it goes on in float32.")
    if header.get("exactly", here := exactly(trainer)) != here:
        banner(
            f"This run was saved on {header['exactly']}, and goes on on {here}: as well, but perhaps no longer bit for "
            "bit like one that was never interrupted."
        )
    scaler = json.loads(header.get("scaler", "{}"))  # empty from a run without float16
    if trainer.scaler.is_enabled() and scaler:
        trainer.scaler.load_state_dict(scaler)


# --- generators: from a run, a file or the course's own -----------------------------------------------------------
