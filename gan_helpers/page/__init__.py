"""A generator as one HTML file that needs no kernel and no network: the layers run in JavaScript (`net.js`)."""

from __future__ import annotations

import base64
import copy
import html
import json
import operator
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn

from .. import directions, generators, latent
from ..environment import at_home
from ..errors import CourseError
from ..files import save_text
from ..models.blocks import ConditionalBatchNorm2d, OneHot, OnePerClass, SameConv2d, SameConvTranspose2d, SelfAttention

HERE = Path(__file__).parent
PAD_JS = (HERE / "pad.js").read_text(encoding="utf-8")  # the pad of seeds, which a widget draws too
SEEDS = 15  # the page carries the seeds i + 100 j, i and j below this
MAX_BYTES = 12_000_000
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
SHAPES = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d)  # in evaluation mode, on flat numbers
NUMBERS = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
KNOWN = (*CONVOLUTIONS, *NORMS, *NUMBERS, *SHAPES, nn.LeakyReLU, nn.Upsample, nn.Linear, SelfAttention)
ARITHMETIC = {"add", "sub", "mul", "truediv", "neg"}


class Tracer(fx.Tracer):
    """Takes the layers that a page knows as they are, and looks into everything else."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, (*KNOWN, OneHot, OnePerClass)) or super().is_leaf_module(module, name)


class Compiler(fx.Interpreter):
    """Runs a generator on as many latents as it has classes, one of each, and writes down what a page must do.

    What depends on the class alone becomes a table with a row for each class; what z passes through, one layer after
    another, becomes `spec`, in which 'keep', 'recall' and 'sum' make the branches of residual blocks; all weights go to
    `halves` (float16), scales, shifts and tables to `singles` (float32).

    Raises:
        CourseError: a layer or function that the page does not know, or a net whose branches meet otherwise than
            in sums.
    """

    def __init__(self, generator: nn.Module) -> None:
        self.title, self.spec, self.halves, self.singles, self.taken = type(generator).__name__, [], [], [], [0, 0]
        try:
            graph = Tracer().trace(generator)
        except Exception:  # whatever Python does not allow on symbols
            raise self.odd() from None
        super().__init__(fx.GraphModule(generator, graph))
        self.classes = getattr(generator, "num_classes", 0)
        self.z = latent.draw_z(max(1, self.classes), generator.latent_dim)
        labels = [torch.arange(self.classes)] if self.classes else []
        self.flow: set[fx.Node] = set()  # what depends on z
        self.last = None  # where z has come to
        self.kept: dict[fx.Node, tuple[int, Tensor]] = {}  # for branches: where a page keeps it, and its value
        with torch.no_grad():
            image = self.run(self.z, *labels)
        self.shape = [*image.shape[1:]]
        for layer in self.spec:
            for name in ("scale", "shift", "table"):
                if name in layer:
                    layer[name] = self.keep(layer[name], half=False)

    def odd(self) -> CourseError:
        return CourseError(f"A page runs layers in a row and sums of branches, and {self.title} does something else.")

    def keep(self, x: Tensor, half: bool = True) -> tuple[int, int]:
        """Where the numbers of x stand among those of their kind: (first, how many)."""
        array = x.detach().cpu().numpy().astype(np.float16 if half else np.float32).ravel()
        if not np.isfinite(array).all():
            raise CourseError("The generator has weights beyond the range of float16, which a page keeps.")
        (self.halves if half else self.singles).append(array)
        self.taken[half] += array.size
        return self.taken[half] - array.size, array.size

    def run_node(self, node: fx.Node):
        sources = [n for n in node.all_input_nodes if n in self.flow]
        if any(n in self.kept and not self.env[n].equal(self.kept[n][1]) for n in sources):
            raise self.odd()  # a layer has worked in place on what a branch needs
        x = self.env[sources[0]].clone() if sources else None
        out = super().run_node(node)
        if node.op == "placeholder" and self.last is None:
            self.flow, self.last = {node}, node
        elif not sources:
            return out
        else:
            if self.last not in sources:  # another branch begins
                if self.last.users:
                    self.remember(self.last, self.env[self.last])
                self.spec.append({"type": "recall", "slot": self.kept[sources[0]][0]})
                self.last = sources[0]
            if len(sources) > 1:
                self.join(node, [n for n in sources if n is not self.last], out)
            elif node.op != "output":
                self.add(node, x, out)
            self.flow.add(node)
            self.last = node
        if len(node.users) > 1:
            self.remember(node, out)
        return out

    def remember(self, node: fx.Node, x: Tensor) -> None:
        """Write down that x is to be kept, as the layers of a page work in place."""
        if node not in self.kept:
            self.kept[node] = len(self.kept), x.clone()
            self.spec.append({"type": "keep", "slot": self.kept[node][0]})

    def join(self, node: fx.Node, others: list[fx.Node], out: Tensor) -> None:
        """Write down the sum of two branches: where z has come to, and what was kept."""
        same = all(self.env[n].shape == out.shape for n in (self.last, *others))
        if node.target not in (operator.add, torch.add) or node.kwargs or len(node.args) != 2 or not same:
            raise self.odd()
        self.spec.append({"type": "sum", "slot": self.kept[others[0]][0], "out": [*out.shape[1:], 1, 1][:3]})

    def add(self, node: fx.Node, x: Tensor, out: Tensor) -> None:
        """Write down what turned x (K, …) into out (K, …)."""
        module = self.module.get_submodule(node.target) if node.op == "call_module" else None
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        function = dict(zip(NUMBERS.values(), NUMBERS, strict=True)).get(name) if module is None else None
        if function or module is not None:
            self.layer(module or function(), [*x.shape[1:], 1, 1][:3], [*out.shape[1:], 1, 1][:3], node)
        elif name == "cat" and node.args[0][0] is self.last and out.flatten(1)[:, : x[0].numel()].equal(x.flatten(1)):
            self.spec.append({"type": "append", "in": x[0].numel(), "table": out.flatten(1)[:, x[0].numel() :]})
        elif name in ARITHMETIC and node.args.count(self.last) == 1 and not node.kwargs:
            args = [torch.stack([torch.zeros_like(x), torch.ones_like(x)]) if a is self.last else a for a in node.args]
            zero, one = node.target(*self.map_nodes_to_values(tuple(args), node))  # at 0 and at 1: (2, K, C, …)
            scale, shift = ((t.flatten(2) if t.ndim > 2 else t[:, :, None]) for t in (one - zero, zero))
            if not all(t.eq(t[..., :1]).all() for t in (scale, shift)):
                raise self.odd()  # not the same everywhere in a channel
            self.affine(scale[..., 0], shift[..., 0], [*out.shape[1:], 1, 1][:3])
        elif not (isinstance(out, Tensor) and out.numel() == x.numel() and out.flatten(1).equal(x.flatten(1))):
            raise CourseError(f"A page cannot run '{name}', which {self.title} uses.")

    def affine(self, scale: Tensor, shift: Tensor, shape: list[int]) -> None:
        """x · scale + shift, (rows, channels) each, a row for each class, or one for all."""
        scale, shift = torch.broadcast_tensors(scale.double(), shift.double())
        if scale.eq(scale[:1]).all() and shift.eq(shift[:1]).all():
            scale, shift = scale[:1], shift[:1]
        self.spec.append({"type": "affine", "out": shape, "scale": scale, "shift": shift})

    def layer(self, module: nn.Module, into: list[int], out: list[int], node: fx.Node) -> None:
        """Write down a layer whose input and output have the shapes (C, H, W)."""
        if not isinstance(module, KNOWN) or not plain(module):
            names = ", ".join(sorted(k.__name__ for k in KNOWN))
            raise CourseError(f"A page cannot run {module}; it runs {names}.")
        if isinstance(module, nn.Linear):
            place = self.keep(module.weight.T)
            self.spec.append({"type": "matrix", "k": into[0], "m": out[0], "n": 1, "weight": place})
        elif isinstance(module, CONVOLUTIONS):
            kind = "conv" if isinstance(module, nn.Conv2d) else "transposed"
            place = self.keep(module.weight.flatten(1).T if kind == "conv" else module.weight)
            padding = (
                (1, 1) if isinstance(module, (SameConv2d, SameConvTranspose2d)) and module.stride == (2, 2) else None
            )
            parts = {"kernel": module.kernel_size, "stride": module.stride, "padding": padding or module.padding}
            self.spec.append({"type": kind, "in": into, "out": out, "weight": place, **parts})
        elif isinstance(module, NORMS):
            weight = (module.running_var.double() + module.eps).rsqrt()[None]  # (1, C)
            shift = -weight * module.running_mean.double()
            if module.affine:
                weight, shift = weight * module.weight, shift * module.weight + module.bias
            elif isinstance(module, ConditionalBatchNorm2d):
                if not self.classes or self.env[node.args[1]].tolist() != [*range(self.classes)]:
                    raise self.odd()
                weight, shift = weight * module.scale.weight, shift * module.scale.weight + module.shift.weight
            before = self.spec[-1] if self.spec else {}
            if before.get("type") == "affine" and before["scale"].shape[1] == weight.shape[1]:  # the bias before
                self.spec.pop()
                weight, shift = weight * before["scale"], shift + weight * before["shift"]
            self.affine(weight, shift, out)
        elif isinstance(module, SelfAttention):
            maps = {k: self.keep(getattr(module, k).weight.flatten(1).T) for k in ("query", "key", "value", "out")}
            inner = module.query.out_channels
            self.spec.append(
                {"type": "attention", "in": into, "inner": inner, "gamma": module.gamma.item(), "maps": maps}
            )
        elif isinstance(module, nn.LeakyReLU):
            self.spec.append({"type": "leaky", "slope": module.negative_slope})
        elif isinstance(module, nn.Upsample):
            self.spec.append({"type": "upsample", "in": into, "out": out})
        elif type(module) in NUMBERS:
            self.spec.append({"type": NUMBERS[type(module)]})
        if getattr(module, "bias", None) is not None and not isinstance(module, NORMS):
            self.affine(torch.ones_like(module.bias)[None], module.bias[None], out)


def plain(module: nn.Module) -> bool:
    """Whether a known layer is set as the page knows it: no groups, no dilation, zeros around, nearest neighbours."""
    if isinstance(module, CONVOLUTIONS):
        padded = module.padding_mode == "zeros" and not isinstance(module.padding, str)
        return padded and module.groups == 1 and module.dilation == (1, 1)
    if isinstance(module, NORMS):
        return module.track_running_stats
    return not isinstance(module, nn.Upsample) or module.mode == "nearest"


def compile_net(generator: nn.Module) -> tuple[dict, np.ndarray, np.ndarray]:
    """What `makeNet` in net.js takes: the layers as a dict, weights in float16, scales, shifts and tables in float32.

    BatchNorm becomes one scale and one shift a channel (and class), together with the bias before it.
    """
    net = Compiler(copy.deepcopy(generator).eval())
    singles = np.concatenate([*net.singles, np.zeros(0, np.float32)])
    return {"layers": net.spec, "shape": net.shape}, np.concatenate(net.halves), singles


def export_page(generator: nn.Module, path: str | Path, title: str) -> Path:
    """Write the page: sliders along directions, a pad of seeds, keyframes with playback, classes, the generator.

    Pixels differ from PyTorch's by at most 2 grey levels of 255 where float16 holds the weights exactly, as it does
    those of shipped generators.

    Args:
        path: ends in .html.
        title: what the page is called.

    Raises:
        CourseError: a layer that the page does not know, a net for each class, or a page over 12 MB.
    """
    path = at_home(path)
    if isinstance(generator, OnePerClass):
        raise CourseError(
            f"{title} is {len(generator.nets)} nets, one a class (OnePerClass), and a page holds one net."
        )
    moves = directions.principal(generator)
    spec, halves, singles = compile_net(generator)
    z = torch.cat([latent.draw_z(1, generator.latent_dim, i + 100 * j) for j in range(SEEDS) for i in range(SEEDS)])
    card = getattr(generator, "card", {})
    facts = {"Made from": card.get("data"), "Limits": card.get("limits"), "Licence": card.get("licence")}
    spec |= {"seeds": SEEDS, "latent": generator.latent_dim, "directions": len(moves), "title": title}
    spec["classes"] = [*generators.class_names(generator)]
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
    save_text(path, page)
    return path
