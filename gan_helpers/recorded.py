"""A training step on CUDA, recorded once and replayed: the same numbers, without Python between the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .training import Trainer


def can_be_recorded(trainer: Trainer) -> bool:
    """Whether every step of a run on CUDA asks the GPU for the same: no number that Python computes anew each time."""
    r = trainer.recipe
    changing = r.instance_noise or r.r1 or r.labels == "pairs" or trainer.scaler.is_enabled()
    return trainer.device.type == "cuda" and not changing


class Recorded:
    """`Trainer.update` as a CUDA graph: recorded once, then replayed as one command instead of a thousand.

    A step of a small net takes the GPU a few milliseconds, and Python several times as long to ask for. The replay
    reads its batch, random seed and learning rates from where they lay at recording. The first three steps are made
    step by step, which sets up what may not be set up while recording. NVIDIA's CUDA Programming Guide, CUDA Graphs.

    Args:
        trainer: of which `can_be_recorded` is true.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.made, self.graph = trainer, 0, None

    def __call__(self, batches: list[tuple[Tensor, Tensor | None]]) -> Tensor:
        if self.made < 3:
            self.made += 1
            return self.aside(batches)
        if self.graph is None:
            self.inputs = [(x.clone(), None if y is None else y.clone()) for x, y in batches]
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.row = self.trainer.update(self.inputs)
        for kept, new in zip(self.inputs, batches, strict=True):
            for mine, theirs in zip(kept, new, strict=True):
                if mine is not None:
                    mine.copy_(theirs)
        self.graph.replay()
        return self.row.clone()  # the next replay writes there

    def aside(self, batches: list) -> Tensor:
        """A plain step on a stream of its own, as recording needs it before."""
        stream, here = torch.cuda.Stream(self.trainer.device), torch.cuda.current_stream(self.trainer.device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            row = self.trainer.update(batches)
        here.wait_stream(stream)
        return row
