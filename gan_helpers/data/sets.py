"""The data sets that have a name. To add one, write one function at the end of this file, under `@data_set`.

Nothing is unpickled and nothing is unpacked to disk: archives are read where they lie.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..environment import DATA, WITHOUT_DATA, cache_dir
from ..errors import CourseError
from .cache import read_cache, write_cache
from .images import ImageSet, digest_of
from .splits import part, ranks

Columns = dict[str, np.ndarray]  # `labels` int (N,), `class_names` (K,), and any attributes (N,)
Decoded = tuple[tuple[int, ...], Iterable[np.ndarray], Columns]  # the shape (N, C, H, W); uint8 (n, C, H, W); columns
Fetch = Callable[[str], Path]  # the name of one of a set's files → where it lies, fetched if need be
SETS: dict[str, Embedded | Downloaded] = {}


@dataclass
class DataSet:
    """A data set with a name: that of the function that reads it.

    Attributes:
        read: that function.   about: a line for the command `list`.
        card: origin, licence and shareable, of `ImageSet`.
    """

    read: Callable
    about: str
    card: dict[str, str | bool]

    @property
    def name(self) -> str:
        return self.read.__name__

    def image_set(self, images: np.ndarray, columns: Columns, **more) -> ImageSet:
        """Images and columns under the set's name, with its card."""
        attributes = {name: column for name, column in columns.items() if name not in ("labels", "class_names")}
        class_names = tuple(map(str, columns.get("class_names", ())))
        return ImageSet(images, self.name, columns.get("labels"), class_names, attributes, **self.card, **more)


class Embedded(DataSet):
    """A set in `data/NAME.npz`, of whose arrays `read` makes images uint8 (N, C, H, W) and columns."""

    def whole(self) -> ImageSet:
        """All images; raises CourseError where the file is missing or damaged (it has checksums)."""
        path = DATA / f"{self.name}.npz"
        try:
            content = path.read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return self.image_set(*self.read(dict(file)), digest=digest_of(content))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            state = "is damaged" if path.exists() else "is missing"
            cure = WITHOUT_DATA or f"Get it back with: git checkout -- data/{path.name}"
            raise CourseError(f"{path} {state} ({error}). {cure}") from error

    def open(self, split: str) -> ImageSet:
        """The images of a split: every tenth is held out, for such a set never grows; all of these report."""
        images = self.whole()
        content = ranks(images.images) if split == "choose" else np.zeros(len(images))
        return part(images, split, content, np.where(np.arange(len(images)) % 10 == 9, "held-out", "train"))


@dataclass
class Downloaded(DataSet):
    """A set that is fetched, checked and decoded once, then mapped from the cache.

    Attributes:
        read: makes a `Decoded` of 'train' or 'test' and a `Fetch`.
        urls: addresses, the official one first, with {file} for a file's name, or {id} for what `ids` has for it.
        md5s: file → MD5; bytes with another are thrown away.
        advice: for whom the download fails.
    """

    urls: tuple[str, ...]
    md5s: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    advice: str = ""

    def fetch(self, file: str) -> Path:
        """A raw file; raises CourseError, which says what to put where by hand."""
        from .download import fetch

        folder = cache_dir() / "downloads" / self.name
        hint = f"{self.advice}By hand: put these files into '{folder}', then run this again:"
        hint += "".join(f"\n  {name} (md5 {md5})" for name, md5 in self.md5s.items())
        urls = [url.format(file=file, id=self.ids.get(file)) for url in self.urls]
        return fetch(urls, folder / file, self.md5s[file], hint)

    def official(self, split: str) -> ImageSet:
        """The official split 'train' or 'test'; raises CourseError."""
        from .decoding import VERSION

        target = cache_dir() / "decoded" / f"{self.name}-{split}-v{VERSION}"
        if read_cache(target) is None:
            write_cache(target, *self.read(split, self.fetch))
        digest = digest_of(repr((self.name, split, self.md5s)).encode())  # the files' bytes are known to be these
        return self.image_set(*read_cache(target), digest=digest, unseen=split == "test")

    def open(self, split: str) -> ImageSet:
        """The images of a split: the official test images are held out, and enough to choose by some of them."""
        if split == "train":
            return self.official("train")
        test = self.official("test")
        if split == "held-out":
            return replace(test, name=f"{self.name}-test")
        return part(test, split, ranks(test.images), np.full(len(test), "held-out"))


