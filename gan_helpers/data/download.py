"""MNIST, Fashion-MNIST, CIFAR-10 and CelebA: fetched, checked and decoded once, then mapped from the cache.

Nothing is unpickled and nothing is unpacked to disk: archives are read where they lie.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

from ..console import bar
from ..environment import cache_dir
from ..errors import CourseError
from ..files import cannot_write
from .cache import read_cache, write_cache
from .decoding import VERSION, decode_many
from .embedded import FASHION
from .folder import zip_opener
from .images import ImageSet, digest_of

TIMEOUT, PAUSE, TRIES = 30, 2, 20  # seconds without an answer, seconds before going on after a cut, cuts borne
IDX = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
DRIVE = {
    "img_align_celeba.zip": "0B7EVK8r0v71pZjFTYXZWM3FlRnM",
    "list_attr_celeba.txt": "0B7EVK8r0v71pblRyaVFSWGxPY0U",
    "list_eval_partition.txt": "0B7EVK8r0v71pY0NSMzRuSXJEVkk",
}
LOCAL = errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR  # not the net
# Data set → addresses, the official one first, and file → md5. Bytes with another md5 are thrown away.
SOURCES: dict[str, tuple[list[str], dict[str, str]]] = {
    "mnist": (
        ["https://ossci-datasets.s3.amazonaws.com/mnist/{file}",
         "https://storage.googleapis.com/cvdf-datasets/mnist/{file}"],
        dict(zip(IDX, ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
                       "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"), strict=True)),
    ),
    "fashion_mnist": (
        ["https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}",
         "https://storage.googleapis.com/tensorflow/tf-keras-datasets/{file}"],
        dict(zip(IDX, ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                       "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"), strict=True)),
    ),
    "cifar10": (
        ["https://www.cs.toronto.edu/~kriz/{file}", "https://cave.cs.toronto.edu/kriz/{file}"],
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ),
    "celeba": (
        ["https://drive.usercontent.google.com/download?id={drive}&export=download&confirm=t",
         "https://graal.ift.ulaval.ca/public/celeba/{file}"],
        dict(zip(DRIVE, ("00d2c5bc6d35e252742224ab0c1e8fcb", "75e246fa4810816ffd6ee81facbd244c",
                         "d32c9cbf5e040fd4025c592c306e6668"), strict=True)),
    ),
}  # fmt: skip
QUOTA = (
    "Google Drive lets the whole world fetch a file only so often in 24 hours, then answers 'quota exceeded'. Try "
    "again tomorrow, or in a browser where you are signed in to Google, from Align&Cropped Images at "
    "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html\n"
)


def mnist(split: str = "train") -> ImageSet:
    """Handwritten digits: uint8 (60000, 1, 28, 28), or 10,000 with split='test'. Raises CourseError."""
    return _idx_set("mnist", split, tuple("0123456789"), origin="MNIST (LeCun, Cortes, Burges)", licence="CC BY-SA 3.0")


def fashion_mnist(split: str = "train") -> ImageSet:
    """Clothes: uint8 (60000, 1, 28, 28), or 10,000 with split='test'. Raises CourseError."""
    return _idx_set("fashion_mnist", split, FASHION, origin="Fashion-MNIST (Zalando Research)", licence="MIT")


def _idx_set(name: str, split: str, classes: tuple[str, ...], **card: str) -> ImageSet:
    def make() -> tuple:
        files = _files(name, IDX[:2] if split == "train" else IDX[2:])
        images, labels = (_read_idx(gzip.decompress(path.read_bytes())) for path in files)
        return [images[:, None]], len(images), (1, *images.shape[1:]), {"labels": labels.astype(np.int64)}

    title, images, table = _cached(name, split, split, make)
    card["digest"] = _source(name, split)
    return ImageSet(images, title, table["labels"], classes, shareable=True, **card)


def _read_idx(data: bytes) -> np.ndarray:
    """The uint8 array of MNIST's file format: 0, 0, type 8, rank; the sizes as big-endian int32; the values."""
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(np.frombuffer(data, ">i4", data[3], 4))


