"""Frames to GIF, WebP or MP4. One palette for a whole GIF: smaller, faster and without flicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from .environment import at_home
from .errors import CourseError
from .files import save_atomically
from .plots import grid

LONGEST = {".gif": 65_535, ".webp": 16_383, ".mp4": 16_384}  # of a side, in pixels
SUFFIXES = tuple(LONGEST)
# Colours, every how manieth frame, shrunk how often: tried in turn until a GIF fits.
FITS = ((128, 1, 1), (128, 2, 1), (64, 2, 1), (64, 4, 1), (64, 4, 2), (32, 8, 2), (32, 8, 4))


def shared_palette(frames: Sequence[Image.Image], colours: int) -> list[Image.Image]:
    """All frames with one palette, taken from about 16 of them, without dither."""
    some = [np.asarray(f) for f in [*frames[:: max(1, len(frames) // 16)], frames[-1]]]
    palette = Image.fromarray(np.concatenate(some)).quantize(colours, dither=Image.Dither.NONE)
    return [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]


def film(generate: Callable[[Tensor], Tensor], z: Tensor, scale: int | None = None) -> Iterator[Image.Image]:
    """A frame for each step of latent paths side by side, one at a time: wrap it in a progress bar.

    Args:
        generate: z (N, latent_dim) → images (N, C, S, S) in [-1, 1].
        z: (steps, N, latent_dim), for example N walks by `latent.walk`, stacked.
        scale: enlarges by whole pixels (default: to about 256 pixels for one image a frame, else 1).
    """
    for step in z:
        images = generate(step)
        yield grid(images, scale=scale or (max(1, 256 // images.shape[-1]) if len(images) == 1 else 1))


def animate(
    frames: Sequence[Image.Image], path: str | Path, *, fps: float = 8, hold: float = 2.0, max_bytes: int | None = None
) -> Path:
    """Write RGB frames of one size as an endless animation whose last frame stays for `hold` seconds more.

    It lasts len(frames) / fps + hold seconds, to a hundredth in a GIF or WebP, to a frame in an MP4.

    Args:
        path: ends in .gif, .webp or .mp4.
        max_bytes: GIF and WebP get fewer frames and colours, then smaller ones, at the same pace, until they fit.

    Raises:
        CourseError: no frames, frames of several sizes, another ending, or a file that cannot be made to fit.
    """
    path = at_home(path)
    if path.suffix.lower() not in SUFFIXES:
        raise CourseError(f"{path.name}: animations end in {', '.join(SUFFIXES)}.")
    if not frames:
        raise CourseError(f"No frames to write to {path}.")
    if len(sizes := {f.size for f in frames}) > 1:
        raise CourseError(
            f"The frames for {path.name} have several sizes: {sorted(sizes)}. Remove those of another run."
        )
    if (longest := max(frames[0].size)) > (most := LONGEST[path.suffix.lower()]):
        raise CourseError(f"{path.name}: a side has {longest:,} pixels, the format takes {most:,}. Show fewer images.")
    frames = [f.convert("RGB") for f in frames]
    if path.suffix.lower() == ".mp4":
        save_atomically(path, lambda part: _write_mp4(frames, part, fps, hold, max_bytes))
        return path
    gif = path.suffix.lower() == ".gif"
    for colours, every, shrink in FITS:
        kept = [*range(0, len(frames) - 1, every), len(frames) - 1]
        keep = [frames[i].reduce(shrink) for i in kept]
        ends = [round(i * 100 / fps) * 10 for i in [*kept[1:], len(frames)]]  # GIF counts in hundredths of a second
        ms = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        ms[-1] += round(hold * 100) * 10
        first, *rest = shared_palette(keep, colours) if gif else keep
        options = {"duration": ms, "loop": 0} | ({"disposal": 1} if gif else {"quality": 80})
        save_atomically(path, partial(first.save, save_all=True, append_images=rest, **options))
        if max_bytes is None or path.stat().st_size <= max_bytes:
            return path
    raise CourseError(f"{path.name} cannot be made smaller than {path.stat().st_size:,} bytes: .mp4 is smaller.")


def _write_mp4(frames: Sequence[Image.Image], path: Path, fps: float, hold: float, max_bytes: int | None) -> None:
    path.touch()  # a folder that cannot be written is named by us, not by the codec
    even = (frames[0].width // 2 * 2, frames[0].height // 2 * 2)  # the codec wants even sides
    try:
        import imageio.v2 as imageio

        with imageio.get_writer(path, fps=fps, codec="libx264", quality=8, macro_block_size=2) as writer:
            for frame in [*frames, *[frames[-1]] * round(hold * fps)]:
                writer.append_data(np.asarray(frame.crop((0, 0, *even))))
    except (ImportError, RuntimeError, ValueError) as error:  # imageio has several for one that is missing
        raise CourseError(
            f"The MP4 could not be written ({error}). It needs FFmpeg: pip install 'imageio[ffmpeg]'. "
            "A .gif or .webp does without."
        ) from None
    if max_bytes is not None and (size := path.stat().st_size) > max_bytes:
        raise CourseError(
            f"The MP4 would have {size:,} bytes, more than {max_bytes:,}: fewer seconds or images, or a higher limit."
        )
