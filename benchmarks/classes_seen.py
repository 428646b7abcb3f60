"""Which classes of CIFAR-10 do the shipped generators draw? A table each, and two of real images.

Of real images the answer is known.

    python benchmarks/classes_seen.py --data PATH [--n 400] [--seed 0] [--out FILE] [NAME ...]

PATH is a folder or zip of CIFAR-10. `training images` draws what the classifiers and the networks of the course learned
from, and `other held-out images` the held-out ones that choose, about a hundred of each class, which are as real and as
unseen as those that report.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from report import RESULTS, reporter
from torch import nn

from gan_helpers import data, generators
from gan_helpers.by_class import by_class

REAL = {"training images": "train", "other held-out images": "choose"}


class Drawn(nn.Module):
    """A generator that hands out the images of a set, class by class, without saying one twice."""

    latent_dim = 1

    def __init__(self, images: data.ImageSet) -> None:
        super().__init__()
        self.class_names, self.num_classes = images.class_names, len(images.class_names)
        self.where = nn.Parameter(torch.zeros(()))  # `generate` asks a parameter for the device
        self.images, lot = images.images, np.random.default_rng(0)
        self.rows = [lot.permutation(np.flatnonzero(images.labels == k)).tolist() for k in range(self.num_classes)]
        self.most = min(map(len, self.rows)) - 1  # one is drawn to see its size

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        rows = [self.rows[label].pop() for label in labels.tolist()]
        return torch.from_numpy(self.images[rows]).float() / 127.5 - 1  # (N, C, S, S)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", help="generators (default: all that draw the classes of CIFAR-10 at will)")
    p.add_argument("--data", default="cifar10")
    p.add_argument("--n", type=int, default=400)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=str, default=str(RESULTS / "classes_seen.txt"))
    o = p.parse_args()
    nets = {name: generators.load_generator(name) for name in o.names or generators.shipped()}
    names = [name for name, net in nets.items() if net.class_names and net.recipe.data == "cifar10"]
    say = reporter(RESULTS / o.out)
    for title, split in REAL.items():
        source = Drawn(data.load(o.data, 32, 3, split=split))
        say(f"--- {title}\n{by_class(source, o.data, min(o.n, source.most), o.seed)}\n")
    for name in names:
        say(f"--- {name}\n{by_class(name, o.data, o.n, o.seed)}\n")


if __name__ == "__main__":
    main()
