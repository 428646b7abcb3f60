"""Exercises of notebook 01: slopes of losses, D* when real and fake come unequally often or are smoothed, W1."""

from __future__ import annotations

import torch
from torch import Tensor

from . import NotAttempted, Wrong, exercise


def slopes(a: Tensor) -> dict[str, Tensor]:
    d = torch.sigmoid(a)
    return {"minimax": -d, "non-saturating": d - 1, "least squares": a - 1, "hinge": -torch.ones_like(a)}


def as_tensor(value, like: Tensor, what: str) -> Tensor:
    """The value as a tensor of the shape of `like`, or `Wrong`."""
    value = torch.as_tensor(value, dtype=like.dtype)
    if value.numel() not in (1, like.numel()):
        raise Wrong(f"{what} has {value.numel()} numbers; wanted is one for each of the {like.numel()} given.")
    return value.expand_as(like)


@exercise(
    "01.1",
    "The slopes of four losses",
    hints=[
        "With D = σ(a), dD/da = D(1 - D). Apply the chain rule to log(1 - D) and to -log D, and simplify.",
        "log(1 - σ(a)) = -softplus(a), and the slope of softplus is σ. Least squares: ½(a - 1)². Hinge: -a.",
    ],
    solution=slopes,
)
def check_slopes(answer) -> str:
    a = torch.tensor([-6.0, -1.0, 0.5, 3.0])
    found, expected = answer(a), slopes(a)
    if not isinstance(found, dict) or set(found) != set(expected):
        raise Wrong(f"it must return a dict with the keys {', '.join(map(repr, expected))}.")
    if any(part is ... or part is None for part in found.values()):
        raise NotAttempted
    mine = {name: as_tensor(value, a, f"the slope of {name}") for name, value in found.items()}

    def same(x: Tensor, y: Tensor) -> bool:
        return torch.allclose(x, y, atol=1e-4)

    d = torch.sigmoid(a)
    if same(mine["minimax"], expected["non-saturating"]) and same(mine["non-saturating"], expected["minimax"]):
        raise Wrong("minimax and non-saturating are exchanged: which of them is flat where D rejects the fake, a → -∞?")
    if same(mine["minimax"], -1 / (1 - d)) or same(mine["non-saturating"], -1 / d):
        raise Wrong("that is the slope in D, not in the logit: a factor dD/da = D(1 - D) is missing.")
    for name, slope in expected.items():
        if same(mine[name], -slope):
            raise Wrong(f"the slope of {name} has the wrong sign: G's loss must fall when the logit of its fake rises.")
        if not same(mine[name], slope):
            raise Wrong(f"the slope of {name} at a = {a.tolist()} is not {[round(v, 3) for v in mine[name].tolist()]}.")
    return "Minimax is flat where G needs it, the non-saturating loss where it does not, the hinge nowhere."


def optimal_d(p: Tensor, q: Tensor, share: float) -> Tensor:
    return share * p / (share * p + (1 - share) * q)


@exercise(
    "01.2",
    "D* when real images are rarer",
    hints=[
        "D maximises share·p·log D + (1 - share)·q·log(1 - D), at each x by itself. Set the slope in D to zero.",
        "Nothing but the weights changed: wherever p stood, there is now share·p.",
    ],
    solution=optimal_d,
)
def check_optimal(answer) -> str:
    p, q = torch.tensor([0.1, 0.3, 0.5, 0.2]), torch.tensor([0.4, 0.3, 0.1, 0.05])
    found = as_tensor(answer(p, q, 0.2), p, "the result")
    if torch.allclose(found, p / (p + q)):
        raise Wrong("that is D* for as many real as generated images; here only a share of them is real.")
    if torch.allclose(found, 1 - optimal_d(p, q, 0.2)):
        raise Wrong("that is the probability of being generated: D says how likely x is real.")
    if torch.allclose(found, optimal_d(p, q, 0.8)):
        raise Wrong("share is the share of *real* images; p must carry it, and q the rest.")
    if (found > 1).any() or (found < 0).any():
        raise Wrong(
            f"a probability lies between 0 and 1; yours reaches {found.abs().max():.2f}. Does it add up to one?"
        )
    if not torch.allclose(found, optimal_d(p, q, 0.2)):
        raise Wrong("with share = 0.2, p = 0.1, q = 0.4 it should be 1/17 = 0.059, " + f"not {found[0]:.3f}.")
    return "In the logit: log p - log q + log(share / (1 - share)). An unbalanced batch merely shifts D's logit."


