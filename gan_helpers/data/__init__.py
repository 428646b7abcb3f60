"""Every source of images as one `ImageSet`: uint8 pixels, labels, attributes, and where they came from."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..console import say
from ..errors import CourseError, nearest
from .layout import normal

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"  # embedded sets and shipped generators
CHECKOUT = (ROOT / "pyproject.toml").exists()  # or else the package was installed somewhere, without its data
WITHOUT_DATA = "" if CHECKOUT else (
    f"The course was installed into {ROOT} without its data sets, networks and generators: get the whole repository, "
    "and in its folder run pip install -e ."
)  # fmt: skip


def cache_dir() -> Path:
    """Where downloads and decoded images are kept: `$GAN_HELPERS_CACHE`, or `data/cache` in the course's folder.

    Where the course is installed without that folder, it is the user's cache folder.
    """
    named = os.environ.get("GAN_HELPERS_CACHE") or (DATA / "cache" if CHECKOUT else user_cache() / "gan-helpers")
    return Path(named).expanduser()


def user_cache() -> Path:
    """Where this system keeps what programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


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

        Raises:
            CourseError: no size or number of channels that images can have.
        """
        import torch
        import torch.nn.functional as F

        check_shape(image_size, channels)
        if self.images.shape[1:] == (channels, image_size, image_size):
            return self
        out = np.empty((len(self), channels, image_size, image_size), np.uint8)
        for start in range(0, len(self), 1024):
            x = torch.from_numpy(np.array(self.images[start : start + 1024]))  # (n, C, H, W) uint8
            if x.shape[1] != channels and channels == 1:  # colour to grey, ITU-R 601 luma
                x = (x.float() * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
            x = x.float().expand(-1, channels, -1, -1)
            x = F.interpolate(x, size=(image_size, image_size), mode="bilinear", antialias=True)
            out[start : start + 1024] = x.round().clamp(0, 255).to(torch.uint8).numpy()
        return replace(self, images=out, digest=self.content())

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

    def take(self, rows: np.ndarray, name: str) -> ImageSet:
        """Some of the images under another name; `rows` are indices, or bool (N,)."""
        labels = None if self.labels is None else self.labels[rows]
        attributes = {k: v[rows] for k, v in self.attributes.items()}
        digest = self.digest and digest_of(self.digest.encode(), np.arange(len(self), dtype=np.int64)[rows])
        return replace(self, images=self.images[rows], labels=labels, attributes=attributes, name=name, digest=digest)


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


EMBEDDED = {
    "faces": "10,000 cartoon faces, 64x64 colour, with attributes",
    "fashion": "10,000 Fashion-MNIST images, 28x28 grey",
}
DOWNLOADED = {
    "mnist": "60,000 handwritten digits, 28x28 grey (11 MB)",
    "fashion_mnist": "60,000 clothes, 28x28 grey (30 MB)",
    "cifar10": "50,000 photos in 10 classes, 32x32 colour (170 MB)",
    "celeba": "162,770 celebrity faces, 64x64 colour, 40 attributes (1.4 GB); non-commercial research only",
}


def load(
    source: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    *,
    fallback: str | None = None,
    skip_broken: bool = False,
    split: str = "train",
) -> ImageSet:
    """Open a data set by name, or a folder or zip of images by path.

    Args:
        source: a name in `EMBEDDED` or `DOWNLOADED`, or a path. A name goes before a folder that is called so, whose
            path is `./name`, or a `Path`.
        image_size: side in pixels; None keeps the set's own (64 for a folder).
        channels: 1 or 3; None keeps the set's own (3 for a folder).
        fallback: an embedded set to use, with a visible banner, where a download fails.
        skip_broken: leave out images of a folder that cannot be read, and say how many.
        split: 'train', or 'held-out', which no training sees: the official test split, every tenth image of an embedded
            set, and of a folder about a tenth, by content (see `rows_of`). 'choose' and 'report' are for scores: what
            is chosen by one is reported by the other.

    Raises:
        CourseError: unknown name or split, a shape that no image has, unreadable folder, or failed download without a
            fallback.
    """
    name = str(source)
    check_shape(image_size, channels)
    if split not in SPLITS:
        raise CourseError(f"There is no split '{split}'.{nearest(split, SPLITS)} Splits: {', '.join(SPLITS)}.")
    if source in EMBEDDED:
        from . import embedded

        found = noted(embedded.part(getattr(embedded, name)(), split), shadowed(name, "the embedded set"))
    elif source in DOWNLOADED:
        from . import download, embedded

        try:
            found = getattr(download, name)("train" if split == "train" else "test")
            if split in ("choose", "report"):  # the official test splits are large enough for both
                everything = ranks(found.images)
                rows = rows_of(split, everything, np.ones(len(found), bool))
                found = found.take(rows, f"{name}-{split}")
            found = noted(found, shadowed(name, "the set to download"))
        except CourseError as error:
            if fallback is None:
                raise
            found = load(fallback, split=split)
            say(str(error))
            found = replace(found, note=f"{name} could not be downloaded: this is the embedded set '{fallback}'.")
    elif name and (path := at_home(name)).exists():
        from . import folder

        size = image_size or 64
        found = folder.open_folder(path, size, channels or 3, skip_broken=skip_broken, split=split)
    else:
        names = [*EMBEDDED, *DOWNLOADED]
        raise CourseError(
            f"No data set or folder '{name}'.{nearest(name, names)} Data sets: {', '.join(names)}; "
            "or give a path to a folder or zip of images."
        )
    if found.note:
        banner(found.note)
    return found.resized(image_size or found.images.shape[-1], channels or found.images.shape[1])


def noted(images: ImageSet, sentence: str) -> ImageSet:
    """The set with one more sentence in its note; itself for none."""
    return replace(images, note=f"{images.note} {sentence}".strip()) if sentence else images


def shadowed(name: str, what: str) -> str:
    """What to tell where a file or folder is called `name`, which means `what`; else ''."""
    there = at_home(name).exists()
    return f"'{name}' is {what}; for the folder or file of that name write ./{name}." if there else ""


def apart(name: str) -> str:
    """The name of somebody's own images: after ./ where a data set is called so, and nobody may take it for that."""
    return f"./{name}" if name in EMBEDDED or name in DOWNLOADED else name


