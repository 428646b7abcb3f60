"""Endless shuffled batches of a uint8 set; which images are in batch i follows from the seed alone."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

from .data.images import checked_labels
from .devices import carry
from .errors import CourseError
from .recipes import Recipe


def derive_seed(*key: int) -> int:
    """A well-mixed 32-bit seed from whole numbers such as (seed, step)."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def checked_data(
    recipe: Recipe, images: np.ndarray, labels: np.ndarray | None, class_names: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels int64 (N,) that a recipe uses, and the names of their classes; None and () where it uses none.

    Raises:
        CourseError: images of another shape or type, or labels that are not of all its classes.
    """
    wanted = (recipe.channels, recipe.image_size, recipe.image_size)
    if images.shape[1:] != wanted or len(images) < 2 or images.dtype != np.uint8:
        raise CourseError(f"The recipe needs 2 or more uint8 images of {wanted}; got {images.shape}, {images.dtype}.")
    if not recipe.labels:
        return None, ()
    labels = None if labels is None else checked_labels(labels, len(images))
    there = 0 if labels is None else len(np.unique(labels))
    if class_names and there != len(class_names):
        raise CourseError(f"There are {len(class_names)} classes, and only {there} have images to train on.")
    if there != recipe.num_classes or min(labels) != 0 or max(labels) != there - 1:
        raise CourseError(
            f"The recipe '{recipe.name}' needs images of {recipe.num_classes} classes, numbered from 0; "
            f"these have {there}. Choose other data, or set num_classes."
        )
    return labels, class_names or tuple(map(str, range(there)))


class Batches:
    """Endless shuffled mini-batches: batch i of a uint8 set, each epoch in a fresh order derived from (seed, epoch).

    The whole set stays uint8, on the GPU where it takes less than a quarter of the memory; a memory-mapped set stays on
    disk and only the batch is read. Orders and labels stay beside the images.

    Args:
        labels: int (N,), or None.
        turns: batches in a row of one class, after which the next class has its turn; 0: the classes are mixed.
    """

    def __init__(
        self, images: np.ndarray, batch_size: int, seed: int, device: torch.device, labels=None, turns: int = 0
    ) -> None:
        self.batch_size, self.seed, self.device, self.turns = batch_size, seed, device, turns
        self.pools = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)] if turns else [None]
        self.orders = [(-1, None)] * len(self.pools)  # of each pool, the newest epoch's
        some = images[:: max(1, len(images) // 64)]
        self.pixels = f"{zlib.crc32(np.ascontiguousarray(some).tobytes()):08x}"  # as this machine decodes them
        self.images = images if isinstance(images, np.memmap) else torch.from_numpy(images)
        self.home = torch.device("cpu")  # of images, orders and labels
        if device.type == "cuda" and images.nbytes < torch.cuda.get_device_properties(device).total_memory / 4:
            self.images, self.home = torch.from_numpy(np.array(images)).to(device), device
        self.labels = None if labels is None else torch.from_numpy(np.array(labels)).to(self.home)

    def order(self, epoch: int, pool: int = 0) -> Tensor:
        """The permutation (N,) of one epoch, of all images or of one class."""
        if epoch != self.orders[pool][0]:
            rng, rows = np.random.default_rng((self.seed, 0xDA7A, epoch)), self.pools[pool]
            order = torch.from_numpy(rng.permutation(len(self.images) if rows is None else rows))
            self.orders[pool] = epoch, carry(order, self.home)
        return self.orders[pool][1]

    def turn(self, i: int) -> tuple[int, int]:
        """The class whose turn batch i is, and which of its own batches that is; (0, i) where the classes are mixed."""
        if not self.turns:
            return 0, i
        turn, k = divmod(i, self.turns)
        return turn % len(self.pools), turn // len(self.pools) * self.turns + k

    def rows(self, i: int) -> Tensor:
        """The indices (batch_size,) of batch i, which may reach into the next epoch."""
        pool, i = self.turn(i)
        epoch, start = divmod(i * self.batch_size, len(self.images if self.pools[pool] is None else self.pools[pool]))
        rows = self.order(epoch, pool)[start : start + self.batch_size]
        while len(rows) < self.batch_size:
            epoch += 1
            rows = torch.cat([rows, self.order(epoch, pool)[: self.batch_size - len(rows)]])
        return rows.sort().values if isinstance(self.images, np.memmap) else rows  # sorted: reads the disk in order

    def __getitem__(self, i: int) -> Tensor:
        """Batch i, uint8 (batch_size, C, H, W), on the device."""
        rows = self.rows(i)
        mapped = isinstance(self.images, np.memmap)
        return carry(torch.from_numpy(self.images[rows.numpy()]) if mapped else self.images[rows], self.device)

    def classes(self, i: int) -> Tensor | int | None:
        """The classes of batch i: int64 (batch_size,) on the device; one int where classes take turns; None without."""
        if self.labels is None or self.turns:
            return self.turn(i)[0] if self.turns else None
        return carry(self.labels[self.rows(i)], self.device)