def data_set(kind: type, about: str, *, origin: str, licence: str, shareable: bool = False, **where) -> Callable:
    """Puts the decorated function into `SETS`, as `read` of a set of this kind; `where` are the kind's other fields."""

    def register(read: Callable) -> Callable:
        card = {"origin": origin, "licence": licence, "shareable": shareable}
        SETS[read.__name__] = kind(read, about, card, **where)
        return read

    return register


def apart(name: str) -> str:
    """The name of somebody's own images: after ./ where a data set is called so, and nobody may take it for that."""
    return f"./{name}" if name in SETS else name


# --- sets that come with the course ---------------------------------------------------------------------------------


@data_set(
    Embedded,
    "10,000 cartoon faces, 64x64 colour, with attributes",
    origin="drawn with DiceBear, from Personas by Draftbit and ToonHead by Johan Melin, changed (data/README.md)",
    licence="CC BY 4.0",
    shareable=True,
)
def faces(arrays: Columns) -> tuple[np.ndarray, Columns]:
    """Cartoon faces: images uint8 (10000, 3, 64, 64), labels = drawing style, exact attributes.

    Columns: bool `glasses`, `beard`, `smile`, `long_hair`; str `style`, `skin`, `hair`, `hair_color`, `eyes`, `mouth`,
    `beard_kind`, `glasses_kind`, `clothes`, `clothes_color`, `background`. Drawn by `data/draw_faces.py`.
    """
    index, palette = arrays.pop("index"), arrays.pop("palette")  # (N, 64, 64), (N, 3, K)
    images = np.empty((len(index), 3, *index.shape[1:]), np.uint8)
    for image, plane, colours in zip(images, index, palette, strict=True):
        np.take(colours, plane, axis=1, out=image, mode="clip")
    styles, labels = np.unique(arrays["style"], return_inverse=True)
    return images, {"labels": labels, "class_names": styles, **arrays}


CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@data_set(
    Embedded,
    "10,000 Fashion-MNIST images, 28x28 grey",
    origin="Fashion-MNIST training split by Zalando Research, 1,000 images of each class (data/README.md)",
    licence="MIT",
    shareable=True,
)
def fashion(arrays: Columns) -> tuple[np.ndarray, Columns]:
    """Real Fashion-MNIST training images, 1,000 a class: uint8 (10000, 1, 28, 28), labels 0..9."""
    return arrays["images"], {"labels": arrays["labels"], "class_names": CLOTHES}


# --- sets that are downloaded ---------------------------------------------------------------------------------------

IDX = [f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def read_idx(split: str, fetch: Fetch, class_names: tuple[str, ...]) -> Decoded:
    """MNIST's format: two bytes 0, the type 8, the number of axes; their lengths as big-endian int32; the values."""
    arrays = []
    for file in IDX[:2] if split == "train" else IDX[2:]:
        data = gzip.decompress(fetch(file).read_bytes())
        shape = np.frombuffer(data, ">i4", data[3], offset=4)
        arrays.append(np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape))
    images, labels = arrays
    return (len(images), 1, *images.shape[1:]), [images], {"labels": labels, "class_names": class_names}


@data_set(
    Downloaded,
    "60,000 handwritten digits, 28x28 grey (11 MB)",
    origin="MNIST (LeCun, Cortes, Burges)",
    licence="CC BY-SA 3.0",
    shareable=True,
    urls=("https://ossci-datasets.s3.amazonaws.com/mnist/{file}",
          "https://storage.googleapis.com/cvdf-datasets/mnist/{file}"),
    md5s=dict(zip(IDX, ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
                        "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"), strict=True)),
)  # fmt: skip
def mnist(split: str, fetch: Fetch) -> Decoded:
    """Handwritten digits: uint8 (60000, 1, 28, 28), or 10,000 to test."""
    return read_idx(split, fetch, tuple("0123456789"))