def at_home(name: str | Path) -> Path:
    """The path, with ~ for the home directory; a ~somebody who is not known here stays as it is."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


SPLITS = ("train", "held-out", "choose", "report")
HELD_OUT = 0.9  # the rank from which an image is held out
ENOUGH, CHOOSE = 4000, 2000  # held-out images from which a fifth is spared to choose by; else training images that do


def digest_of(*parts: bytes | np.ndarray) -> str:
    """The SHA-256 of bytes and of arrays (N, …), which may lie on disk, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        for block in [part] if isinstance(part, bytes) else (part[i : i + 1024] for i in range(0, len(part), 1024)):
            digest.update(np.ascontiguousarray(block) if isinstance(block, np.ndarray) else block)
    return digest.hexdigest()


def rank(content: bytes | np.ndarray) -> float:
    """A number in [0, 1) that depends on the content alone, evenly spread: of its SHA-256."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(content)).digest()[:6], "big") / 2**48


def ranks(images: np.ndarray) -> np.ndarray:
    """The rank (N,) of each image (N, C, H, W)."""
    return np.array([rank(image) for image in images])


def held_out(ranks: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Which images are held out, bool (N,): those that rank at `HELD_OUT` or above, about a tenth.

    A class that would be held out whole, as one of a single image may be, keeps the image that ranks lowest, and its
    copies, for training: otherwise nothing could draw it.
    """
    held = ranks >= HELD_OUT
    if labels is not None:
        lowest = np.ones(labels.max() + 1)
        np.minimum.at(lowest, labels, ranks)
        held &= ranks > lowest[labels]
    return held


def rows_of(split: str, ranks: np.ndarray, held: np.ndarray | None = None) -> np.ndarray:
    """Which images belong to a split, bool (N,).

    An image's own content decides, so one more photo moves no other, and copies stay together (see `held_out`). A fifth
    of the held-out ones are there to choose by (recipes, the best of a run), the rest to report. Where fewer than 4,000
    are held out all of them report, and the choice falls by 2,000 fixed training images: a judge that uses these must
    watch for copies.

    Args:
        ranks: (N,), of `rank`.
        held: bool (N,), where something else decides what is held out, such as an official test split.
    """
    held = held_out(ranks) if held is None else held
    if split in ("train", "held-out"):
        return held == (split == "held-out")
    if held.sum() >= ENOUGH:
        spare = np.zeros(len(ranks), bool)
        spare[np.flatnonzero(held)] = ranks[held] * 1e6 % 1 < 0.2  # other digits than those that held it out
        return spare if split == "choose" else held & ~spare
    if split == "report":
        return held
    train = np.flatnonzero(~held)
    chosen = np.zeros(len(ranks), bool)
    chosen[train[np.argsort(ranks[train], kind="stable")[:CHOOSE]]] = True
    return chosen


def banner(text: str) -> None:
    """Print a line that cannot be overlooked."""
    say(f"{'!' * 8} {text} {'!' * 8}")
