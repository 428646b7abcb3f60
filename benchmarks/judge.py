"""How fast does the network `imagenet` look, and does it see what its package sees?

    python benchmarks/judge.py

Prints, and keeps in `results/judge.txt`, images a second of the package's net as it ships and as the course runs it,
and the largest difference of a feature.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_helpers import data, features

BATCHES = (8, 64)


def rate(look: Callable[[Tensor], Tensor], images: Tensor, batch: int, seconds: float = 8.0) -> float:
    """Images a second over about `seconds`, after one batch that is not counted."""
    look(images[:batch])
    began, seen = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        look(images[:batch])
        seen += batch
    return seen / (time.perf_counter() - began)


@torch.no_grad()
def main() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(features.imagenet_state()[0])
    ours = features.imagenet()
    images = torch.from_numpy(data.load("faces", split="held-out").images[:256].copy())

    def package(x: Tensor) -> Tensor:
        x = F.interpolate(x.float(), (224, 224), mode="bicubic", antialias=True).clamp(0, 255)
        return theirs.extract_features((x - 127) / 128).mean((2, 3))

    apart = (package(images[:32]) - ours(images[:32])).abs().max().item()
    lines = [f"imagenet on {torch.get_num_threads()} threads, PyTorch {torch.__version__}, 64x64 images"]
    lines.append(f"largest difference of a feature, of 32 images: {apart:.1e}")
    for batch in BATCHES:
        rates = rate(package, images, batch), rate(ours, images, batch)
        lines.append(
            f"batch {batch:>3}: package {rates[0]:5.1f} images/s, here {rates[1]:5.1f}, {rates[1] / rates[0]:.2f}x"
        )
    seconds = 5000 / rate(ours, images, ours.batch)
    lines.append(f"5,000 images at the course's batch of {ours.batch}: {seconds:.0f} s")
    print(*lines, sep="\n")
    (Path(__file__).parent / "results" / "judge.txt").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
