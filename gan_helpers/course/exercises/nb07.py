"""Exercises of notebook 07: the softmax's axis, one power step, reach, and augmentations that G can learn through."""

from __future__ import annotations

import torch
from torch import Tensor

from . import Wrong, exercise


def attention_map(q: Tensor, k: Tensor) -> Tensor:
    return (q.mT @ k).softmax(-1)  # (N, P, P): over the keys


@exercise(
    "07.1",
    "The softmax's axis",
    hints=[
        "Scores first: (N, P, C) @ (N, C, P). Row i belongs to the query at position i.",
        "Each query takes 100 % in all: the sum over the last axis, the keys, must be 1.",
    ],
    solution=attention_map,
)
def check_attention(answer) -> str:
    q, k = torch.randn(2, 3, 5).double() * 2, torch.randn(2, 3, 5).double()
    found = answer(q.clone(), k.clone())
    if not isinstance(found, Tensor) or found.shape != (2, 5, 5):
        raise Wrong(f"from (2, 3, 5) and (2, 3, 5) it must make (2, 5, 5); it makes {getattr(found, 'shape', found)}.")
    scores = q.mT @ k
    slips = {
        "its columns sum to 1, not its rows: that softmax runs over the queries, so some positions are looked at by "
        "nobody, and each query gets more or less than 100 %.": scores.softmax(1),
        "row i belongs to key i here; it should belong to query i.": scores.mT.softmax(-1),
        "these are scores, without a softmax.": scores,
        "this softmax runs over the images of the batch.": scores.softmax(0),
        "all positions of an image share one softmax here; each query has its own.": scores.flatten(1)
        .softmax(1)
        .view(2, 5, 5),
    }
    for message, slip in slips.items():
        if torch.allclose(found, slip):
            raise Wrong(message)
    if not torch.allclose(found, scores.softmax(-1)):
        raise Wrong("the shape is right, the numbers are not: softmax over the keys of q · k, for each query.")
    return "Every position takes exactly 100 %."


def power_step(w: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    u = w @ v
    u = u / u.norm()
    v = w.T @ u
    return v.norm(), v / v.norm()


@exercise(
    "07.2",
    "One power step",
    hints=[
        "Forward: u = W v, brought to length 1. Back: Wᵀ u. How long that is, is the estimate.",
        "Return the length, and Wᵀ u brought to length 1, for the next step.",
    ],
    solution=power_step,
)
def check_power(answer) -> str:
    w = torch.randn(7, 4).double() * 3
    v = torch.randn(4).double()
    start = v = v / v.norm()
    sigma = torch.linalg.matrix_norm(w, 2)
    for step in range(60):
        result = answer(w.clone(), v.clone())
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Wrong("return two things: the estimate, and the new v.")
        estimate, v = torch.as_tensor(result[0]), result[1]
        if not isinstance(v, Tensor) or v.shape != (4,):
            raise Wrong(f"v goes in as (4,) and must come out so; it comes out as {getattr(v, 'shape', v)}.")
        if step == 0 and abs(v.norm() - 1) > 1e-6:
            raise Wrong(f"the new v has length {v.norm():.3g}: without the division it explodes or dies out.")
    if abs(estimate - sigma**2) < 1e-6 * sigma**2:
        raise Wrong("that is the square of the largest singular value: bring u to length 1 as well.")
    if torch.allclose(v.abs(), start.abs()):
        raise Wrong("v does not move: the step must go forth (W v) and back (Wᵀ u).")
    if abs(estimate - sigma) > 1e-6 * sigma:
        raise Wrong(f"after 60 steps the estimate is {estimate:.4g}; the largest singular value is {sigma:.4g}.")
    return "Training does one such step for each forward pass, for weights move slowly."


def lets_through(augment) -> bool:
    x = torch.randn(2, 1, 8, 8, requires_grad=True)
    out = augment(x)
    if not out.requires_grad:
        return False
    (out * torch.randn(out.shape)).sum().backward()
    return bool(x.grad.abs().sum() > 0)


AUGMENTATIONS = {  # what D may see: does G still learn from it?
    "brightness": (lambda x: x + 0.3, True),
    "a shift by two pixels": (lambda x: x.roll(2, 3), True),
    "rounding to 8 bits": (lambda x: ((x + 1) * 127.5).round() / 127.5 - 1, False),
    "contrast, under no_grad": (torch.no_grad()(lambda x: 1.2 * x), False),
    "by way of NumPy, as an image library would": (lambda x: torch.from_numpy(x.detach().numpy() * 0.9), False),
    "grey over the left half": (lambda x: x * (torch.arange(8) > 3), True),
}


@exercise(
    "07.3",
    "Does the gradient get through?",
    hints=[
        "Make an x that requires its gradient, augment it, sum up, go backward, and look at x.grad.",
        "Two ways to fail: no graph at all (requires_grad is False), or a graph whose gradient is zero everywhere.",
    ],
    solution=lets_through,
)
def check_lets_through(answer) -> str:
    for name, (augment, right) in AUGMENTATIONS.items():
        try:
            found = answer(augment)
        except RuntimeError as error:
            if "does not require grad" in str(error):
                raise Wrong(f"{name}: there is no graph at all, and backward() stops. Ask out.requires_grad.") from None
            raise
        if found is None or not hasattr(found, "__bool__"):
            raise Wrong("return True or False.")
        if bool(found) != right and name.startswith("rounding"):
            raise Wrong(f"{name}: it has a graph, but its gradient is zero everywhere. Look at the values of x.grad.")
        if bool(found) != right:
            raise Wrong(f"{name}: G {'does get' if right else 'gets no'} gradient through it; you say {bool(found)}.")
    return "Rounding is the treacherous one: D still learns, G gets nothing, and no error tells you."


def reach(layers: list[tuple[int, int]]) -> int:
    pixels, jump = 1, 1
    for kernel, stride in layers:
        pixels += (kernel - 1) * jump
        jump *= stride
    return pixels


@exercise(
    "07.4",
    "How far a stack of convolutions reaches",
    hints=[
        "A first layer of kernel k sees k pixels. Each further layer adds (kernel - 1) steps of its input.",
        "One step in the input of the third layer is as many pixels as the first layer's stride times the second's.",
    ],
    solution=reach,
)
def check_reach(answer) -> str:
    for layers in ([(3, 1)], [(3, 1)] * 4, [(4, 2)], [(4, 2), (4, 2), (4, 2)], [(3, 1), (4, 2), (5, 1), (3, 2)]):
        found, right = int(answer(list(layers))), reach(layers)
        if found == right:
            continue
        if found == 1 + sum(k - 1 for k, _ in layers):
            raise Wrong(f"{layers}: after a stride of 2 each step is two pixels wide; that is missing.")
        if found == sum(k for k, _ in layers):
            raise Wrong(f"{layers}: windows overlap; a further layer adds kernel - 1, not kernel.")
        raise Wrong(f"{layers} reach {right} pixels; you say {found}.")
    return "Strides make reach cheap; without them it grows by two pixels a 3x3 layer. Attention has it all at once."
