"""A generator as one HTML file that needs no kernel and no network: the layers run in JavaScript (`net.js`)."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import directions, latent
from .errors import CourseError
from .plots import save_atomically
from .widgets.pad import PAD_JS

HERE = Path(__file__).parent
SEEDS = 15  # the page carries the seeds i + 100 j, i and j below this
MAX_BYTES = 12_000_000
NOTHING = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d)  # in evaluation mode, on flat numbers
NUMBERS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}


def layers(generator: nn.Module) -> list[tuple[nn.Module, torch.Size, torch.Size]]:
    """The layers that a generator runs, in order, each with the shapes (1, C, H, W) or (1, F) that go in and come out.

    Raises:
        CourseError: a layer that the page does not know, or a net that is more than its layers one after another.
    """
    ran, hooks = [], []
    known = (*NUMBERS, *NOTHING, nn.LeakyReLU, nn.Upsample, nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    known += (nn.BatchNorm1d, nn.BatchNorm2d)
    for name, module in generator.named_modules():
        if "parametrizations" not in name and (isinstance(module, known) or not [*module.children()]):
            hooks.append(module.register_forward_hook(lambda m, i, o: ran.append((m, i[0].shape, o.shape))))
    z = latent.draw_z(1, generator.latent_dim)
    try:
        wanted = latent.generate(generator, z)
    finally:
        for hook in hooks:
            hook.remove()
    for module, _, _ in ran:
        if not isinstance(module, known) or not plain(module):
            raise CourseError(f"A page cannot run {module}; it runs {', '.join(sorted(k.__name__ for k in known))}.")
    x = z
    with torch.no_grad():
        for module, before, _ in ran:
            x = module(x.reshape(before)) if x.numel() == before.numel() else z
    if x.shape != wanted.shape or not torch.allclose(x, wanted, atol=1e-4):
        raise CourseError(f"A page runs layers one after another, and {type(generator).__name__} does something else.")
    return ran


def plain(module: nn.Module) -> bool:
    """Whether a known layer is set as the page knows it: no groups, no dilation, zeros around, nearest neighbours."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        padded = module.padding_mode == "zeros" and not isinstance(module.padding, str)
        return padded and module.groups == 1 and module.dilation == (1, 1)
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        return module.track_running_stats
    return not isinstance(module, nn.Upsample) or module.mode == "nearest"


def compile_net(generator: nn.Module) -> tuple[dict, np.ndarray, np.ndarray]:
    """What `makeNet` in net.js takes: the layers as a dict, all weights in float16, scales and shifts in float32.

    BatchNorm becomes one scale and one shift a channel, together with the bias before it.
    """
    spec, halves, singles, taken = [], [], [], [0, 0]

    def keep(x: Tensor, into: list, which: int) -> tuple[int, int]:
        array = x.detach().cpu().numpy().astype(np.float32 if which else np.float16).ravel()
        if not np.isfinite(array).all():
            raise CourseError("The generator has weights beyond the range of float16, which a page keeps.")
        into.append(array)
        taken[which] += array.size
        return taken[which] - array.size, array.size

    def affine(scale: Tensor, shift: Tensor, shape) -> None:
        spec.append({"type": "affine", "out": shape, "scale": scale.double(), "shift": shift.double()})

    for module, before, after in layers(generator):
        into, out = ([*shape[1:], 1, 1][:3] for shape in (before, after))
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Linear):
            place = keep(weight.T, halves, 0)
            spec.append({"type": "matrix", "k": into[0], "m": out[0], "n": 1, "weight": place})
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            kind = "conv" if isinstance(module, nn.Conv2d) else "transposed"
            place = keep(weight.flatten(1).T if kind == "conv" else weight, halves, 0)
            parts = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
            spec.append({"type": kind, "in": into, "out": out, "weight": place, **parts})
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            gain = 1 if weight is None else weight.double()
            scale = gain / (module.running_var.double() + module.eps).sqrt()
            shift = (0 if weight is None else module.bias.double()) - scale * module.running_mean.double()
            if spec and spec[-1]["type"] == "affine":  # the bias of the layer before
                shift = shift + scale * spec.pop()["shift"]
            affine(scale, shift, out)
        elif isinstance(module, nn.LeakyReLU):
            spec.append({"type": "leaky", "slope": module.negative_slope})
        elif isinstance(module, nn.Upsample):
            spec.append({"type": "upsample", "in": into, "out": out})
        elif type(module) in NUMBERS:
            spec.append({"type": NUMBERS[type(module)]})
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)) and module.bias is not None:
            affine(torch.ones_like(module.bias), module.bias, out)
    for layer in spec:
        for name in ("scale", "shift"):
            if name in layer:
                layer[name] = keep(layer[name], singles, 1)
    return {"layers": spec, "shape": out}, np.concatenate(halves), np.concatenate([*singles, np.zeros(0, np.float32)])


def export_page(generator: nn.Module, path: str | Path, title: str) -> Path:
    """Write the page: sliders along directions, a pad of seeds, keyframes with playback, and the generator itself.

    Pixels differ from PyTorch's by at most 2 grey levels of 255 where float16 holds the weights exactly, as it does
    those of shipped generators.

    Args:
        path: ends in .html.
        title: what the page is called.

    Raises:
        CourseError: a layer that the page does not know, a conditional generator, or a page over 12 MB.
    """
    path = Path(path)
    if getattr(generator, "class_names", ()):
        raise CourseError(f"{title} is conditional, and the page has no classes.")
    moves = directions.principal(generator)
    spec, halves, singles = compile_net(generator)
    z = torch.cat([latent.draw_z(1, generator.latent_dim, i + 100 * j) for j in range(SEEDS) for i in range(SEEDS)])
    card = getattr(generator, "card", {})
    facts = {"Made from": card.get("data"), "Limits": card.get("limits"), "Licence": card.get("licence")}
    spec |= {"seeds": SEEDS, "latent": generator.latent_dim, "directions": len(moves), "title": title}
    blobs = [halves, singles, z.numpy().ravel(), moves.numpy().ravel()]
    texts = {
        "TITLE": html.escape(title),
        "FACTS": "".join(f"<dt>{k}</dt><dd>{html.escape(str(v))}</dd>" for k, v in facts.items() if v),
        "SPEC": json.dumps(spec).replace("<", "\\u003c"),
        "NET": (HERE / "net.js").read_text(encoding="utf-8"),
        "PAD": PAD_JS,
        "BLOBS": json.dumps([base64.b64encode(blob.astype(blob.dtype.newbyteorder("<"))).decode() for blob in blobs]),
    }
    page = (HERE / "page.html").read_text(encoding="utf-8")
    page = re.sub("%([A-Z]+)%", lambda match: texts[match[1]], page)
    if len(page.encode()) > MAX_BYTES:
        raise CourseError(
            f"The page would have {len(page) / 1e6:.1f} MB, over {MAX_BYTES / 1e6:.0f}: the net is too big."
        )
    save_atomically(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path
