"""Exercises of notebook 05: the Fréchet distance, two sets that it cannot tell apart, and scores that compare."""

from __future__ import annotations

import torch
from torch import Tensor

from ...metrics import frechet_distance
from . import Wrong, exercise


def frechet(a: Tensor, b: Tensor) -> Tensor:
    roots = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b)]  # (N, D), (M, D)
    traces = sum(r.square().sum() for r in roots)
    trace_of_root = torch.linalg.matrix_norm(roots[0] @ roots[1].T, "nuc")
    return (a.mean(0) - b.mean(0)).square().sum() + traces - 2 * trace_of_root


@exercise(
    "05.1",
    "The Fréchet distance",
    hints=[
        "With A = (a - mean) / √(N - 1), Tr Σ is the sum of all squares of A: no D x D matrix is needed.",
        'Tr √(Σa Σb) = torch.linalg.matrix_norm(A @ B.T, "nuc"); it enters twice, and is subtracted.',
    ],
    solution=frechet,
)
def check_frechet(answer) -> str:
    rng = torch.Generator().manual_seed(1)
    a, b = (torch.randn(n, 6, generator=rng).double() * s + m for n, s, m in ((40, 1.0, 0.0), (30, 2.0, 1.5)))
    found = answer(a.clone(), b.clone())
    found = found.item() if isinstance(found, Tensor) and found.numel() == 1 else found
    if not isinstance(found, (int, float)):
        raise Wrong("it must return one number.")
    right = frechet_distance(a, b)
    means = (a.mean(0) - b.mean(0)).square().sum().item()
    roots = [(x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b)]
    traces = sum(r.square().sum().item() for r in roots)
    nuclear = torch.linalg.matrix_norm(roots[0] @ roots[1].T, "nuc").item()
    raw = [x - x.mean(0) for x in (a, b)]
    slips = {
        "the means are missing.": right - means,
        "the trace of the root enters twice: the last term is -2 Tr √(Σa Σb).": right + nuclear,
        "the covariances are not divided by N - 1: A is (a - mean) / √(N - 1).": means
        + sum(r.square().sum().item() for r in raw)
        - 2 * torch.linalg.matrix_norm(raw[0] @ raw[1].T, "nuc").item(),
        "that is the Frobenius norm; the sum of the singular values is the nuclear one.": means
        + traces
        - 2 * (roots[0] @ roots[1].T).norm().item(),
        "the difference of the means enters squared.": right - means + means**0.5,
        "it is the squared distance that is asked for.": right**0.5,
    }
    for message, slip in slips.items():
        if abs(found - slip) < 1e-6 * abs(right):
            raise Wrong(message)
    if abs(found - right) > 1e-6 * right:
        raise Wrong(f"on two test sets it gives {found:.4g}; the distance is {right:.4g}.")
    few = torch.randn(4, 9, generator=rng).double()
    if abs(float(answer(few, few)) - 0) > 1e-9:
        raise Wrong("with fewer images than features, a set's distance from itself is not 0.")
    return "Real for any rank, and no covariance matrix was formed."


def impostor(x: Tensor) -> Tensor:
    signs = torch.ones_like(x)
    signs[: len(x) // 2] = -1  # two points only, where x had a bell
    signs = (signs - signs.mean()) / signs.std()
    return x.mean() + signs * x.std()


@exercise(
    "05.2",
    "FID 0 means perfect",
    hints=[
        "The distance knows the mean and the variance of x, and nothing else.",
        "Take numbers of any other shape (two points, a uniform heap), subtract their mean, divide by their standard "
        "deviation, then give them x's.",
    ],
    solution=impostor,
)
def check_impostor(answer) -> str:
    x = torch.randn(500, 1, generator=torch.Generator().manual_seed(2)).double() * 3 + 5
    found = answer(x.clone())
    if not isinstance(found, Tensor) or found.shape != x.shape:
        raise Wrong(f"it must return numbers of x's shape, {tuple(x.shape)}.")
    found = found.double()
    if (found.sort(0).values - x.sort(0).values).abs().mean() < 0.2:
        raise Wrong("sorted, these are x's own numbers (or nearly): an eye would not tell them apart.")
    if abs(found.mean() - x.mean()) > 0.03:
        raise Wrong(f"the means differ, {found.mean():.3f} against {x.mean():.3f}: subtract yours, add x's.")
    if (distance := frechet_distance(found, x)) > 1e-3:
        raise Wrong(f"the distance is {distance:.3g}: the means agree, the standard deviations don't quite.")
    return "Distance 0, and not one number alike. FID sees a mean and a covariance, through one network."


COMPARABLE = {"a": "yes", "b": "no", "c": "no", "d": "yes", "e": "no"}
REASONS = {
    "a": "same N, same reference, same code: nothing speaks against it.",
    "b": "the two packages resize in different ways, and that alone moves the score.",
    "c": "the distance falls with N, so the second looks better for nothing.",
    "d": "KID has no bias: its expectation is the same for every N. (Give both errors.)",
    "e": "scores against training images lie lower, and reward copying.",
}


@exercise(
    "05.3",
    "Which may be compared?",
    hints=["Go through the protocol: N, reference, network, weights, resize.", "Which score's mean depends on N?"],
    solution="comparable = " + repr(COMPARABLE),
)
def check_comparable(answer: dict) -> str:
    if not isinstance(answer, dict) or set(answer) != set(COMPARABLE):
        raise Wrong("give a dict with the keys a, b, c, d, e.")
    for key, right in COMPARABLE.items():
        if str(answer[key]).lower() not in ("yes", "no"):
            raise Wrong(f"{key} must be 'yes' or 'no'; got {answer[key]!r}.")
        if str(answer[key]).lower() != right:
            raise Wrong(f"{key}: {REASONS[key]}")
    return "A score without its protocol is not a score."
