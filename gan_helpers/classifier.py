"""The course's own measuring networks: small classifiers, trained on a data set's labels and attributes."""

from __future__ import annotations

import hashlib
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
from .errors import CourseError
from .tensors import fill, save_tensors

NETWORKS = environment.DATA / "networks"


class Classifier(nn.Module):
    """A small convolutional classifier; what it sees before its last layer are the features.

    Args:
        image_size, channels: of its input; other images are resized (bilinear, antialiased) and made grey or colour.
        heads: question → the names of its answers, for example `{"glasses": ("no", "yes")}`.

    Shape: (N, channels, image_size, image_size) in [-1, 1] → features (N, 192), logits (N, sum of all answers).
    """

    def __init__(self, image_size: int, channels: int, heads: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.image_size, self.channels, self.heads = image_size, channels, heads
        stages = round(math.log2(image_size)) - 2  # each halves the map, down to 4x4
        widths = [channels, *(192 // 2**k for k in reversed(range(stages)))]  # 32 px: 48, 96, 192
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers += [*self.block(c_in, c_out), nn.MaxPool2d(2)]  # (N, 48, 16, 16) (N, 96, 8, 8) (N, 192, 4, 4)
        layers += [*self.block(192, 192), nn.AdaptiveAvgPool2d(1), nn.Flatten()]  # (N, 192)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(192, sum(map(len, heads.values())))

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
        if x.shape[-1] != self.image_size or x.shape[-2] != self.image_size:
            x = F.interpolate(x, size=(self.image_size,) * 2, mode="bilinear", antialias=True)
        return x.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def answers(self, images: Tensor, batch: int = 256) -> dict[str, Tensor]:
        """What it answers about images uint8 (N, 1 or 3, H, W): question → probabilities (N, answers)."""
        logits = torch.cat([self(self.prepare(part))[1] for part in images.split(batch)])
        pieces = logits.split([*map(len, self.heads.values())], 1)
        return {name: piece.softmax(1) for name, piece in zip(self.heads, pieces, strict=True)}


def targets_of(images: data.ImageSet) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """The questions that a set's labels and attribute table can answer: name → (answers int64 (N,), their names).

    Raises:
        CourseError: no labels and no attributes.
    """
    columns = {"class": images.labels} if images.labels is not None else {}
    found = {}
    for name, values in (columns | images.attributes).items():
        if name == "class":
            found[name] = (values.astype(np.int64), images.class_names)
        else:
            names, answers = np.unique(values, return_inverse=True)
            if 2 <= len(names) <= 100:
                found[name] = (answers.astype(np.int64), tuple(map(str, names)))
    if not found:
        raise CourseError(
            f"{images.name} has no labels or attributes to learn from: measure it with a network of another set, for "
            f"example --features cifar10-net. Networks: {', '.join(shipped()) or 'none'}."
        )
    return found


@torch.random.fork_rng([])  # whoever calls it draws on as before
def train_classifier(
    train: data.ImageSet,
    held_out: data.ImageSet,
    out: Path,
    *,
    image_size: int = 32,
    epochs: int = 8,
    flip: bool = False,
    seed: int = 0,
    **texts: str,
) -> dict[str, float]:
    """Train a network on all that a set's labels and attributes say, and write it to `out` with a card beside it.

    Args:
        train, held_out: the two splits of one set.
        image_size: 32 or 64, the network's own.
        epochs: passes over the training images.
        flip: mirror half of the images (not for digits or clothes).
        texts: more lines for the card.

    Returns:
        Accuracy on the held-out images, by question.

    Raises:
        CourseError: a set without labels and attributes, a `.md` in the way that is no card, or a full disk.
    """
    if epochs < 1:
        raise CourseError(f"A network needs at least one pass over the images; epochs is {epochs}.")
    cards.card_path(out)  # or else a text that is no card would be written over
    memory.keep_freed()
    targets_of(held_out)  # it will be asked at the end: better to know now
    targets, channels, rng = targets_of(train), train.images.shape[1], np.random.default_rng(seed)
    torch.manual_seed(seed)
    net = Classifier(image_size, channels, {name: names for name, (_, names) in targets.items()})
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.05, fused=True)
    answers = torch.from_numpy(np.stack([a for a, _ in targets.values()], 1))  # (N, questions)
    sizes = [len(names) for _, names in targets.values()]
    order = np.concatenate([rng.permutation(len(train)) for _ in range(epochs)])
    batches = np.array_split(order, max(1, len(order) // 128))
    began = time.perf_counter()
    for step, rows in enumerate(bar(batches, desc=f"classifier of {train.name}", unit="step")):
        rows = np.sort(rows)  # a mapped set is read in order
        x = net.prepare(torch.from_numpy(train.images[rows]))
        if flip and rng.random() < 0.5:
            x = x.flip(3)
        pieces = net(x)[1].split(sizes, 1)
        loss = sum(F.cross_entropy(p, answers[rows, k], label_smoothing=0.05) for k, p in enumerate(pieces))
        optimizer.param_groups[0]["lr"] = 3e-3 * min(10 * (step + 1) / len(batches), 1) * (1 - step / len(batches))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    minutes = (time.perf_counter() - began) / 60
    net.eval()
    right = accuracy(net, held_out)
    card = {
        "network": f"{out.stem}: {sum(p.numel() for p in net.parameters()):,} parameters, features (N, 192)",
        "trained on": f"{train.name}, {len(train):,} images; {train.origin}",
        "licence of the images": train.licence,
        "training": f"{len(batches):,} steps of 128 images, {minutes:.1f} minutes on the CPU",
        "right on the held-out images": ", ".join(f"{name} {share:.1%}" for name, share in right.items()),
        **texts,
    }
    header = {"heads": json.dumps(net.heads), "image_size": str(image_size), "channels": str(channels)}
    weights = {k: v.half() if v.ndim > 1 else v for k, v in net.state_dict().items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(out, weights, {"kind": "classifier", "card": json.dumps(card), **header})
    cards.write_card(out, "", card)
    return right


@torch.no_grad()
def accuracy(net: Classifier, images: data.ImageSet) -> dict[str, float]:
    """Share of right answers, by question; the answers must be named as the network names them."""
    targets, right = targets_of(images), {}
    x = (net.prepare(torch.from_numpy(np.array(images.images[i : i + 256]))) for i in range(0, len(images), 256))
    logits = torch.cat([net(part)[1] for part in x])
    for (name, names), piece in zip(net.heads.items(), logits.split([*map(len, net.heads.values())], 1), strict=True):
        if name not in targets:  # all held-out images have one answer
            continue
        told = np.array(names)[piece.argmax(1).numpy()]
        truth = np.array(targets[name][1])[targets[name][0]]
        right[name] = float((told == truth).mean())
    return right


def shipped() -> dict[str, Path]:
    """The networks that come with the course: name → file."""
    return cards.shipped(NETWORKS)


def load_classifier(path: str | Path) -> Classifier:
    """A trained classifier, by the name of a shipped one or from its file. Nothing is unpickled.

    Raises:
        CourseError: missing, damaged, or another file.
    """
    import safetensors

    path = shipped().get(path, environment.at_home(path))
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        heads = {name: tuple(names) for name, names in json.loads(header["heads"]).items()}
        net = Classifier(int(header["image_size"]), int(header["channels"]), heads)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise CourseError(f"{path} is damaged or is no classifier of this course ({error!r}).") from None
    fill(net.state_dict(), weights, "", path)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
