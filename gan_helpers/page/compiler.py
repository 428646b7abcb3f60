"""A generator written down in the few kinds of layers that `net.js` runs.

To teach a page another layer, add a function that writes it down to `WRITERS`, and what it does to `LAYERS` in net.js.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, fx, nn

from .. import latent
from ..errors import CourseError
from ..models.blocks import ConditionalBatchNorm2d, OneHot, OnePerClass, SameConv2d, SameConvTranspose2d, SelfAttention


class Net:
    """What `makeNet` in net.js takes, while it is written.

    Attributes:
        layers: a dict a layer, in the order in which the page runs them. Tensors in it are weights (float16), or
            scales, shifts and tables (others) with a row for each class, or one row for all.
    """

    def __init__(self) -> None:
        self.layers: list[dict] = []

    def add(self, kind: str, **facts) -> None:
        """One more layer, of a kind that LAYERS in net.js has."""
        self.layers.append({"type": kind, **facts})

    def affine(self, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        """x · scale + shift, (rows, C) each, with the result `out`; one layer together with another just before."""
        scale, shift = torch.broadcast_tensors(scale.double(), shift.double())
        before = self.layers[-1] if self.layers else {}
        if before.get("type") == "affine" and before["scale"].shape[1] == scale.shape[1]:
            self.layers.pop()
            scale, shift = before["scale"] * scale, before["shift"] * scale + shift
        if scale.eq(scale[:1]).all() and shift.eq(shift[:1]).all():
            scale, shift = scale[:1], shift[:1]
        self.add("affine", out=shape(out), scale=scale, shift=shift)

    def bias(self, bias: Tensor | None, out: Tensor) -> None:
        """Add a layer's bias (C,), if it has one, to the result `out`."""
        if bias is not None:
            self.affine(torch.ones_like(bias)[None], bias[None], out)

    def finished(self) -> tuple[list[dict], np.ndarray, np.ndarray]:
        """The layers, with (first, how many) for each tensor, and their numbers: weights float16, others float32."""
        halves, singles = [torch.zeros(0).half()], [torch.zeros(0)]
        for layer in self.layers:
            for name, x in layer.items():
                if isinstance(x, Tensor):
                    kept = halves if x.dtype == torch.half else singles
                    layer[name] = (sum(map(len, kept)), x.numel())
                    kept.append(x.flatten().to(kept[0]))
        numbers = [torch.cat(kept).detach().numpy() for kept in (halves, singles)]
        if not all(np.isfinite(array).all() for array in numbers):
            raise CourseError("The generator has weights beyond the range of float16, which a page keeps.")
        return self.layers, *numbers


def shape(x: Tensor) -> list[int]:
    """[C, H, W] of an example in (N, C, H, W), or [C, 1, 1] in (N, C)."""
    return [*x.shape[1:], 1, 1][:3]


def same_numbers(x: Tensor, out: Tensor) -> bool:
    """Whether out (N, …) holds the numbers of x (N, …), example by example, in the same order."""
    return len(x) == len(out) and torch.equal(x.flatten(1), out.flatten(1).to(x))


def require(condition: bool, layer: nn.Module, what: str) -> None:
    """Raise a CourseError that names the layer, unless it is set as a page knows it."""
    if not condition:
        raise CourseError(f"A page cannot run {layer}: it knows it {what} only.")


# --- a writer for each type of layer: (the net so far, the layer, its input, its output) ----------------------------


def linear(net: Net, layer: nn.Linear, x: Tensor, out: Tensor) -> None:
    require(x.ndim == 2, layer, "with one row of numbers an example")
    net.add("matrix", k=x.shape[1], m=out.shape[1], n=1, weight=layer.weight.T.half())
    net.bias(layer.bias, out)


def convolution(kind: str, net: Net, layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, out: Tensor) -> None:
    numbered = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    require(numbered and layer.groups == 1 and layer.dilation == (1, 1), layer, "plain, with a number of zeros around")
    pads_itself = isinstance(layer, SameConv2d) and layer.stride == (2, 2)  # by 1 before and 2 after
    weight = layer.weight.flatten(1).T if kind == "conv" else layer.weight
    facts = {"in": shape(x), "out": shape(out), "kernel": layer.kernel_size, "stride": layer.stride}
    net.add(kind, **facts, padding=(1, 1) if pads_itself else layer.padding, weight=weight.half())
    net.bias(layer.bias, out)