def cifar10(split: str = "train") -> ImageSet:
    """Photos in 10 classes: uint8 (50000, 3, 32, 32), or 10,000 with split='test'. Raises CourseError."""

    def make() -> tuple:
        with tarfile.open(*_files("cifar10", ["cifar-10-binary.tar.gz"]), "r:gz") as tar:
            batches = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
            files = [tar.extractfile(f"cifar-10-batches-bin/{name}.bin").read() for name in batches]
            classes = tar.extractfile("cifar-10-batches-bin/batches.meta.txt").read().decode().split()
        rows = np.frombuffer(b"".join(files), np.uint8).reshape(-1, 1 + 3 * 32 * 32)  # a label, then R, G, B planes
        arrays = {"labels": rows[:, 0].astype(np.int64), "classes": np.array(classes)}
        return [rows[:, 1:].reshape(-1, 3, 32, 32)], len(rows), (3, 32, 32), arrays

    title, images, table = _cached("cifar10", split, split, make)
    card = {"origin": "CIFAR-10 (Krizhevsky 2009)", "licence": "none stated; photos from the web"}
    card["digest"] = _source("cifar10", split)
    return ImageSet(images, title, table["labels"], tuple(table["classes"].tolist()), **card)


def celeba(split: str = "train") -> ImageSet:
    """Celebrity faces, 64x64, centre-cropped as DCGAN's followers do, with 40 attributes (bool). Raises CourseError.

    Args:
        split: 'train' (162,770 images), 'valid' (19,867), 'test' (19,962) or 'all'.
    """

    def make() -> tuple:
        archive, attributes, partition = _files("celeba", list(DRIVE))
        _, columns, *lines = (
            attributes.read_text("utf-8").strip().split("\n")
        )  # the count, the 40 names, an image a line
        names = [line.split(maxsplit=1)[0] for line in lines]
        values = np.array([np.fromstring(line.split(maxsplit=1)[1], np.int8, sep=" ") for line in lines])  # -1 or 1
        parts = np.array(
            [line.split()[1] for line in partition.read_text("utf-8").strip().split("\n")], np.uint8
        )  # ascending
        arrays = {"columns": np.array(columns.split()), "values": values > 0, "parts": parts}

        def blocks() -> Iterator[np.ndarray]:
            broken: dict[str, str] = {}
            with zipfile.ZipFile(archive) as opened:
                members = [f"img_align_celeba/{name}" for name in names]
                yield from decode_many(members, zip_opener(opened), 64, 3, broken)
            if broken:
                raise CourseError(f"{len(broken)} images of CelebA cannot be read, first {next(iter(broken.items()))}.")

        return blocks(), len(names), (3, 64, 64), arrays

    title, images, table = _cached("celeba", split, f"64-v{VERSION}", make)
    bounds = {"train": (0, 1), "valid": (1, 2), "test": (2, 3), "all": (0, 3)}[split]
    begin, end = np.searchsorted(table["parts"], bounds)
    values = dict(zip(table["columns"].tolist(), table["values"][begin:end].T, strict=True))
    card = {"origin": "CelebA (Liu et al. 2015)", "licence": "non-commercial research only; images of real people"}
    card["digest"] = _source("celeba", split)
    return ImageSet(images[begin:end], title, attributes=values, **card)


def _cached(name: str, split: str, part: str, make: Callable[[], tuple]) -> tuple[str, np.ndarray, dict]:
    """The name of a split, its images and arrays: from the cache, filled first by `write_cache(..., *make())`."""
    splits = ("train", "valid", "test", "all") if name == "celeba" else ("train", "test")
    if split not in splits:
        raise CourseError(f"{name} has no split '{split}'. It has: {', '.join(splits)}.")
    target = cache_dir() / "decoded" / f"{name}-{part}"
    if read_cache(target) is None:
        write_cache(target, *make())
    return name if split == "train" else f"{name}-{split}", *read_cache(target)


