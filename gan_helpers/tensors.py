"""Tensors in safetensors files: written whole or not at all, checked before they fill a net, never unpickled."""

from __future__ import annotations

import contextlib
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from .cards import reading
from .errors import CourseError
from .files import save_atomically

SCALE = "scale."  # before the name of a tensor in 8 bits


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


def to_8_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every matrix and kernel as int8, and beside it, as `scale.NAME`, a number for each of its rows.

    Row k then is int8[k] * scale[k], at most half of scale[k] off. Scales have four significant bits, so that float16
    holds these products exactly. Vectors and integers stay as they are.
    """
    packed = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.ndim > 1:
            largest = tensor.float().flatten(1).abs().amax(1)
            mantissa, exponent = torch.frexp((largest / 127).clamp(min=2**-20))
            scale = torch.ldexp((mantissa * 16).ceil() / 16, exponent)  # (rows,)
            packed[SCALE + name] = scale
            tensor = (tensor / by_row(scale, tensor)).round().to(torch.int8)
        packed[name] = tensor
    return packed


def from_8_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `to_8_bits` packed, in float32. An int8 without a scale for each row stays, and `fill` refuses it."""
    found = {}
    for name, tensor in tensors.items():
        scale = tensors.get(SCALE + name)
        if tensor.dtype == torch.int8 and scale is not None and scale.shape == tensor.shape[:1]:
            tensor = tensor * by_row(scale.float(), tensor)
        if not name.startswith(SCALE):
            found[name] = tensor
    return found


def by_row(scale: Tensor, tensor: Tensor) -> Tensor:
    """(rows,) as (rows, 1, ..., 1), to multiply every row of a tensor with its own number."""
    return scale.view(-1, *[1] * (tensor.ndim - 1))


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a safetensors file, by name; none of them is read.

    Raises:
        CourseError: as `cards.reading`.
    """
    with reading(path, "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (not a dict)


def read_tensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a safetensors file whose names begin with `prefix`; those in 8 bits as float32.

    Raises:
        CourseError: as `cards.reading`.
    """
    with reading(path, "pt") as file:
        names = [name for name in file.keys() if name.removeprefix(SCALE).startswith(prefix)]  # noqa: SIM118
        return from_8_bits({name: file.get_tensor(name) for name in names})


def check_shapes(target: dict[str, Tensor], found: dict[str, tuple[int, ...]], prefix: str, path: Path) -> None:
    """Check that a file has `prefix + name` for every tensor of `target`, in its shape, and no more with that prefix.

    Raises:
        CourseError: a layer is missing, unknown or of another shape; the message names file and layer.
    """
    there = {name.removeprefix(prefix): shape for name, shape in found.items() if name.startswith(prefix)}
    if odd := sorted(there.keys() ^ target.keys()):
        state = "not part of this net" if odd[0] in there else "missing"
        raise CourseError(f"{path}: layer '{prefix}{odd[0]}' is {state}.")
    for name, tensor in target.items():
        if there[name] != tensor.shape:
            wanted = tuple(tensor.shape)
            raise CourseError(f"{path}: layer '{prefix}{name}' has shape {there[name]}; wanted is {wanted}.")


def fill(target: dict[str, Tensor], tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    """Copy `tensors[prefix + name]` into every tensor of `target` (a net's state), keeping its memory layout.

    Raises:
        CourseError: as `check_shapes`, or values that no run writes.
    """
    check_shapes(target, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, prefix, path)
    for name, tensor in target.items():
        found = tensors[prefix + name]
        if found.dtype not in (torch.float16, torch.float32, torch.float64, torch.int64):
            raise CourseError(f"{path}: layer '{prefix}{name}' has the type {found.dtype}, which no run writes.")
        if not found.to(tensor.dtype).isfinite().all():
            raise CourseError(f"{path}: layer '{prefix}{name}' holds values that are not finite.")
        with torch.no_grad():
            tensor.copy_(found)