def norm(net: Net, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor, out: Tensor, y: Tensor | None = None) -> None:
    require(layer.track_running_stats, layer, "with running statistics")
    scale = (layer.running_var.double() + layer.eps).rsqrt()[None]  # (1, C)
    net.affine(scale, -scale * layer.running_mean, out)
    if layer.affine:
        net.affine(layer.weight[None], layer.bias[None], out)
    elif isinstance(layer, ConditionalBatchNorm2d):
        net.affine(layer.scale(y), layer.shift(y), out)  # (K, C)


def attention(net: Net, layer: SelfAttention, x: Tensor, out: Tensor) -> None:
    parts = {"query": layer.query, "key": layer.key, "value": layer.value, "back": layer.out}
    maps = {name: part.weight.flatten(1).T.half() for name, part in parts.items()}
    net.add("attention", **{"in": shape(x)}, inner=layer.query.out_channels, gamma=layer.gamma.item(), **maps)


def upsample(net: Net, layer: nn.Upsample, x: Tensor, out: Tensor) -> None:
    square = x.shape[2] * out.shape[3] == x.shape[3] * out.shape[2]
    require(layer.mode == "nearest" and square, layer, "with nearest neighbours and one factor")
    net.add("upsample", **{"in": shape(x), "out": shape(out)})


def reshaping(net: Net, layer: nn.Module, x: Tensor, out: Tensor) -> None:  # numbers lie flat in a page
    require(same_numbers(x, out), layer, "where it keeps examples apart")


WRITERS: dict[type[nn.Module], Callable] = {
    nn.Linear: linear,
    nn.Conv2d: partial(convolution, "conv"),
    SameConv2d: partial(convolution, "conv"),
    nn.ConvTranspose2d: partial(convolution, "transposed"),
    SameConvTranspose2d: partial(convolution, "transposed"),
    nn.BatchNorm1d: norm,
    nn.BatchNorm2d: norm,
    ConditionalBatchNorm2d: norm,
    SelfAttention: attention,
    nn.Upsample: upsample,
    nn.LeakyReLU: lambda net, layer, x, out: net.add("leaky", slope=layer.negative_slope),
    nn.ReLU: lambda net, *_: net.add("relu"),
    nn.Tanh: lambda net, *_: net.add("tanh"),
    nn.Sigmoid: lambda net, *_: net.add("sigmoid"),
    **dict.fromkeys((nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout2d), reshaping),
}


def writer_of(layer: nn.Module) -> Callable | None:
    """The writer for the layer's type; None for an unknown type, and for a subclass that runs in a way of its own."""
    fits = (w for kind, w in WRITERS.items() if isinstance(layer, kind) and type(layer).forward is kind.forward)
    return next(fits, None)


# --- functions between layers ---------------------------------------------------------------------------------------

ACTIVATIONS = {"relu", "tanh", "sigmoid"}
RESHAPING = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "getitem", "contiguous", "float", "to"}
ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "neg": operator.neg,
              "truediv": operator.truediv, "div": operator.truediv}  # fmt: skip


def write_function(net: Net, name: str, x: Tensor, out: Tensor, args: list) -> bool:
    """Write down a function of `args`, with x (K, …) among them and the result out (K, …); False if it is unknown."""
    if name in ACTIVATIONS:
        net.add(name)
        return True
    if name == "cat" and args[0][0] is x:
        length = x[0].numel()
        net.add("append", **{"in": length}, table=out.flatten(1)[:, length:])
        return same_numbers(x, out.flatten(1)[:, :length])
    if name in ARITHMETIC and sum(arg is x for arg in args) == 1 and out.shape == x.shape:
        ends = torch.stack([torch.zeros_like(x), torch.ones_like(x)])  # what becomes of 0, and of 1: (2, K, C, …)
        ends = ARITHMETIC[name](*(ends if arg is x else arg for arg in args))
        zero, one = ends.flatten(3) if ends.ndim > 3 else ends[..., None]  # (K, C, positions)
        net.affine((one - zero)[..., 0], zero[..., 0], out)
        return bool(ends.isfinite().all()) and all(end.eq(end[..., :1]).all() for end in (zero, one))
    return name in RESHAPING and isinstance(out, Tensor) and same_numbers(x, out)


