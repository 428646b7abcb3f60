"""The course's own measuring networks: small classifiers, trained on a data set's labels and attributes."""

from __future__ import annotations

import json
import math
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import cards, data, environment, memory
from .console import bar
from .data.layout import normal
from .devices import pick_device, seeded
from .errors import CourseError
from .tensors import check_shapes, fill, read_tensors, save_tensors, shapes

NETWORKS = environment.DATA / "networks"
SIZES = (32, 64)  # of a network's input, in pixels


def memory_format(device: torch.device) -> torch.memory_format:
    """The order of an image's numbers in memory that a device computes with fastest."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


class Classifier(nn.Module):
    """A small convolutional classifier; what it sees before its last layer are the features.

    Args:
        image_size, channels: of its input; other images are resized (bilinear, antialiased) and made grey or colour.
        heads: question → the names of its answers, for example `{"glasses": ("no", "yes")}`.
        width: how many features it makes; half as many maps for each doubling of the size.

    Shape: (N, channels, image_size, image_size) in [-1, 1] → features (N, width), logits (N, sum of all answers).
    """

    def __init__(self, image_size: int, channels: int, heads: dict[str, tuple[str, ...]], width: int = 192) -> None:
        super().__init__()
        self.image_size, self.channels, self.heads, self.width = image_size, channels, heads, width
        stages = round(math.log2(image_size)) - 2  # each halves the map, down to 4x4
        widths = [channels, *(width // 2**k for k in reversed(range(stages)))]  # 32 px: 48, 96, 192
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers += [*self.block(c_in, c_out), nn.MaxPool2d(2)]  # (N, 48, 16, 16) (N, 96, 8, 8) (N, 192, 4, 4)
        layers += [*self.block(width, width), nn.AdaptiveAvgPool2d(1), nn.Flatten()]  # (N, 192)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, sum(map(len, heads.values())))

    @staticmethod
    def block(c_in: int, c_out: int) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return features, self.head(features)

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (n, 1 or 3, H, W) → float (n, channels, image_size, image_size) in [-1, 1]."""
        x = images.float() / 127.5 - 1
        if x.shape[1] > self.channels:  # colour to grey, ITU-R 601 luma
            x = (x * torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
        x = x.expand(-1, self.channels, -1, -1)
        if x.shape[2:] != (self.image_size, self.image_size):
            x = F.interpolate(x, size=(self.image_size,) * 2, mode="bilinear", antialias=True)
        return x.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def answers(self, images: Tensor, batch: int = 256) -> dict[str, Tensor]:
        """What it answers about images uint8 (N, 1 or 3, H, W): question → probabilities (N, answers), on the CPU."""
        device = self.head.weight.device
        logits = torch.cat([self(self.prepare(part).to(device))[1].cpu() for part in images.split(batch)])
        pieces = logits.split([*map(len, self.heads.values())], 1)
        return {name: piece.softmax(1) for name, piece in zip(self.heads, pieces, strict=True)}


def targets_of(images: data.ImageSet) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """The questions that a set's labels and attribute table can answer: name → (answers int64 (N,), their names).

    Raises:
        CourseError: no labels and no attributes.
    """
    found = {} if images.labels is None else {"class": (images.labels, images.class_names)}
    for name, values in images.attributes.items():
        names, answers = np.unique(values, return_inverse=True)
        if 2 <= len(names) <= 100:
            found.setdefault(name, (answers.astype(np.int64), tuple(map(str, names))))
    if not found:
        raise CourseError(
            f"{images.name} has no labels or attributes to learn from: measure it with a network of another set, for "
            f"example --features cifar10-net. Networks: {', '.join(shipped()) or 'none'}."
        )
    return found


def train_classifier(
    train: data.ImageSet,
    held_out: data.ImageSet,
    out: Path,
    *,
    image_size: int = 32,
    width: int = 192,
    epochs: int = 8,
    flip: bool = False,
    seed: int = 0,
    device: str = "auto",
    **texts: str,
) -> dict[str, float]:
    """Train a network on all that a set's labels and attributes say, and write it to `out` with a card beside it.

    Args:
        train, held_out: the two splits of one set.
        image_size: 32 or 64, the network's own.
        width: features, of `Classifier`.
        epochs: passes over the training images.
        flip: mirror each image with probability 1/2 (not for digits or clothes).
        device: of `devices.pick_device`.
        texts: more lines for the card.

    Returns:
        Accuracy on the held-out images, by question, of the network as it is saved.

    Raises:
        CourseError: a set without labels and attributes, a `.md` in the way that is no card, or a full disk.
    """
    if epochs < 1:
        raise CourseError(f"A network needs at least one pass over the images; epochs is {epochs}.")
    if not 16 <= width <= 1024:
        raise CourseError(f"A network needs 16 to 1,024 features; width is {width}.")
    cards.card_path(out)  # or else a text that is no card would be written over
    memory.keep_freed()
    targets_of(held_out)  # it will be asked at the end: better to know now
    targets, where, rng = targets_of(train), pick_device(device), np.random.default_rng(seed)
    with seeded(torch.device("cpu"), seed):  # where the weights are drawn
        heads = {name: names for name, (_, names) in targets.items()}
        net = Classifier(image_size, train.images.shape[1], heads, width)
    net = net.to(where, memory_format=memory_format(where))
    fused = where.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.05, fused=fused)
    answers = torch.from_numpy(np.stack([a for a, _ in targets.values()], 1)).to(where)  # (N, questions)
    sizes = [len(names) for _, names in targets.values()]
    order = np.concatenate([rng.permutation(len(train)) for _ in range(epochs)])
    batches = np.array_split(order, max(1, len(order) // 128))
    began = time.perf_counter()
    for step, rows in enumerate(bar(batches, desc=f"classifier of {train.name}", unit="step")):
        rows = np.sort(rows)  # a mapped set is read in order
        x = net.prepare(torch.from_numpy(train.images[rows]))
        if flip:
            mirrored = torch.from_numpy(rng.random((len(rows), 1, 1, 1)) < 0.5)
            x = torch.where(mirrored, x.flip(3), x)
        pieces = net(x.to(where, memory_format=memory_format(where)))[1].split(sizes, 1)
        loss = sum(F.cross_entropy(p, answers[rows, k], label_smoothing=0.05) for k, p in enumerate(pieces))
        optimizer.param_groups[0]["lr"] = 3e-3 * min(10 * (step + 1) / len(batches), 1) * (1 - step / len(batches))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    minutes, machine = (time.perf_counter() - began) / 60, "the CPU" if where.type == "cpu" else where.type
    weights = {k: v.half() if v.ndim > 1 else v for k, v in net.state_dict().items()}
    net.load_state_dict(weights)  # what is measured is what is saved
    right = accuracy(net.eval(), held_out)
    card = {
        "network": f"{out.stem}: {sum(p.numel() for p in net.parameters()):,} parameters, features (N, {width})",
        "trained on": f"{train.name}, {len(train):,} images; {train.origin}",
        "licence of the images": train.licence,
        "training": f"{len(batches):,} steps of 128 images, {minutes:.1f} minutes on {machine}",
        "right on the held-out images": ", ".join(f"{name} {share:.1%}" for name, share in right.items()),
        **texts,
    }
    numbers = {name: str(getattr(net, name)) for name in ("image_size", "channels", "width")}
    header = {"heads": json.dumps(net.heads), **numbers}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(out, weights, {"kind": "classifier", "card": json.dumps(card), **header})
    cards.write_card(out, "", card)
    return right


def accuracy(net: Classifier, images: data.ImageSet) -> dict[str, float]:
    """Share of right answers, by question; the answers must be named as the network names them."""
    targets, right = targets_of(images), {}
    batches = (torch.from_numpy(np.array(images.images[i : i + 1024])) for i in range(0, len(images), 1024))
    told = [net.answers(batch) for batch in batches]
    for name in net.heads:
        if name in targets:  # else all held-out images have one answer
            answers, names = targets[name]
            guesses = torch.cat([part[name].argmax(1) for part in told]).numpy()
            right[name] = float((np.array(net.heads[name])[guesses] == np.array(names)[answers]).mean())
    return right


def shipped() -> dict[str, Path]:
    """The networks that come with the course: name → file."""
    return cards.shipped(NETWORKS)


def load_classifier(path: str | Path) -> Classifier:
    """A trained classifier on the CPU, by the name of a shipped one or from its file. Nothing is unpickled.

    Raises:
        CourseError: missing, damaged, or another file; the message names it.
    """
    path = shipped().get(path, environment.at_home(path))
    header = {"width": "192"} | cards.header(path)  # older networks do not say
    try:
        heads = {name: tuple(map(normal, answers)) for name, answers in json.loads(header["heads"]).items()}
        size, channels, width = (int(header[key]) for key in ("image_size", "channels", "width"))
        allowed = size in SIZES and channels in (1, 3) and 16 <= width <= 1024 and all(heads.values())
        if header["kind"] != "classifier" or not allowed:
            raise ValueError(f"a {header['kind']} for {channels}x{size}x{size}, {width} wide")
    except (LookupError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise CourseError(f"{path} is no classifier of this course ({error!r}).") from None
    with torch.device("meta"):  # no memory is taken before the shapes are known to fit
        net = Classifier(size, channels, heads, width)
    check_shapes(net.state_dict(), shapes(path), "", path)
    net.to_empty(device="cpu")
    fill(net.state_dict(), read_tensors(path), "", path)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)