def _source(name: str, split: str) -> str:
    """The digest of a split: of what its files' bytes are known to be."""
    return digest_of(repr((name, split, SOURCES[name][1])).encode())


def _files(name: str, files: list[str]) -> list[Path]:
    """The raw files of a data set, fetched where they are not there yet."""
    place, (addresses, md5s) = cache_dir() / "downloads" / name, SOURCES[name]
    hint = f"{QUOTA if name == 'celeba' else ''}By hand: put these files into '{place}', then run this again:"
    hint += "".join(f"\n  {file} (md5 {md5s[file]})" for file in files)
    return [
        fetch([a.format(file=file, drive=DRIVE.get(file)) for a in addresses], place / file, md5s[file], hint)
        for file in files
    ]


def fetch(urls: list[str], path: Path, checksum: str, hint: str = "") -> Path:
    """Download to `path` from the first address that delivers the right checksum (MD5 or SHA-256, in hex).

    What is there already stays. The bytes go to `path`.part, which is continued after an interruption, and moved into
    place once checked.

    Raises:
        CourseError: no address delivered (each is named with its reason, then `hint`), or the disk is full.
    """
    reasons, reason, part = [], "", path.with_name(path.name + ".part")
    if path.exists():
        if _digest(path, checksum) == checksum:
            return path
        reasons.append(f"{path}: it is there, but its checksum is wrong")
    for url in urls:
        for _ in range(TRIES):
            before = part.stat().st_size if part.exists() else 0
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _stream(url, part, before)
                if _digest(part, checksum) == checksum:
                    os.replace(part, path)
                    return path
                part.unlink()
                reason = "the file has a wrong checksum"
                if before == 0:
                    break  # all of it came from here; otherwise what was continued may be at fault
            except (OSError, HTTPException) as error:
                if getattr(error, "errno", None) in LOCAL:
                    raise cannot_write(path.parent, error) from error
                reason = str(error) or type(error).__name__
                if not part.exists() or part.stat().st_size <= before:
                    break  # nothing came; otherwise the connection was cut, and goes on from there
                time.sleep(PAUSE)
        reasons.append(f"{url}: {reason}")
    listed = "".join(f"\n  {reason}" for reason in reasons)
    raise CourseError(f"{path.name} could not be downloaded.{listed}\n{hint}".rstrip())


def _stream(url: str, part: Path, start: int) -> None:
    """Append what is missing after `start` bytes to `part`, or all of it where the server cannot continue."""
    request = Request(url, headers={"User-Agent": "gan-helpers", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        answer = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # there is nothing after `start`: whether `part` is whole, its checksum tells
            return
        raise
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise OSError("a web page came instead of the file (from Google Drive: its quota is exceeded)")
        start = start if answer.status == 206 else 0
        if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise OSError("the server sent another part of the file than was asked for")
        total = start + int(answer.headers.get("Content-Length") or 0)
        if shutil.disk_usage(part.parent).free < total - start:
            raise cannot_write(part.parent, OSError(errno.ENOSPC, ""), total - start)
        options = {"unit": "B", "unit_scale": True, "desc": part.stem, "mininterval": 0.5}
        progress = bar(total=total or None, initial=start, **options)
        with open(part, "ab" if start else "wb") as file, progress:
            while block := answer.read(2**18):
                file.write(block)
                progress.update(len(block))
            if file.tell() < total:
                raise OSError(f"the connection was cut after {file.tell():,} of {total:,} bytes")


def _digest(path: Path, like: str) -> str:
    """The checksum of a file, of the kind that `like` is."""
    digest = hashlib.md5(usedforsecurity=False) if len(like) == 32 else hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
