"""Exercises of notebook 00: the self-check, seeds, a walk through latent space, and the missing detach."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import Wrong, exercise

SELF_CHECK = {"detach": "b", "logit": "c", "expectation": "a", "sizes": "b", "batchnorm": "c", "covariance": "a"}


@exercise(
    "00.0",
    "Six things this course builds on",
    hints=["Answer from memory first: the point is to find out what to repair, not to get six of six."],
    solution="answers = " + repr(SELF_CHECK),
)
def check_self(answers: dict) -> str:
    if not isinstance(answers, dict) or set(answers) != set(SELF_CHECK):
        raise Wrong(f"answers is a dict with the keys {', '.join(SELF_CHECK)}.")
    odd = [f"{k}={v!r}" for k, v in answers.items() if str(v).lower() not in ("a", "b", "c")]
    if odd:
        raise Wrong(f"every answer is 'a', 'b' or 'c'; got {', '.join(odd)}.")
    repair = [k for k, v in answers.items() if str(v).lower() != SELF_CHECK[k]]
    if repair:
        raise Wrong(f"{6 - len(repair)} of 6. Run the repair cell of: {', '.join(repair)}; then answer again.")
    return "6 of 6: you have what the course builds on."


SEEDS = {"seed 7 twice": "same", "seed 7 and seed 8": "different", "first of 1 and first of 100": "same"}


@exercise(
    "00.1",
    "What a seed decides",
    hints=[
        "A generator is a function: no dice are thrown inside it once it is in evaluation mode.",
        "draw_z promises that vector i depends on the seed and on i, not on how many are drawn.",
    ],
    solution="prediction = " + repr(SEEDS),
)
def check_seeds(prediction: dict) -> str:
    if not isinstance(prediction, dict) or set(prediction) != set(SEEDS):
        raise Wrong(f"prediction is a dict with the keys {', '.join(map(repr, SEEDS))}.")
    odd = [repr(v) for v in prediction.values() if v not in ("same", "different")]
    if odd:
        raise Wrong(f"every value is 'same' or 'different'; got {', '.join(odd)}.")
    if prediction["seed 7 twice"] != SEEDS["seed 7 twice"]:
        raise Wrong(
            "seed 7 gives the same z each time, and a generator is a function of z: where would chance come in?"
        )
    if prediction["seed 7 and seed 8"] != SEEDS["seed 7 and seed 8"]:
        raise Wrong("another seed gives another z; only a generator that ignores z would draw the same image.")
    if prediction["first of 1 and first of 100"] != SEEDS["first of 1 and first of 100"]:
        raise Wrong("an image does not depend on its batch-mates in evaluation mode. Notebook 02 shows when it does.")
    return "All the chance is in z. That is why a seed is enough to show a friend your favourite face."


def first_closer_to_end(frames: Tensor) -> int:
    to_start = (frames - frames[0]).square().flatten(1).sum(1)  # (T,)
    to_end = (frames - frames[-1]).square().flatten(1).sum(1)  # (T,)
    return int((to_end < to_start).nonzero()[0])


@exercise(
    "00.2",
    "Where the identity flips",
    hints=[
        "Two distances for each frame: to frames[0] and to frames[-1]. flatten(1) makes each frame one long row.",
        "(to_end < to_start).nonzero() lists the frames that have flipped; take the first.",
    ],
    solution=first_closer_to_end,
)
def check_flip(answer) -> str:
    for seed, flips in ((0, 3), (1, 7)):
        t = torch.zeros(10)
        t[flips:] = 0.8
        t[-1] = 1.0
        a, b = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
        found = answer(a + (b - a) * t[:, None, None, None])
        if isinstance(found, Tensor):
            if found.numel() != 1:
                raise Wrong(
                    f"it returns {found.numel()} numbers, one a frame perhaps; wanted is the index of one frame."
                )
            found = found.item()
        if found == 9:
            raise Wrong(
                "it finds the last frame, the nearest to the end; wanted is the first nearer to it than to the start."
            )
        if found == 0:
            raise Wrong("it finds frame 0, which is the start itself: are the two distances swapped?")
        if found != flips:
            raise Wrong(f"on a test walk of 10 frames that flips at frame {flips} it returns {found}.")
    return "That is the flip in pixels, mostly near the middle. Where your eye put it may be elsewhere."


def discriminator_loss(generator: nn.Module, discriminator: nn.Module, real: Tensor, z: Tensor) -> Tensor:
    fake = generator(z).detach()  # D learns here, G must not
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    real_loss = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake_loss = F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real_loss + fake_loss


@exercise(
    "00.3",
    "The missing detach",
    hints=[
        "After discriminator_loss(...).backward(), which parameters should have a gradient? Print p.grad of both.",
        "x.detach() has the same values as x and no history: backward stops there.",
    ],
    solution=discriminator_loss,
)
def check_detach(answer) -> str:
    g, d = nn.Linear(4, 6), nn.Linear(6, 1)
    real, z = torch.randn(8, 6) + 2, torch.randn(8, 4)
    wanted = discriminator_loss(g, d, real, z)
    expected = torch.autograd.grad(wanted, d.weight)[0]
    loss = answer(g, d, real, z)
    if not isinstance(loss, Tensor) or loss.ndim:
        raise Wrong("it must return one number as a tensor: the loss.")
    if not loss.requires_grad:
        raise Wrong("the loss has no gradient at all: D must learn from it. Cut the history of the fakes only.")
    d.zero_grad()
    loss.backward()
    if g.weight.grad is not None and g.weight.grad.abs().sum() > 0:
        raise Wrong("the generator received a gradient from D's loss: its fakes still carry their history.")
    fakes_called_real = -F.logsigmoid(d(g(z))).mean()
    if any(
        torch.allclose(loss - fakes_called_real, -F.logsigmoid(sign * d(real)).mean(), atol=1e-4) for sign in (1, -1)
    ):
        raise Wrong("the labels are swapped: D is asked to call fakes real.")
    if d.weight.grad is None or not torch.allclose(d.weight.grad, expected, atol=1e-5):
        raise Wrong(
            "G is safe now, but D's gradient is not that of the loss above: both terms, each on logits, are needed."
        )
    return "G's gradient stays empty, D's is untouched. Without detach, G would help D to unmask its own fakes."