def smoothed_d(p: Tensor, q: Tensor, real_target: float, fake_target: float) -> Tensor:
    return (real_target * p + fake_target * q) / (p + q)


@exercise(
    "01.3",
    "D* under label smoothing",
    hints=[
        "The target of x is real_target if it is real, fake_target if it is generated. What is the target on average?",
        "Cross-entropy is smallest where D is the average target: weights p/(p + q) and q/(p + q).",
    ],
    solution=smoothed_d,
)
def check_smoothed(answer) -> str:
    p, q = torch.tensor([0.1, 0.3, 0.5, 0.2]), torch.tensor([0.4, 0.3, 0.1, 0.05])
    found = as_tensor(answer(p, q, 0.9, 0.2), p, "the result")
    if torch.allclose(found, p / (p + q)):
        raise Wrong("that is D* for targets 1 and 0: the targets do not appear in it.")
    if torch.allclose(found, 0.9 * p / (p + q)):
        raise Wrong("real_target is there, fake_target is not: where q is everything, D should say fake_target.")
    if torch.allclose(found, 0.9 * p / (0.9 * p + 0.2 * q)):
        raise Wrong("smoothing is not a change of how often: where p is everything D should say 0.9, yours says 1.")
    if torch.allclose(found, smoothed_d(p, q, 0.2, 0.9)):
        raise Wrong("the two targets are exchanged.")
    if not torch.allclose(found, smoothed_d(p, q, 0.9, 0.2)):
        raise Wrong("with p = q it should be the mean of the two targets, 0.55; " + f"yours is {found[1]:.3f}.")
    return (
        "where q is all there is, D* is flat at fake_target, and today's fakes feel no pull; with fake_target = 0 the "
        "logit keeps its slope. That is why only the real label is smoothed."
    )


def w1(x: Tensor, y: Tensor) -> Tensor:
    return (x.sort().values - y.sort().values).abs().mean()


@exercise(
    "01.4",
    "Earth moved, by sorting",
    hints=[
        "On the line the cheapest plan never lets two loads cross: smallest to smallest, next to next.",
        "x.sort().values puts a tensor in order. How far does each load travel, on average?",
    ],
    solution=w1,
)
def check_w1(answer) -> str:
    x, y = torch.tensor([3.0, 0.0, 1.0, 2.0]), torch.tensor([0.0, 5.0, 1.0, -4.0])
    found = as_tensor(answer(x, y), torch.zeros(()), "the result").item()
    a, b = x.sort().values, y.sort().values
    slips = [
        ((x - y).abs().mean(), "the points are paired as they come: sort both, and the loads no longer cross."),
        (
            (x.mean() - y.mean()).abs(),
            "that is the distance of the means, or ways left and right that cancel: each way's length must count.",
        ),
        ((a - b).square().mean(), "that squares the distances: W1 counts distance itself."),
        ((a - b).square().mean().sqrt(), "that is W2, the root of the mean square: W1 counts distance itself."),
        ((a - b).abs().sum(), "that is the sum of all ways; each of the n points carries 1/n."),
    ]
    if abs(found - w1(x, y).item()) > 1e-5:
        for value, message in slips:
            if abs(found - value.item()) < 1e-5:
                raise Wrong(message)
        raise Wrong(f"for {x.tolist()} and {y.tolist()} it is {w1(x, y).item():g}, not {found:g}.")
    if abs(float(answer(x, x + 8)) - 8) > 1e-5:
        raise Wrong("a shift by 8 must cost 8.")
    return "A shift by m costs m, however far apart: W1 keeps its slope where the Jensen-Shannon divergence is flat."
