"""Exercises of notebook 08: arcs, directions without their company, recall under truncation, mixing more than two."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import directions, latent
from . import Wrong, exercise


def tensor_of(found, shape: tuple[int, ...]) -> Tensor:
    """The answer as a tensor of that shape, or what is wrong with it."""
    if not isinstance(found, Tensor) or found.shape != shape:
        form = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise Wrong(f"it must return a tensor of shape {shape}; got {form}.")
    return found.double()


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    cosine = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    angle = torch.acos(cosine.clamp(-1, 1))  # (N, 1)
    sine = torch.sin(angle)
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / sine.clamp_min(1e-12)
    return torch.where(sine < 1e-4, (1 - t) * a + t * b, arc)


@exercise(
    "08.1",
    "Along the arc",
    hints=[
        "The angle of two vectors is acos(a·b / (|a| |b|)), one for each row: sum over the last dimension, keepdim.",
        "Where sin(angle) is (nearly) 0 the formula divides 0 by 0; torch.where puts the straight line there.",
    ],
    solution=slerp,
)
def check_slerp(answer) -> str:
    rng = torch.Generator().manual_seed(1)
    a, b = torch.randn(5, 6, generator=rng).double(), torch.randn(5, 6, generator=rng).double() * 2
    found, right = tensor_of(answer(a, b, 0.3), (5, 6)), latent.slerp(a, b, 0.3)
    total = ((a * b).sum() / (a.norm() * b.norm())).acos()
    unit_a, unit_b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    slips = {
        "that is the straight line: on the way, the points come too near to 0.": latent.lerp(a, b, 0.3),
        "the ends are exchanged: t = 0 must give a.": latent.slerp(a, b, 0.7),
        "that is one angle for the whole batch; each row has its own (sum over the last dimension).": (
            torch.sin(0.7 * total) * a + torch.sin(0.3 * total) * b
        )
        / torch.sin(total),
        "a and b were shortened to length 1; take them as they are in the sum.": latent.slerp(unit_a, unit_b, 0.3),
    }
    for message, slip in slips.items():
        if torch.allclose(found, slip):
            raise Wrong(message)
    if not torch.allclose(found, right, atol=1e-6):
        raise Wrong("on random rows it is not (sin((1 - t) ω) a + sin(t ω) b) / sin ω.")
    same = tensor_of(answer(torch.cat([a, a]), torch.cat([a, 3 * a]), 0.5), (10, 6))
    if not same.isfinite().all():
        raise Wrong("where a and b are parallel it gives nan: sin ω = 0 there.")
    if not torch.allclose(same, torch.cat([a, 2 * a]), atol=1e-6):
        raise Wrong("half way from a to 3a (the same direction) it must give 2a.")
    return "Arcs where there is an angle, lines where there is none; your keyframes may now repeat."


def cleaned(direction: Tensor, others: Tensor) -> Tensor:
    basis, _ = torch.linalg.qr(others.T)  # (d, K): an orthonormal basis of what must go
    rest = direction - basis @ (basis.T @ direction)
    return rest / rest.norm()


@exercise(
    "08.2",
    "Remove the company",
    hints=[
        "One other: direction - (direction·u) u, with u the other at length 1.",
        "Two others that are not at right angles: taking away the second brings a part of the first back. Make them "
        "orthonormal first: torch.linalg.qr(others.T) returns a basis in its columns.",
    ],
    solution=cleaned,
)
def check_cleaned(answer) -> str:
    rng = torch.Generator().manual_seed(2)
    g, one = (torch.nn.functional.normalize(torch.randn(8, generator=rng).double(), dim=0) for _ in "ab")
    others = torch.stack([3 * one, one + 0.5 * torch.randn(8, generator=rng).double()])  # neither unit nor orthogonal
    single = tensor_of(answer(g.clone(), others[:1].clone()), (8,))
    left = (single @ one).item()
    if torch.allclose(single, torch.nn.functional.normalize(g - (g @ others[0]) * others[0], dim=0)):
        raise Wrong("the other direction has length 3, so (direction·other) other takes away 9 times too much.")
    if abs(left) > 1e-6:
        raise Wrong(f"after removing one direction, {left:+.2f} of it is still there.")
    if abs(single.norm() - 1) > 1e-6:
        raise Wrong(f"its length is {single.norm():.2f}: a slider's step would mean something else. Make it 1.")
    both = tensor_of(answer(g.clone(), others.clone()), (8,))
    lefts = others @ both / others.norm(dim=1)
    if lefts.abs().max() > 1e-6:
        raise Wrong(
            f"of two others, {lefts[0]:+.2f} and {lefts[1]:+.2f} are left: they are not at right angles, so removing "
            "the second brought the first back."
        )
    if not torch.allclose(both, directions.remove(g, *others), atol=1e-6):
        raise Wrong("nothing of the others is left, but it is not what remains of the direction either.")
    return "A projection. It keeps still what is *linear* in z; the meter showed how much is not."


def recall(real: Tensor, fake: Tensor, k: int = 3) -> float:
    radius = torch.cdist(fake, fake).sort(1).values[:, k]  # (M,); column 0 is each fake itself
    return (torch.cdist(real, fake) <= radius).any(1).double().mean().item()


@exercise(
    "08.3",
    "Recall",
    hints=[
        "The radius of a fake is the distance to its k-th nearest *other* fake: column k of the sorted distances.",
        "A real counts when any fake's ball holds it: (distances (N, M) <= radius (M,)).any(1).double().mean().",
    ],
    solution=recall,
)
def check_recall(answer) -> str:
    rng = torch.Generator().manual_seed(3)
    real = torch.randn(80, 4, generator=rng).double()
    fake = 0.5 * torch.randn(60, 4, generator=rng).double()  # truncated: good, and too alike
    found, right = answer(real.clone(), fake.clone(), 3), recall(real, fake, 3)
    found = found.item() if isinstance(found, Tensor) and found.numel() == 1 else found
    if not isinstance(found, (int, float)):
        raise Wrong("it must return one number: a share.")

    def share(r: Tensor, points: Tensor, centres: Tensor) -> float:
        return (torch.cdist(points, centres) <= r).any(1).double().mean().item()

    far = torch.cdist(fake, fake).sort(1).values
    of_real = torch.cdist(real, real).sort(1).values[:, 3]
    slips = {
        "that is precision: the balls are the fakes', and reals are counted.": share(of_real, fake, real),
        "that is coverage: the balls must be the fakes', not the reals'.": (torch.cdist(real, fake) <= of_real[:, None])
        .any(1)
        .double()
        .mean()
        .item(),
        "the radius is one neighbour short: the nearest fake of a fake is itself.": share(far[:, 2], real, fake),
        "every ball has the radius of the widest one; each fake has its own.": share(far[:, 3].max(), real, fake),
    }
    if abs(found - right) > 1e-6:
        for message, slip in slips.items():
            if abs(found - slip) < 1e-6:
                raise Wrong(message)
        raise Wrong(f"on a test set it gives {found:.3g}; the share is {right:.3g}.")
    if abs(answer(real, real[:50], 5) - recall(real, real[:50], 5)) > 1e-6:
        raise Wrong("with k = 5 it is off: is 3 written into the code?")
    return "Truncation buys precision and pays in this number."


def mix(latents: Tensor, weights: Tensor) -> Tensor:
    return (weights[:, None] * latents).sum(0) / weights.norm()


@exercise(
    "08.4",
    "Mix three faces",
    hints=[
        "Variances of independent numbers add up: that of Σ wₖ zₖ is Σ wₖ².",
        "Divide by the square root of that. For two weights √(1 - t) and √t it is 1 already.",
    ],
    solution=mix,
)
def check_mix(answer) -> str:
    rng = torch.Generator().manual_seed(4)
    weights = torch.tensor([0.6, 0.3, 0.1]).double()
    z = torch.randn(3, 20_000, generator=rng).double()
    found = tensor_of(answer(z.clone(), weights.clone()), (20_000,))
    spread = found.std().item()
    if abs(spread - weights.norm().item()) < 0.01:
        raise Wrong(f"its numbers have spread {spread:.2f}: a weighted mean is shorter than a latent.")
    if torch.allclose(found, (weights.sqrt()[:, None] * z).sum(0)):
        weights = torch.tensor([0.5, 1.0, 2.0]).double()
        if abs(tensor_of(answer(z.clone(), weights.clone()), (20_000,)).std() - 1) > 0.03:
            raise Wrong("right while the weights sum to 1; the sliders 0.5, 1 and 2 give too long a latent.")
        return "N(0, I), whatever the weights, with the mixture tilted towards the small ones."
    short = torch.stack([answer(torch.randn(3, 4, generator=rng).double(), weights) for _ in range(50)])
    if short.norm(dim=1).std() < 0.05:
        raise Wrong("every mixture has the same length; those of N(0, I) vary. Divide by a number made of weights.")
    doubled = tensor_of(answer(2 * z, weights.clone()), (20_000,))
    if not torch.allclose(doubled, 2 * found):
        raise Wrong("it divides by something measured on the result. Divide by a number made of the weights alone.")
    if abs(spread - 1) > 0.03:
        raise Wrong(f"its numbers have spread {spread:.2f}; those of N(0, 1) have 1.")
    share = [(found @ row / found.norm() / row.norm()).item() for row in z]
    if abs(share[0] / share[1] - 2) > 0.2:
        raise Wrong("the spread is right, but the first weight is twice the second, and the mixture is not.")
    return "N(0, I) for any weights. The explorer's seed plane is this, with four seeds."
