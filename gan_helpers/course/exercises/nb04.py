"""Exercises of notebook 04: coverage, resize-convolution, Keras' `same`, and luck among seeds."""

from __future__ import annotations

from itertools import combinations
from statistics import mean

import torch
import torch.nn.functional as F
from torch import nn

from . import Wrong, exercise


def covers(kernel: int, stride: int) -> list[int]:
    return [len(range(phase, kernel, stride)) for phase in range(stride)]


@exercise(
    "04.1",
    "Coverage",
    hints=[
        "On a line, input i reaches the outputs i·stride, i·stride + 1, … i·stride + kernel - 1.",
        "Output `phase` is reached by the taps phase, phase + stride, phase + 2·stride, … of the kernel. Count them.",
    ],
    solution=covers,
)
def check_covers(answer) -> str:
    for kernel, stride in ((5, 2), (4, 2), (3, 2), (7, 3), (6, 4), (2, 3)):
        found = list(map(int, answer(kernel, stride)))
        line = F.conv_transpose1d(torch.ones(1, 1, 30), torch.ones(1, 1, kernel), stride=stride).int()[0, 0]
        start = 10 * stride  # far from the ends
        right = line[start : start + stride].tolist()
        if found == right:
            continue
        case = f"kernel {kernel}, stride {stride}"
        if len(found) != stride:
            raise Wrong(f"{case}: {len(found)} numbers; the pattern repeats every {stride} outputs.")
        if len(set(found)) == 1 < len(set(right)):
            raise Wrong(f"{case}: not every output is covered alike; an all-ones transposed convolution gives {right}.")
        if sorted(found) == sorted(right):
            raise Wrong(f"{case}: the right numbers in another order; output 0 comes first: {right}.")
        raise Wrong(f"{case}: it says {found}; an all-ones transposed convolution gives {right}.")
    return "Even exactly where the stride divides the kernel. Whether the picture is even is another matter: section 3."


def double(c_in: int, c_out: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c_in, c_out, 3, padding=1))


@exercise(
    "04.2",
    "Repair by resize-convolution",
    hints=["First double the map (nn.Upsample), then convolve with stride 1.", "A 3x3 convolution needs padding 1."],
    solution=double,
)
def check_double(answer) -> str:
    net = answer(6, 4)
    if not isinstance(net, nn.Module):
        raise Wrong(f"it must return a layer (nn.Module), or several in nn.Sequential; got {type(net).__name__}.")
    with torch.no_grad():
        for weights in net.parameters():
            weights.normal_()  # "whatever its weights are"
        out = net(torch.ones(1, 6, 10, 10))
        if out.shape[2:] != (20, 20):
            raise Wrong(f"from 10x10 it makes {out.shape[2]}x{out.shape[3]}; wanted is 20x20.")
        if out.shape[1] != 4:
            raise Wrong(f"from 6 to 4 channels: it returns {out.shape[1]}.")
        inner = out[:, :, 6:-6, 6:-6]
        if any(isinstance(m, nn.ConvTranspose2d) for m in net.modules()) and inner.std((2, 3)).max() > 1e-4:
            raise Wrong("an even input gives a chessboard: the four phases have weights of their own. Don't transpose.")
        if inner.std((2, 3)).max() > 1e-4:
            raise Wrong("an even input must give an even map, away from the border.")
        out = net(torch.randn(1, 6, 10, 10))
        blocks = out.unflatten(2, (10, 2)).unflatten(4, (10, 2))  # (1, 4, 10, 2, 10, 2)
    if (blocks - blocks[:, :, :, :1, :, :1]).abs().max() < 1e-6:
        raise Wrong("each 2x2 block has one value: convolve *after* the resize, or no detail is finer than two pixels.")
    return "An even input stays even whatever the weights are. It costs more: the convolution works on the larger map."


def translate(kernel: int, stride: int) -> tuple[int, int]:
    cut = kernel - stride  # of what a transposed convolution makes without padding
    return cut // 2, cut % 2


@exercise(
    "04.3",
    "Keras' same, transposed",
    hints=[
        "Without padding the output has (S - 1)·stride + kernel pixels; Keras keeps S·stride. How many are cut in all?",
        "Keras cuts the smaller half in front. PyTorch's padding cuts as much at both ends; the crop is what is left.",
    ],
    solution=translate,
)
def check_translate(answer) -> str:
    for kernel, stride in ((4, 2), (5, 2), (3, 2), (5, 1), (7, 3), (4, 1)):
        padding, crop = map(int, answer(kernel, stride))
        case = f"kernel {kernel}, stride {stride}: padding {padding} and crop {crop}"
        x, w = torch.arange(1.0, 9).view(1, 1, 8), torch.arange(1.0, kernel + 1).view(1, 1, kernel)
        before = (kernel - stride) // 2
        whole = F.conv_transpose1d(x, w, stride=stride)[0, 0]
        right = whole[before : before + 8 * stride]
        if padding < 0 or crop < 0 or 2 * padding + crop >= len(whole):
            raise Wrong(f"{case} cannot be.")
        found = whole[padding : len(whole) - padding - crop]
        if len(found) != len(right):
            raise Wrong(f"{case}: 8 pixels become {len(found)}; Keras makes {len(right)}.")
        if not torch.equal(found, right):
            raise Wrong(f"{case}: the size is right, the place is not; Keras cuts {before} in front.")
    return "k5 s2 is (1, 1), as in section 7. Where kernel - stride is even, as in k4 s2, nothing is left to crop."


def luck(a: list[float], b: list[float]) -> float:
    scores, gap = [*a, *b], abs(mean(a) - mean(b))
    deals = list(combinations(range(len(scores)), len(a)))
    gaps = []
    for mine in deals:
        theirs = [scores[i] for i in range(len(scores)) if i not in mine]
        gaps.append(abs(mean(scores[i] for i in mine) - mean(theirs)))
    return sum(g >= gap - 1e-12 for g in gaps) / len(deals)


@exercise(
    "04.4",
    "Is A better than B?",
    hints=[
        "If A and B were the same, any three of the six scores could have been A's. itertools.combinations lists them.",
        "For each way to deal the scores: the distance between the two means. Count those at least as large as yours.",
    ],
    solution=luck,
)
def check_luck(answer) -> str:
    cases = (
        ([61.0, 64.0, 63.0], [70.0, 75.0, 72.0]),
        ([61.0, 74.0, 63.0], [70.0, 75.0, 62.0]),
        ([30.0, 31.0, 32.0, 33.0, 34.0], [20.0, 21.0, 22.0, 23.0, 24.0]),
        ([5.0, 6.0], [7.0, 9.0, 8.0, 6.5]),
    )
    for a, b in cases:
        found, right = float(answer(list(a), list(b))), luck(a, b)
        if abs(found - right) < 1e-9:
            continue
        case = f"for {a} against {b}"
        if abs(found - (1 - right)) < 1e-9:
            raise Wrong(f"{case} it returns {found:.3g}: that is the share of *smaller* gaps.")
        if abs(found - right / 2) < 1e-9:
            raise Wrong(f"{case} it counts one direction only; B might have won by as much, so take the gap's size.")
        if found == 0 or found < right:
            raise Wrong(f"{case} it returns {found:.3g}; your own deal counts, too: at least as large, not larger.")
        raise Wrong(f"{case} it returns {found:.3g}; of all deals, {right:.3g} have a gap at least as large.")
    return "Three against three can never get below 1 in 10, however clear it looks. Five against five reach 1 in 126."
