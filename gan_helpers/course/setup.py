"""What the first cell of every notebook calls: which machine this is, and which settings fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ..environment import fast

T = TypeVar("T")


@dataclass(frozen=True)
class Here:
    """The machine that a notebook runs on.

    Attributes:
        device: 'cuda', 'mps' (Apple) or 'cpu'.
        testing: whether the environment variable GAN_COURSE_FAST asks for the shortest run. It shortens training and
            changes no output that a test compares.
    """

    device: str
    testing: bool

    @property
    def gpu(self) -> bool:
        """Whether there is a GPU."""
        return self.device != "cpu"

    def pick(self, *, cpu: T, gpu: T, test: T | None = None) -> T:
        """The setting for this machine; under test `test`, or `cpu` where no `test` is given."""
        if self.testing:
            return cpu if test is None else test
        return gpu if self.gpu else cpu


def setup_notebook() -> Here:
    """Find the device, print one line about it, and return it together with the way to pick settings that fit."""
    import torch

    from ..devices import pick_device

    device = pick_device("auto").type
    name = {"cuda": "an NVIDIA GPU", "mps": "an Apple GPU", "cpu": "no GPU: the short settings are chosen"}[device]
    print(f"The course is ready: PyTorch {torch.__version__.partition('+')[0]}, {name}.")
    return Here(device, fast())


# --- a ranking by eye, sealed before anything is measured ------------------------------------------------------------
