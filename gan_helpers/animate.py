"""Frames to GIF, WebP or MP4. One palette for a whole GIF: smaller, faster and without flicker."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
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


def check_format(path: Path) -> None:
    """Check that an animation can be called so, before minutes of drawing.

    Raises:
        CourseError: an ending that no animation has, or an MP4 where FFmpeg is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CourseError(f"{path.name}: animations end in {', '.join(SUFFIXES)}.")
    if path.suffix.lower() == ".mp4":
        try:
            import imageio.v2  # noqa: F401 (only asked for)
            import imageio_ffmpeg

            imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError) as error:
            cure = "pip install 'imageio[ffmpeg]', or take a .gif or .webp"
            raise CourseError(f"{path.name}: an MP4 needs FFmpeg ({error}): {cure}.") from None


def animate(
    frames: Sequence[Image.Image],
    path: str | Path,
    *,
    fps: float = 8,
    hold: float = 2.0,
    max_bytes: int | None = None,
    quality: int = 80,
) -> Path:
    """Write RGB frames of one size as an endless animation whose last frame stays for `hold` seconds more.

    It lasts len(frames) / fps + hold seconds, to a hundredth in a GIF or WebP, to a frame in an MP4.

    Args:
        path: ends in .gif, .webp or .mp4.
        max_bytes: GIF and WebP get fewer frames and colours, then smaller ones, at the same pace, until they fit.
        quality: of a WebP, 0 to 100.

    Raises:
        CourseError: no frames, frames of several sizes, as `check_format`, or a file that cannot be made to fit.
    """
    path = at_home(path)
    check_format(path)
    if not frames:
        raise CourseError(f"No frames to write to {path}.")
    if len(sizes := {f.size for f in frames}) > 1:
        raise CourseError(f"The frames for {path.name} have several sizes, {sorted(sizes)}: remove another run's.")
    if (longest := max(frames[0].size)) > (most := LONGEST[path.suffix.lower()]):
        raise CourseError(f"{path.name}: a side has {longest:,} pixels, the format takes {most:,}. Show fewer images.")
    frames = [f.convert("RGB") for f in frames]
    if path.suffix.lower() == ".mp4":
        save_atomically(path, lambda part: write_mp4(frames, part, fps, hold, max_bytes))
        return path
    for colours, every, shrink in FITS:
        kept = [*range(0, len(frames) - 1, every), len(frames) - 1]
        pictures = [frames[i].reduce(shrink) for i in kept]
        times = milliseconds(kept, len(frames), fps, hold)
        encoded = encode(pictures, path.suffix.lower(), times, colours, quality)
        if max_bytes is None or len(encoded) <= max_bytes:
            break
    else:
        raise CourseError(f"{path.name} cannot be made smaller than {len(encoded):,} bytes: .mp4 is smaller.")
    save_atomically(path, lambda part: part.write_bytes(encoded))
    return path


def milliseconds(kept: list[int], count: int, fps: float, hold: float) -> list[int]:
    """How long each of the `kept` of `count` frames stays: until the next one, in hundredths as a GIF counts."""
    ends = [round(i * 100 / fps) * 10 for i in [*kept[1:], count]]
    times = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    times[-1] += round(hold * 100) * 10
    return times


def encode(frames: list[Image.Image], suffix: str, times: list[int], colours: int, quality: int) -> bytes:
    """An endless GIF of so many colours, or a WebP of that quality, of frames that stay so many milliseconds each."""
    first, *rest = shared_palette(frames, colours) if suffix == ".gif" else frames
    options = {"disposal": 1} if suffix == ".gif" else {"quality": quality, "method": 4}
    file = io.BytesIO()
    first.save(file, suffix[1:].upper(), save_all=True, append_images=rest, duration=times, loop=0, **options)
    return file.getvalue()


def write_mp4(frames: list[Image.Image], path: Path, fps: float, hold: float, max_bytes: int | None) -> None:
    """Write frames as H.264, the last one `hold` seconds longer.

    Raises:
        CourseError: it takes more than `max_bytes`.
    """
    import imageio.v2 as imageio

    path.touch()  # a folder that cannot be written is named by us, not by the codec
    even = (frames[0].width // 2 * 2, frames[0].height // 2 * 2)  # the codec wants even sides
    with imageio.get_writer(path, fps=fps, codec="libx264", quality=8, macro_block_size=2) as writer:
        for frame in [*frames, *[frames[-1]] * round(hold * fps)]:
            writer.append_data(np.asarray(frame.crop((0, 0, *even))))
    if max_bytes is not None and (size := path.stat().st_size) > max_bytes:
        raise CourseError(
            f"The MP4 would have {size:,} bytes, more than {max_bytes:,}: fewer seconds or images, or a higher limit."
        )
