"""Image files of any kind to uint8 pixels of one size, many at a time."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from ..console import bar

Opener = Callable[[str], BinaryIO]  # name of an image → its file, opened


EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # no other is tried, whatever a file is called


VERSION = 1  # of `decode`: raise it when its pixels change, and older caches are made again


Whites = dict[str, float]  # "I" for whole numbers, "F" for floats → the value that is white, in all of a set


TOPS = (1, 255, 1023, 4095, 16383, 65535, 2**31 - 1)  # what is usually white


def decode(file: BinaryIO, image_size: int, channels: int, whites: Whites | None = None) -> np.ndarray:
    """One image file as uint8 (channels, image_size, image_size), values 0..255.

    The shorter side is resized to `image_size` (bilinear, antialiased) and the centre cropped: the pixels of
    torchvision's Resize and CenterCrop, in one step. Turned as EXIF says; alpha laid on white; the first frame of an
    animation; greys of more than 8 bits scaled by `white_of`. Raises whatever Pillow raises for a broken image.
    """
    with Image.open(file, formats=FORMATS) as image:
        image.draft(None, (2 * image_size, 2 * image_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8: much faster
        image.load()
        white = white_of(image) or (whites or {}).get(image.mode[0], 1.0 if image.mode == "F" else 65535)
        with contextlib.suppress(Exception):  # damaged EXIF does not make the pixels bad
            image = ImageOps.exif_transpose(image)
        if image.mode == "F" or image.mode.startswith("I"):
            grey = np.nan_to_num(np.asarray(image, np.float64)).clip(0, white)
            image = Image.fromarray((grey / white * 255).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        image = image.convert("L") if channels == 1 else image
        short, long = min(image.size), max(image.size)
        resized = int(image_size * long / short)  # the longer side after resizing
        start = round((resized - image_size) / 2)  # where the crop begins, in new pixels
        ends = start * long / resized, min((start + image_size) * long / resized, long)  # the crop, in old pixels
        box = (ends[0], 0, ends[1], short) if image.width >= image.height else (0, ends[0], short, ends[1])
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(image).reshape(image_size, image_size, channels).transpose(2, 0, 1)


def white_of(image: Image.Image) -> float:
    """The value of white that an image's type fixes; 0 where it leaves that open: 16- and 32-bit and float greys.

    These hold 10 or 12 bits as often as all 16, and floats anything: see `whites_of`.
    """
    if not (image.mode == "F" or image.mode.startswith("I")):
        return 255
    if image.format == "PPM":  # states its white, and Pillow scales by it
        return 65535
    bits = getattr(image, "tag_v2", {}).get(258)  # of a TIFF
    return 4095 if bits == (12,) else 0


def whites_of(names: list[str], opener: Opener) -> Whites:
    """White in the greys of a set whose type leaves it open, decided once: the least of TOPS that none of them exceeds.

    Else an image would be as bright as its own brightest pixel lets it be, and a 12-bit one black beside others of 16.
    """
    most: dict[str, float] = {}
    for name in names:
        if os.path.splitext(name)[1].lower() not in (".png", ".tif", ".tiff"):
            continue
        with contextlib.suppress(Exception), opener(name) as file, Image.open(file, formats=FORMATS) as image:
            if white_of(image) == 0:
                grey = np.asarray(image, np.float64)
                most[image.mode[0]] = max(most.get(image.mode[0], 0), grey[np.isfinite(grey)].max(initial=0))
    return {mode: next((top for top in TOPS if value <= top), value) for mode, value in most.items()}


def decode_many(
    names: list[str],
    opener: Opener,
    image_size: int,
    channels: int,
    broken: dict[str, str],
    whites: Whites | None = None,
) -> Iterator[np.ndarray]:
    """Decode in parallel, in order, a bounded number at a time.

    Yields:
        uint8 (n, channels, image_size, image_size): the readable images of each chunk, n <= 32. The others are put
        into `broken`: name → reason.
    """

    def work(chunk: list[str]) -> list[np.ndarray | str]:
        return [attempt(name, opener, image_size, channels, whites) for name in chunk]

    Image.init()  # Pillow's plugins, before threads race to load them
    size = max(1, min(32, 2**22 // (channels * image_size**2)))  # images in a chunk: at most about 4 MB
    chunks = [names[i : i + size] for i in range(0, len(names), size)]
    workers = os.cpu_count() or 2
    rest, pool = iter(chunks), ThreadPoolExecutor(workers)  # threads, because Pillow decodes without the GIL
    try:
        waiting = deque(pool.submit(work, chunk) for chunk in islice(rest, 4 * workers))
        with bar(total=len(names), desc="decoding images", unit="image", delay=3, mininterval=0.5) as progress:
            for chunk in chunks:
                results = waiting.popleft().result()
                waiting.extend(pool.submit(work, following) for following in islice(rest, 1))
                broken.update((n, r) for n, r in zip(chunk, results, strict=True) if isinstance(r, str))
                good = [r for r in results if not isinstance(r, str)]
                if good:
                    yield np.stack(good)
                progress.update(len(chunk))
    finally:
        pool.shutdown(cancel_futures=True)


def attempt(
    name: str, opener: Opener, image_size: int, channels: int, whites: Whites | None = None
) -> np.ndarray | str:
    """The decoded image, or why there is none. Pillow raises nearly any exception for broken files."""
    try:
        with opener(name) as file:
            return decode(file, image_size, channels, whites)
    except MemoryError:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
