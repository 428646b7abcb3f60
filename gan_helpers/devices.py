"""What differs between a CPU, CUDA and Apple's GPU: memory, random draws, half precision, optimisers."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .errors import CourseError, out_of_memory
from .recipes import Recipe


class OutOfMemory(CourseError):
    """A step needs more memory than there is."""


def pick_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        CourseError: an unknown device, or one that this machine lacks.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, yes in there.items() if yes)
    kind, colon, index = name.partition(":")
    if kind not in there:
        raise CourseError(f"No device '{name}': choose auto, cpu, cuda or mps.")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if not there[kind] or (colon and not (index.isdecimal() and int(index) < count)):
        raise CourseError(f"This machine has no {name} that PyTorch can use: choose --device auto or cpu.")
    return torch.device(name)


def carry(x: Tensor, device: torch.device) -> Tensor:
    """x on the device; to CUDA through pinned memory, as a copy from any other waits for all that is queued there."""
    return x.pin_memory().to(device, non_blocking=True) if (x.is_cpu and device.type == "cuda") else x.to(device)


@contextmanager
def full_precision():
    """Inside, convolutions on CUDA compute in float32, where PyTorch's default rounds their inputs to 10 bits (TF32).

    Training does not mind those 10 bits. A measuring network does: its features would be wrong by a thousandth, and
    differ between a CPU and a GPU.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def seeded(device: torch.device, seed: int):
    """Inside, torch's global generators start from `seed`; afterwards they are as they were.

    Being global, they serve one run at a time: two runs in threads of one process would mix their draws.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":  # Apple's generator cannot be put back
            torch.mps.manual_seed(seed)
        yield


def half_precision(device: torch.device, wanted: bool) -> tuple[torch.autocast, torch.amp.GradScaler]:
    """Autocast for the forward passes on CUDA, and the loss scaler that float16 needs; elsewhere neither does a thing.

    bfloat16 where the GPU has it (from compute capability 8 on), whose range is that of float32.
    """
    wanted = wanted and device.type == "cuda"
    brain = wanted and torch.cuda.get_device_capability(device)[0] >= 8
    half = torch.bfloat16 if brain else torch.float16
    autocast = torch.autocast(device.type if wanted else "cpu", half if wanted else None, enabled=wanted)
    return autocast, torch.amp.GradScaler(device.type, enabled=wanted and not brain)


def make_optimizer(net: nn.Module, lr: float, recipe: Recipe, device: torch.device) -> torch.optim.Adam:
    """Adam for a net on its device. On CUDA the rate is a tensor, which a recorded step reads anew each time."""
    betas, on_cuda = (recipe.beta1, recipe.beta2), device.type == "cuda"
    rate = torch.tensor(lr, device=device) if on_cuda else lr
    fused = device.type in ("cpu", "cuda")
    return torch.optim.Adam(net.parameters(), rate, betas, recipe.adam_eps, fused=fused, capturable=on_cuda)


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Change a rate where it lies: a recorded step would never see a float put in the place of its tensor."""
    group = optimizer.param_groups[0]
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


@contextmanager
def telling_memory(recipe: Recipe, device: torch.device, step: int):
    """Inside, too little memory is an error that a person can put right.

    Raises:
        OutOfMemory: on whatever device the run is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        sizes = ", ".join(f"{n}={getattr(recipe, n)}" for n in ("batch_size", "g_width", "d_width", "image_size"))
        raise OutOfMemory(
            f"Out of memory on {device} at step {step:,}: the recipe '{recipe.name}' has {sizes}. End other programs "
            f"and resume; or start in a new folder with --set batch_size={max(2, recipe.batch_size // 2)}, or half the "
            "widths."
        ) from None