@data_set(
    Downloaded,
    "60,000 clothes, 28x28 grey (30 MB)",
    origin="Fashion-MNIST (Zalando Research)",
    licence="MIT",
    shareable=True,
    urls=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}",
          "https://storage.googleapis.com/tensorflow/tf-keras-datasets/{file}"),
    md5s=dict(zip(IDX, ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                        "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"), strict=True)),
)  # fmt: skip
def fashion_mnist(split: str, fetch: Fetch) -> Decoded:
    """Clothes: uint8 (60000, 1, 28, 28), or 10,000 to test."""
    return read_idx(split, fetch, CLOTHES)


@data_set(
    Downloaded,
    "50,000 photos in 10 classes, 32x32 colour (170 MB)",
    origin="CIFAR-10 (Krizhevsky 2009)",
    licence="none stated; photos from the web",
    urls=("https://www.cs.toronto.edu/~kriz/{file}", "https://cave.cs.toronto.edu/kriz/{file}"),
    md5s={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
)
def cifar10(split: str, fetch: Fetch) -> Decoded:
    """Photos in 10 classes: uint8 (50000, 3, 32, 32), or 10,000 to test."""
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    with tarfile.open(fetch("cifar-10-binary.tar.gz"), "r:gz") as tar:
        files = [tar.extractfile(f"cifar-10-batches-bin/{name}").read() for name in [*names, "batches.meta.txt"]]
    rows = np.frombuffer(b"".join(files[:-1]), np.uint8).reshape(-1, 1 + 3 * 32 * 32)  # a label, then R, G, B planes
    columns = {"labels": rows[:, 0], "class_names": files[-1].decode().split()}
    return (len(rows), 3, 32, 32), [rows[:, 1:]], columns


DRIVE = {
    "img_align_celeba.zip": "0B7EVK8r0v71pZjFTYXZWM3FlRnM",
    "list_attr_celeba.txt": "0B7EVK8r0v71pblRyaVFSWGxPY0U",
    "list_eval_partition.txt": "0B7EVK8r0v71pY0NSMzRuSXJEVkk",
}


@data_set(
    Downloaded,
    "162,770 celebrity faces, 64x64 colour, 40 attributes (1.4 GB); non-commercial research only",
    origin="CelebA (Liu et al. 2015)",
    licence="non-commercial research only; images of real people",
    urls=("https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t",
          "https://graal.ift.ulaval.ca/public/celeba/{file}"),
    md5s=dict(zip(DRIVE, ("00d2c5bc6d35e252742224ab0c1e8fcb", "75e246fa4810816ffd6ee81facbd244c",
                          "d32c9cbf5e040fd4025c592c306e6668"), strict=True)),
    ids=DRIVE,
    advice="Google Drive lets the whole world fetch a file only so often in 24 hours, then answers 'quota exceeded'. "
           "Try again tomorrow, or in a browser where you are signed in to Google, from Align&Cropped Images at "
           "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html\n",
)  # fmt: skip
def celeba(split: str, fetch: Fetch) -> Decoded:
    """Celebrity faces, centre-cropped as DCGAN's followers do: uint8 (162770, 3, 64, 64), or 19,962 to test.

    Columns: 40 attributes, bool.
    """
    archive, attributes, partition = map(fetch, DRIVE)
    splits = dict(line.split() for line in partition.read_text("utf-8").splitlines())  # file → 0, 1 (valid) or 2
    _, header, *lines = attributes.read_text("utf-8").splitlines()  # the count, the 40 names, an image a line
    names, values = [], []
    for line in lines:
        name, *signs = line.split()  # 1 or -1
        if splits[name] == {"train": "0", "test": "2"}[split]:
            names.append(f"img_align_celeba/{name}")
            values.append([sign == "1" for sign in signs])

    def blocks() -> Iterator[np.ndarray]:
        from .decoding import decode_many, reader
        from .listing import open_entry

        broken: dict[str, str] = {}
        with zipfile.ZipFile(archive) as opened:
            read = reader(lambda name: open_entry(opened, opened.getinfo(name)), 64, 3)
            yield from decode_many(names, read, broken)
        if broken:
            raise CourseError(f"{len(broken)} images of CelebA cannot be read, first {next(iter(broken.items()))}.")

    return (len(names), 3, 64, 64), blocks(), dict(zip(header.split(), np.array(values).T, strict=True))
