"""Tensors in safetensors files: written whole or not at all, checked before they fill a net, never unpickled."""

from __future__ import annotations

import contextlib
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from .errors import CourseError
from .files import save_atomically


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file as `files.save_atomically` does.

    Raises:
        CourseError: the disk is full or not writable; what stood at `path` still does.
    """

    def write(part: Path) -> None:
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, part, metadata)
        except safetensors.SafetensorError as error:  # its name for a full disk, among others
            raise OSError(str(error)) from None
        with contextlib.suppress(OSError):  # some network disks refuse
            part.chmod(0o644)  # save_file keeps others out

    save_atomically(path, write)


def fill(target: dict[str, Tensor], tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    """Copy `tensors[prefix + name]` into every tensor of `target` (a net's state), keeping its memory layout.

    Raises:
        CourseError: a layer is missing, unknown or of another shape; the message names file and layer.
    """
    there = {k.removeprefix(prefix) for k in tensors if k.startswith(prefix)}
    if odd := sorted(there ^ set(target)):
        raise CourseError(
            f"{path}: layer '{prefix}{odd[0]}' is {'not part of this net' if odd[0] in there else 'missing'}."
        )
    for name, tensor in target.items():
        found = tensors[prefix + name]
        if found.shape != tensor.shape:
            raise CourseError(
                f"{path}: layer '{prefix}{name}' has shape {tuple(found.shape)}; wanted is {tuple(tensor.shape)}."
            )
        if found.dtype not in (torch.float16, torch.float32, torch.float64, torch.int64):
            raise CourseError(f"{path}: layer '{prefix}{name}' has the type {found.dtype}, which no run writes.")
        if not found.to(tensor.dtype).isfinite().all():
            raise CourseError(f"{path}: layer '{prefix}{name}' holds values that are not finite.")
        with torch.no_grad():
            tensor.copy_(found)
