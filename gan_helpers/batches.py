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


class Order:
    """An endless shuffled order of some images: every epoch a fresh permutation, which follows from (seed, epoch).

    Args:
        rows: int (n,), which images.
        home: the device on which the order is kept.
    """

    def __init__(self, rows: np.ndarray, seed: int, home: torch.device) -> None:
        self.rows, self.seed, self.home = rows, seed, home
        self.newest = -1, None  # epoch and its permutation, as it is asked for many times in a row

    def epoch(self, epoch: int) -> Tensor:
        """The permutation (n,) of one epoch."""
        if epoch != self.newest[0]:
            rng = np.random.default_rng((self.seed, 0xDA7A, epoch))
            self.newest = epoch, carry(torch.from_numpy(rng.permutation(self.rows)), self.home)
        return self.newest[1]

    def take(self, start: int, count: int) -> Tensor:
        """`count` rows from place `start` on; they may reach into later epochs."""
        epoch, start = divmod(start, len(self.rows))
        taken = self.epoch(epoch)[start : start + count]
        while len(taken) < count:
            epoch += 1
            taken = torch.cat([taken, self.epoch(epoch)[: count - len(taken)]])
        return taken


class Batches:
    """Endless shuffled mini-batches of a uint8 set.

    The whole set stays uint8, on the GPU where it takes less than a quarter of the memory; a memory-mapped set stays on
    disk and only the batch is read. Orders and labels stay beside the images.

    Args:
        labels: int (N,), or None.
        turns: batches in a row of one class, after which the next class has its turn; 0: the classes are mixed.
    """

    def __init__(
        self, images: np.ndarray, batch_size: int, seed: int, device: torch.device, labels=None, turns: int = 0
    ) -> None:
        self.batch_size, self.device, self.turns = batch_size, device, turns
        some = images[:: max(1, len(images) // 64)]
        self.pixels = f"{zlib.crc32(np.ascontiguousarray(some).tobytes()):08x}"  # as this machine decodes them
        self.mapped = isinstance(images, np.memmap)
        self.images = images if self.mapped else torch.from_numpy(images)
        home = torch.device("cpu")  # of images, orders and labels
        if device.type == "cuda" and images.nbytes < torch.cuda.get_device_properties(device).total_memory / 4:
            self.images, self.mapped, home = torch.from_numpy(np.array(images)).to(device), False, device
        self.labels = None if labels is None else torch.from_numpy(np.array(labels)).to(home)
        kinds = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)] if turns else [np.arange(len(images))]
        self.orders = [Order(rows, seed, home) for rows in kinds]

    def turn(self, i: int) -> tuple[int, int]:
        """The order that batch i is of, and which of its batches that is; (0, i) where the classes are mixed."""
        if not self.turns:
            return 0, i
        turn, k = divmod(i, self.turns)
        return turn % len(self.orders), turn // len(self.orders) * self.turns + k

    def rows(self, i: int) -> Tensor:
        """The indices (batch_size,) of batch i."""
        order, i = self.turn(i)
        rows = self.orders[order].take(i * self.batch_size, self.batch_size)
        return rows.sort().values if self.mapped else rows  # sorted: reads the disk in order

    def __getitem__(self, i: int) -> Tensor:
        """Batch i, uint8 (batch_size, C, H, W), on the device."""
        rows = self.rows(i)
        return carry(torch.from_numpy(self.images[rows.numpy()]) if self.mapped else self.images[rows], self.device)

    def classes(self, i: int) -> Tensor | int | None:
        """The classes of batch i: int64 (batch_size,) on the device; one int where classes take turns; None without."""
        if self.turns:
            return self.turn(i)[0]
        return None if self.labels is None else carry(self.labels[self.rows(i)], self.device)