ODD = "A page runs layers in a row and sums of branches, and {} does something else."

# --- the way of z through the net -----------------------------------------------------------------------------------


class Tracer(fx.Tracer):
    """Takes the layers that a page knows as they are, and looks into everything else."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        known = writer_of(module) is not None or isinstance(module, (OneHot, OnePerClass))
        return known or super().is_leaf_module(module, name)


class Recorder(fx.Interpreter):
    """Runs a net, and keeps what each step has made, in `values`, and the steps that z passes through, in `flow`."""

    def __init__(self, net: fx.GraphModule) -> None:
        super().__init__(net)
        self.values: dict[fx.Node, Tensor] = {}
        self.flow: list[fx.Node] = []

    def run_node(self, node: fx.Node):
        for source in node.all_input_nodes:
            now, made = self.env[source], self.values[source]
            if isinstance(now, Tensor) and not now.allclose(made, rtol=0, atol=0, equal_nan=True):
                raise CourseError("A page cannot run a layer that changes in place what another branch needs.")
        if not self.values or any(source in self.flow for source in node.all_input_nodes):  # z comes first
            self.flow.append(node)
        out = super().run_node(node)
        self.values[node] = out.clone() if isinstance(out, Tensor) else out
        return out


def recorded(generator: nn.Module) -> Recorder:
    """A run on as many latents as there are classes, one of each: what depends on the class alone is a table."""
    try:
        graph = Tracer().trace(generator)
    except Exception:  # whatever Python does not allow on symbols
        raise CourseError(ODD.format(type(generator).__name__)) from None
    recorder, classes = Recorder(fx.GraphModule(generator, graph)), getattr(generator, "num_classes", 0)
    with torch.no_grad():
        labels = [torch.arange(classes)] if classes else []
        recorder.run(latent.draw_z(max(1, classes), generator.latent_dim), *labels)
    return recorder


def compile_net(generator: nn.Module) -> tuple[dict, np.ndarray, np.ndarray]:
    """What `makeNet` in net.js takes: the layers as a dict, weights in float16, scales, shifts and tables in float32.

    A page's layers work in place. So where the way of z parts, 'keep' saves the result for another branch, 'recall'
    goes back to it, and 'sum' adds it.

    Raises:
        CourseError: a layer or function that a page does not know, branches that meet otherwise than in sums, or
            weights that float16 cannot hold.
    """
    net, generator, title, slots = Net(), copy.deepcopy(generator).eval(), type(generator).__name__, {}
    recorder = recorded(generator)
    flow, values = recorder.flow, recorder.values
    for here, step in pairwise(flow):  # the page has the result of `here` in hand
        if set(here.users) != {step}:
            slots[here] = len(slots)
            net.add("keep", slot=slots[here])
        sources = [node for node in step.all_input_nodes if node in flow]
        if here not in sources:
            here = sources[0]
            net.add("recall", slot=slots[here])
        x, out = values[here], values[step]
        name = step.target if isinstance(step.target, str) else getattr(step.target, "__name__", str(step.target))
        if len(sources) > 1:
            if name != "add" or step.kwargs or not all(values[node].shape == out.shape for node in sources):
                raise CourseError(ODD.format(title))
            (other,) = (node for node in sources if node is not here)
            net.add("sum", slot=slots[other], out=shape(out))
        elif step.op == "call_module":
            layer = generator.get_submodule(step.target)
            if (writer := writer_of(layer)) is None:
                known = ", ".join(sorted(kind.__name__ for kind in WRITERS))
                raise CourseError(f"A page cannot run {layer}; it runs {known}.")
            classes = [values[node] for node in step.all_input_nodes if node not in flow]  # (K,), or nothing
            writer(net, layer, x, out, *classes)
        elif step.op != "output":
            args = fx.node.map_arg(step.args, values.get)
            if (step.kwargs and name in ARITHMETIC) or not write_function(net, name, x, out, args):
                raise CourseError(f"A page cannot run '{name}', which {title} uses.")
    layers, halves, singles = net.finished()
    return {"layers": layers, "shape": [*values[flow[-1]].shape[1:]]}, halves, singles
