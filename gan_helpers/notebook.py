"""What the first cell of every notebook calls: which machine this is, and which settings fit it.

And one call that shows a trained generator's images, and the ranking by eye that notebook 04 seals and 05 opens.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import CourseError
from .files import save_text

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


def fast() -> bool:
    """Whether the environment variable GAN_COURSE_FAST asks for the shortest run."""
    return os.environ.get("GAN_COURSE_FAST", "0") not in ("", "0")


def setup_notebook() -> Here:
    """Find the device, print one line about it, and return it together with the way to pick settings that fit."""
    import torch

    from .training import pick_device

    device = pick_device("auto").type
    name = {"cuda": "an NVIDIA GPU", "mps": "an Apple GPU", "cpu": "no GPU: the short settings are chosen"}[device]
    print(f"The course is ready: PyTorch {torch.__version__.partition('+')[0]}, {name}.")
    return Here(device, fast())


def show_samples(source: str | Path, n: int = 64, seed: int = 0, kind: str | None = None):
    """Load a generator, show n images that it draws, and return it.

    Args:
        source: a shipped name, a run folder, or a checkpoint.
        n, seed: of the latent vectors.
        kind: a class by name or number, for conditional generators; by default each in turn.

    Raises:
        CourseError: nothing there, n out of range, or no such class (saying what there is).
    """
    import torch

    from . import checkpoints, latent, plots

    if not 1 <= n <= 1000:
        raise CourseError(f"n must lie between 1 and 1,000; got {n}.")
    generator = checkpoints.load_generator(source)
    labels = None if kind is None else torch.full((n,), checkpoints.class_number(generator, str(kind)))
    images = latent.generate(generator, latent.draw_z(n, generator.latent_dim, seed), labels)  # (n, C, S, S)
    plots.show(plots.grid(images, columns=min(n, 16)), alt=f"{n} images drawn by {Path(source).name}, not picked")
    return generator


# --- a ranking by eye, sealed before anything is measured ------------------------------------------------------------

SEAL = Path("exports") / "ranking.json"
# best first, by somebody who saw the page of notebook 04 and neither names nor scores
LOOKED: tuple[str, ...] = (
    "residual-cifar10", "best-cifar10", "best-cifar10-uncond", "lin-cifar10", "acgan-cifar10",
    "aux-cifar10", "conv-cifar10", "class-cifar10", "sagan-cifar10", "dcgan-fid-cifar10",
    "genzoo-cifar10",
)  # fmt: skip


def blind(names: Iterable[str]) -> dict[str, str]:
    """Letter → name; the same names always get the same letters, in an order that says nothing."""
    names = sorted(names)
    random.Random(",".join(names)).shuffle(names)
    return {chr(ord("A") + k): name for k, name in enumerate(names)}


def digest_of(ranking: str, names: list[str]) -> str:
    """What seals a ranking: 8 hex digits of its SHA-256."""
    return hashlib.sha256(json.dumps([ranking, sorted(names)]).encode()).hexdigest()[:8]


def seal(ranking: str, letters: dict[str, str], path: Path = SEAL) -> None:
    """Keep `ranking`, letters best first, in a file with a digest, and print the digest. The first ranking stays.

    Raises:
        CourseError: not every letter of `blind` once.
    """
    ranking = "".join(filter(str.isalpha, ranking)).upper()
    if not ranking:
        return print("Nothing is sealed yet: put every letter into `ranking`, the best first.")
    if sorted(ranking) != sorted(letters):
        raise CourseError(f"The ranking needs each of {''.join(sorted(letters))} once; got {ranking}.")
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (ValueError, KeyError, TypeError):
            raise CourseError(f"The seal is broken: {path} was changed. Delete it, and seal again.") from None
        return print(f"There is a seal already, {there}, and it stays. To rank anew, delete {path.name} in exports/.")
    kept = {"ranking": ranking, "names": sorted(letters.values()), "digest": digest_of(ranking, list(letters.values()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_text(path, json.dumps(kept, indent=1) + "\n")
    print(f"Sealed: {kept['digest']}. Write these eight characters down; notebook 05 opens the seal.")


def unseal(path: Path = SEAL) -> tuple[list[str], str]:
    """The sealed ranking as names, best first, and whose it is; the authors' own where nothing was sealed.

    Raises:
        CourseError: the file was changed after it was sealed.
    """
    if not path.exists():
        return list(LOOKED), "the authors' ranking, for none is sealed here"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        ranking, names = kept["ranking"], kept["names"]
        whole, letters = kept["digest"] == digest_of(ranking, names), blind(names)
        found = [letters[letter] for letter in ranking]
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise CourseError(f"The seal is broken: {path} was changed. Delete it, and rank again in notebook 04.")
    return found, f"your ranking, seal {kept['digest']}"
