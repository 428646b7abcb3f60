"""Random changes of image batches (N, C, H, W) in [-1, 1], drawn from torch's global generator.

`flip` makes more real images. The DiffAugment functions (Zhao et al. 2020, arXiv:2006.10738) change real *and* fake
images before D sees them, and let the gradient through to G, so that D cannot memorise a small data set.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def flip(x: Tensor) -> Tensor:
    """Mirror each image left-right with probability one half."""
    heads = torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5
    return torch.where(heads, x.flip(3), x)


def brightness(x: Tensor) -> Tensor:
    """Add one number from U(-.5, .5) to each image."""
    return x + torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) - 0.5


def color(x: Tensor) -> Tensor:
    """Brightness (added, U(-.5, .5)), saturation (times U(0, 2)) and contrast (times U(.5, 1.5)) of each image."""
    x = brightness(x)
    grey = x.mean(1, keepdim=True)  # (N, 1, H, W)
    x = (x - grey) * (torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) * 2) + grey
    mean = x.mean((1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    return (x - mean) * (torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) + 0.5) + mean


def translation(x: Tensor, share: float = 0.125) -> Tensor:
    """Shift each image by up to `share` of its side in both directions; what comes in is grey (0)."""
    n, _, h, w = x.shape
    dy, dx = (torch.randint(-int(s * share), int(s * share) + 1, (n, 1), device=x.device) for s in (h, w))
    rows = (torch.arange(h, device=x.device) + dy + 1).clamp(0, h + 1)  # (N, H), row of the padded image
    cols = (torch.arange(w, device=x.device) + dx + 1).clamp(0, w + 1)  # (N, W)
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # (N, H+2, W+2, C)
    moved = padded[torch.arange(n, device=x.device)[:, None, None], rows[:, :, None], cols[:, None, :]]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2)


def cutout(x: Tensor) -> Tensor:
    """Set a square of half the side, anywhere in each image, to grey (0)."""
    n, _, h, w = x.shape
    cy, cx = (torch.randint(0, s + 1, (n, 1), device=x.device) for s in (h, w))
    in_rows = (torch.arange(h, device=x.device) - cy).abs() < h // 4  # (N, H)
    in_cols = (torch.arange(w, device=x.device) - cx).abs() < w // 4  # (N, W)
    return x.masked_fill((in_rows[:, :, None] & in_cols[:, None, :])[:, None], 0.0)


AUGMENTATIONS = {"brightness": brightness, "color": color, "translation": translation, "cutout": cutout}


def diff_augment(x: Tensor, names: str) -> Tensor:
    """Apply the comma-separated augmentations in order; the empty string changes nothing."""
    for name in filter(None, names.split(",")):
        x = AUGMENTATIONS[name](x)
    return x
