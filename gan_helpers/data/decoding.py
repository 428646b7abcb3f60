"""Image files of any kind to uint8 pixels of one size, many at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, features

from ..console import bar

Opener = Callable[[str], BinaryIO]  # name of an image → its file, opened
Reader = Callable[[str], "np.ndarray | str"]  # name of an image → its pixels uint8 (C, S, S), or why there are none
Whites = dict[str, float]  # "I" (greys of whole numbers), "F" (of floats), "C" (16-bit colours) → white in all of a set

AVIF = "avif" in features.modules and bool(features.check("avif"))  # from Pillow 11.3 on
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"] + ["AVIF"] * AVIF  # no other is tried
EXTENSIONS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
EXTENSIONS |= {".avif"} if AVIF else set()
VERSION = 1  # of `decode`: raise it when its pixels change, and older caches are made again
TOPS = (1, 255, 1023, 4095, 16383, 65535, 2**31 - 1)  # what is usually white
BITS, PLANES = 258, 284  # tags of a TIFF
CHUNK = 128  # images that are decoded before they are written


def decode(file: BinaryIO, image_size: int, channels: int, whites: Whites | None = None) -> np.ndarray:
    """One image file as uint8 (channels, image_size, image_size), values 0..255.

    The shorter side is resized to `image_size` (bilinear, antialiased) and the centre cropped: the pixels of
    torchvision's Resize and CenterCrop, in one step. Turned as EXIF says; alpha laid on white; the first frame of an
    animation; greys of more than 8 bits scaled by `white_of`, colours of 16 bits by their upper 8. Raises whatever
    Pillow raises for a broken image.
    """
    with Image.open(file, formats=FORMATS) as image:
        image.draft(None, (2 * image_size, 2 * image_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8: much faster
        tags = getattr(image, "tag_v2", {})  # of a TIFF
        if tags.get(BITS, (8,))[0] > 8 and tags.get(PLANES) == 2 and image.tile[0][0] == "raw":
            raise ValueError("16-bit colours in separate planes, which Pillow misreads: save them interleaved")
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
    return 4095 if getattr(image, "tag_v2", {}).get(BITS) == (12,) else 0


def whites_of(names: list[str], opener: Opener) -> Whites:
    """White in the greys of a set whose type leaves it open, decided once: the least of TOPS that none of them exceeds.

    Else an image would be as bright as its own brightest pixel lets it be, and a 12-bit one black beside others of 16.
    Colours of 16 bits are looked at, too, though `decode` cannot follow: Pillow gives their upper 8 bits.
    """
    most: dict[str, float] = {}
    for name in names:
        if os.path.splitext(name)[1].lower() not in (".png", ".tif", ".tiff"):
            continue
        with contextlib.suppress(Exception), opener(name) as file, Image.open(file, formats=FORMATS) as image:
            if white_of(image) == 0:
                grey = np.asarray(image, np.float64)
                most[image.mode[0]] = max(most.get(image.mode[0], 0), grey[np.isfinite(grey)].max(initial=0))
            elif ";16" in str(image.tile[0][3]):  # how the pixels lie in the file, such as RGB;16B
                most["C"] = max(most.get("C", 0), 257.0 * np.asarray(image.convert("RGB")).max())
    return {mode: next((top for top in TOPS if value <= top), value) for mode, value in most.items()}


def reader(opener: Opener, image_size: int, channels: int, whites: Whites | None = None) -> Reader:
    """A function that decodes an image by its name. Pillow raises nearly any exception for broken files."""

    def read(name: str) -> np.ndarray | str:
        try:
            with opener(name) as file:
                return decode(file, image_size, channels, whites)
        except MemoryError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}".split("\n")[0]

    return read


def decode_many(names: list[str], read: Reader, broken: dict[str, str]) -> Iterator[np.ndarray]:
    """Decode images in parallel, in order, a bounded number at a time.

    Yields:
        uint8 (n, C, S, S): the readable images of each chunk. The others are put into `broken`: name → reason.
    """
    Image.init()  # Pillow's plugins, before threads race to load them
    progress = bar(total=len(names), desc="decoding images", unit="image", delay=3, mininterval=0.5)
    with progress, ThreadPoolExecutor(os.cpu_count()) as pool:  # threads, because Pillow decodes without the GIL
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            found = dict(zip(chunk, pool.map(read, chunk), strict=True))
            broken.update({name: why for name, why in found.items() if isinstance(why, str)})
            good = [image for name, image in found.items() if name not in broken]
            if good:
                yield np.stack(good)
            progress.update(len(chunk))
