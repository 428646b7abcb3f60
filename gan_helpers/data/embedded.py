"""The two data sets that come with the course: no network, open in well under half a second."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np

from ..environment import DATA, WITHOUT_DATA
from ..errors import CourseError
from .images import ImageSet, digest_of
from .splits import ranks, rows_of

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def _read(name: str, keys: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    """Every array of `data/<name>`, and the file's digest; missing or damaged (zip checksums), it is a CourseError."""
    path = DATA / name
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return {key: arrays.pop(key) for key in keys} | arrays, digest_of(content)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        state = "is damaged" if path.exists() else "is missing"
        cure = WITHOUT_DATA or f"Get it back with: git checkout -- data/{name}"
        raise CourseError(f"{path} {state} ({error}). {cure}") from error


def part(images: ImageSet, split: str) -> ImageSet:
    """The 9,000 images to train on (`train`), or the 1,000 that nothing was trained on (`held-out`): every tenth.

    These sets never grow, so their place decides. All held-out ones report (`report`), 2,000 training images choose.
    """
    held = np.arange(len(images)) % 10 == 9
    content = ranks(images.images) if split == "choose" else np.zeros(len(images))
    rows = rows_of(split, content, held)
    return images.take(rows, images.name if split == "train" else f"{images.name}-{split}")


def faces() -> ImageSet:
    """10,000 cartoon faces: images uint8 (10000, 3, 64, 64), labels = drawing style, exact attributes.

    Columns: bool `glasses`, `beard`, `smile`, `long_hair`; str `style`, `skin`, `hair`, `hair_color`, `eyes`, `mouth`,
    `beard_kind`, `glasses_kind`, `clothes`, `clothes_color`, `background`. Drawn by `data/draw_faces.py`.
    """
    table, digest = _read("faces.npz", ("index", "palette"))
    index, palette = table.pop("index"), table.pop("palette")  # (N, 64, 64), (N, 3, K)
    images = np.empty((len(index), 3, *index.shape[1:]), np.uint8)
    for image, plane, colours in zip(images, index, palette, strict=True):
        np.take(colours, plane, axis=1, out=image, mode="clip")
    styles, labels = np.unique(table["style"], return_inverse=True)
    return ImageSet(
        images,
        "faces",
        labels.astype(np.int64),
        tuple(str(style) for style in styles),
        table,
        origin="drawn with DiceBear, from Personas by Draftbit and ToonHead by Johan Melin, changed (data/README.md)",
        licence="CC BY 4.0",
        shareable=True,
        digest=digest,
    )


def fashion() -> ImageSet:
    """10,000 real Fashion-MNIST training images, 1,000 a class: uint8 (10000, 1, 28, 28), labels int64 0..9."""
    arrays, digest = _read("fashion.npz", ("images", "labels"))
    return ImageSet(
        arrays["images"],
        "fashion",
        arrays["labels"].astype(np.int64),
        FASHION,
        origin="Fashion-MNIST training split by Zalando Research, 1,000 images of each class (data/README.md)",
        licence="MIT",
        shareable=True,
        digest=digest,
    )
