"""The pictures that a run draws of the same latents as it goes on, and what an animation takes of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from .latent import generate
from .plots import grid
from .training import Trainer

COLUMNS_OF_CLASSES = 8  # images of each class
TALLEST = 16_383  # pixels of a picture's side: WebP takes no more, GIF and JPEG four times as many


def fixed_noise(trainer: Trainer, count: int) -> torch.Tensor:
    """The latent vectors (count, latent_dim) that a run shows from its first step to its last."""
    with trainer.seeded(0xF1C5):
        return torch.randn(count, trainer.recipe.latent_dim)


def fixed_latents(trainer: Trainer, count: int = 64) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`fixed_noise`, and None; for a conditional generator its first 8 vectors, again for each class, and classes.

    The first classes only, where all would make too high a picture.
    """
    z = fixed_noise(trainer, count)
    if not (classes := trainer.generator.num_classes):
        return z, None
    classes = min(classes, TALLEST // (trainer.recipe.image_size + 2))
    return z[:COLUMNS_OF_CLASSES].repeat(classes, 1), torch.arange(classes).repeat_interleave(COLUMNS_OF_CLASSES)


def sheet(generator: nn.Module, z: torch.Tensor, labels: torch.Tensor | None) -> Image.Image:
    """The grid that a run draws of `fixed_latents`: with classes, one in each row."""
    return grid(generate(generator, z, labels), None if labels is None else COLUMNS_OF_CLASSES)


def frame_files(folder: Path) -> list[Path]:
    """The files `frames/STEP.png` of a run, in order."""
    return sorted(path for path in (folder / "frames").glob("*.png") if path.stem.isdigit())


def frames(folder: Path, until: int | None = None) -> list[Image.Image]:
    """The grids that a run has drawn so far, or up to step `until`; a file that cannot be read is left out."""
    images = []
    for path in frame_files(folder):
        if until is not None and int(path.stem) > until:
            break
        with contextlib.suppress(OSError):
            images.append(Image.open(path).convert("RGB"))
    return images


def half_frames(folder: Path, by_class: bool, until: int | None = None) -> list[Image.Image]:
    """Half of each grid that a run has drawn, so that a GIF stays small: the upper rows, or of every class the left."""
    return [half(frame, by_class) for frame in frames(folder, until)]


def half(frame: Image.Image, by_class: bool) -> Image.Image:
    """See `half_frames`."""
    w, h = frame.size
    return frame.crop((0, 0, (w - 2) // 2, h) if by_class else (0, 0, w, (h - 2) // 2))
