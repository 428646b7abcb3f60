"""`ImageSet`: what every source of images becomes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace

import numpy as np

from ..environment import cache_dir
from ..errors import CourseError
from .cache import read_cache, write_cache
from .layout import normal


@dataclass(frozen=True)
class ImageSet:
    """A data set in memory (or mapped from disk), whatever its source.

    Attributes:
        images: uint8 array (N, C, H, W), values 0..255. May be a read-only `numpy.memmap`.
        name: short name, for example `faces`.
        labels: int64 array (N,) with values 0..K-1, or None.
        class_names: K names, in label order.
        attributes: column name → array (N,) of bool, int or str, for example `glasses`.
        origin: where the images came from, for cards and banners.
        licence: what may be done with them.
        shareable: whether real images of this set may be shown in public (never true for CelebA).
        note: a sentence that every user must see (a banner), or "".
        unseen: whether these are kept from every training.
        digest: of the source's bytes, in hex: the same on every machine, which decoded or resized pixels are not; ""
            where these pixels are the source.
    """

    images: np.ndarray
    name: str
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    origin: str = ""
    licence: str = ""
    shareable: bool = False
    note: str = ""
    unseen: bool = False
    digest: str = ""

    def __post_init__(self) -> None:
        """Raises CourseError where labels or a column are not one for each image."""
        if self.labels is not None:
            object.__setattr__(self, "labels", checked_labels(self.labels, len(self.images)))
        for column, values in self.attributes.items():
            if len(values) != len(self.images):
                raise CourseError(f"{self.name} has {len(self.images):,} images, and {len(values):,} in '{column}'.")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, c, h, w = self.images.shape
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        columns = f", attributes {', '.join(self.attributes)}" if self.attributes else ""
        return f"ImageSet({self.name}: {n:,} images, {c}x{h}x{w}{classes}{columns})"

    def content(self) -> str:
        """`digest`, or where there is none the SHA-256 of the pixels, in hex."""
        return self.digest or digest_of(self.images)

    def resized(self, image_size: int, channels: int) -> ImageSet:
        """The same set at (channels, image_size, image_size), antialiased; itself where nothing changes.

        A set that is mapped from disk is so again, from the cache: it may be too large for the memory.

        Raises:
            CourseError: no size or number of channels that images can have, or no room for the cache.
        """
        check_shape(image_size, channels)
        shape = (channels, image_size, image_size)
        if self.images.shape[1:] == shape:
            return self
        blocks = (resize(self.images[i : i + 1024], image_size, channels) for i in range(0, len(self), 1024))
        if source := getattr(self.images, "filename", None):
            key = repr((str(source), os.stat(source).st_mtime_ns, self.content(), self.images.shape))
            target = cache_dir() / "resized" / f"{image_size}x{channels}-{digest_of(key.encode())[:16]}"
            if read_cache(target) is None:
                write_cache(target, (len(self), *shape), blocks, {})
            images, _ = read_cache(target)
        else:
            images = np.concatenate([np.empty((0, *shape), np.uint8), *blocks])
        return replace(self, images=images, digest=self.content())

    def only(self, class_name: str) -> ImageSet:
        """The images of one class.

        Raises:
            CourseError: no class of that name; the message lists those there are.
        """
        class_name = normal(class_name)
        if class_name not in self.class_names:
            names = ", ".join(self.class_names) or "none"
            raise CourseError(f"{self.name} has no class '{class_name}'. It has: {names}.")
        return self.take(self.labels == self.class_names.index(class_name), f"{self.name}:{class_name}")

    def take(self, rows: np.ndarray | slice, name: str) -> ImageSet:
        """Some of the images under another name; `rows` are indices, bool (N,), or a slice."""
        rows = np.arange(len(self))[rows]
        digest = self.digest and digest_of(self.digest.encode(), rows)
        if len(rows) and (rows == np.arange(rows[0], rows[0] + len(rows))).all():
            rows = slice(rows[0], rows[0] + len(rows))  # a view: what is mapped from disk stays so
        labels = None if self.labels is None else self.labels[rows]
        attributes = {k: v[rows] for k, v in self.attributes.items()}
        return replace(self, images=self.images[rows], labels=labels, attributes=attributes, name=name, digest=digest)


def resize(images: np.ndarray, image_size: int, channels: int) -> np.ndarray:
    """Images uint8 (n, C, H, W) at (n, channels, image_size, image_size): bilinear, antialiased; grey by ITU-R 601."""
    import torch
    import torch.nn.functional as F

    x = torch.from_numpy(np.array(images)).float()
    if x.shape[1] != channels and channels == 1:
        x = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = x.expand(-1, channels, -1, -1)
    x = F.interpolate(x, size=(image_size, image_size), mode="bilinear", antialias=True)
    return x.round().clamp(0, 255).to(torch.uint8).numpy()


def checked_labels(labels: np.ndarray, count: int) -> np.ndarray:
    """The labels as int64 (count,).

    Raises:
        CourseError: too few, too many, or no whole numbers from 0.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise CourseError(f"{count:,} images need as many labels, one each; these are {labels.shape}.")
    if labels.dtype.kind not in "iu" or (count and labels.min() < 0):
        raise CourseError(f"Labels must be whole numbers from 0; these are {labels.dtype}, {labels[:3].tolist()}…")
    return labels.astype(np.int64, copy=False)


def check_shape(image_size: int | None, channels: int | None) -> None:
    """Raises CourseError for a size or number of channels that images cannot have; None is whatever they have."""
    if channels not in (1, 3, None) or (image_size is not None and image_size < 1):
        raise CourseError(f"channels must be 1 or 3, and image_size at least 1: not {channels} and {image_size}.")


def digest_of(*parts: bytes | np.ndarray) -> str:
    """The SHA-256 of bytes and of arrays (N, …), which may lie on disk, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
            continue
        for start in range(0, len(part), 1024):
            digest.update(np.ascontiguousarray(part[start : start + 1024]))
    return digest.hexdigest()
