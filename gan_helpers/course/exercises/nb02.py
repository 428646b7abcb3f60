"""Exercises of notebook 02: layers for another size, batch-mates, and the moving average."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from . import Wrong, exercise

LAYERS_32 = [(100, 256, 4, 1, 0), (256, 128, 4, 2, 1), (128, 64, 4, 2, 1), (64, 3, 4, 2, 1)]


@exercise(
    "02.1",
    "A generator for 32 pixels",
    hints=[
        "Start at 1x1 and apply out = (in - 1)·stride - 2·padding + kernel to each layer of the 64-pixel net.",
        "The sizes you want are 4, 8, 16, 32: one doubling fewer than for 64 pixels.",
    ],
    solution="layers = " + repr(LAYERS_32),
)
def check_layers(layers: list) -> str:
    if not all(isinstance(row, (tuple, list)) and len(row) == 5 for row in layers):
        raise Wrong("each layer is five numbers: (channels in, channels out, kernel, stride, padding).")
    size, channels, sizes = 1, layers[0][0], []
    for k, (c_in, c_out, kernel, stride, padding) in enumerate(layers, 1):
        if c_in != channels:
            raise Wrong(f"layer {k} takes {c_in} channels, but it is given {channels}.")
        size, channels = (size - 1) * stride - 2 * padding + kernel, c_out
        sizes.append(size)
        if k == 1 and size != 4:
            raise Wrong(f"the first layer makes {size}x{size}; wanted is 4x4 from 1x1.")
    if size == 64:
        raise Wrong("that is the net for 64 pixels: one doubling too many.")
    if size in (34, 66):
        raise Wrong(
            f"it makes {size}x{size}: two too many. Which padding is missing? (A published DCGAN made this very slip.)"
        )
    if size != 32:
        raise Wrong(f"it makes {size}x{size} images.")
    if sizes != [4, 8, 16, 32]:
        raise Wrong(f"it goes through {', '.join(map(str, sizes))} pixels; wanted are 4, 8, 16 and 32.")
    if layers[0][0] != 100 or channels != 3:
        raise Wrong(f"it turns {layers[0][0]} numbers into {channels} channels; wanted are 100 and 3.")
    return "4, 8, 16, 32. The helpers build every size by the same rule: dcgan.Generator(image_size=...)."


def share_changed(generator: nn.Module, z: Tensor, mates: Tensor) -> float:
    with torch.no_grad():
        alone = generator(z)[0]  # (C, S, S)
        beside = generator(torch.cat([z[:1], mates]))[0]
    return ((alone - beside).abs() > 1 / 255).float().mean().item()


@exercise(
    "02.2",
    "Batch-mates",
    hints=[
        "Two calls: one with z, one with torch.cat([z[:1], mates]); compare image 0 of both.",
        "A value counts as changed if it moves by more than 1/255: (a - b).abs() > 1 / 255. Its mean is the share.",
    ],
    solution=share_changed,
)
def check_mates(answer) -> str:
    generator = nn.Sequential(nn.Linear(6, 48), nn.BatchNorm1d(48), nn.Tanh(), nn.Unflatten(1, (3, 4, 4)))
    z = torch.randn(8, 6)
    mates = z[1:] + 0.05 * torch.randn(7, 6)  # so like the others that only some of the values move
    for training in (False, True):
        found = answer(copy.deepcopy(generator).train(training), z, mates)
        expected = share_changed(copy.deepcopy(generator).train(training), z, mates)
        found = found.item() if isinstance(found, Tensor) and found.numel() == 1 else found
        if not isinstance(found, (int, float)):
            raise Wrong("it must return one number, a share between 0 and 1.")
        if training and found == 0:
            raise Wrong("it finds no change in training mode. Does it switch to eval, or compare an image with itself?")
        if not training and found > 0:
            raise Wrong("it finds a change in evaluation mode: does it compare image 0 with image 0, from the same z?")
        if abs(found - expected) > 0.02:
            raise Wrong(f"on a test net the share is {expected:.2f}, not {found:.2f}. Count moves of more than 1/255.")
    return "In training mode an image depends on the company it keeps. Sample in evaluation mode, always."


@torch.no_grad()
def update_ema(ema: nn.Module, net: nn.Module, decay: float) -> None:
    for mine, theirs in zip(ema.state_dict().values(), net.state_dict().values()):  # noqa: B905
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - decay)  # decay * mine + (1 - decay) * theirs, in place
        else:
            mine.copy_(theirs)


@exercise(
    "02.3",
    "The moving average",
    hints=[
        "state_dict() holds parameters and BatchNorm's statistics; its tensors share memory with the net.",
        "Change them in place (lerp_, copy_, mul_ and add_): a new tensor would be thrown away.",
        "num_batches_tracked is a whole number: copy it.",
    ],
    solution=update_ema,
)
def check_ema(answer) -> str:
    net, ema = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    with torch.no_grad():
        net[1].weight.mul_(2)  # or else they would be equal in both from the start
        net[1].bias.add_(1)
    for _ in range(3):
        net(torch.randn(9, 3))
    old, new = copy.deepcopy(ema.state_dict()), copy.deepcopy(net.state_dict())
    try:
        result = answer.__wrapped__(ema, net, 0.9) if hasattr(answer, "__wrapped__") else answer(ema, net, 0.9)
    except RuntimeError as error:
        if "requires grad" in str(error):
            raise Wrong(
                "a parameter that requires its gradient was changed in place: put it under torch.no_grad()."
            ) from None
        raise
    del result
    now, weight, counter = ema.state_dict(), "0.weight", "1.num_batches_tracked"
    if any(not torch.equal(new[k], v) for k, v in net.state_dict().items()):
        raise Wrong("net itself was changed: only ema may move.")
    if torch.equal(now[weight], old[weight]):
        raise Wrong("ema's weights did not move. Was a new tensor made, and then thrown away? Change them in place.")
    if torch.allclose(now[weight], 0.1 * old[weight] + 0.9 * new[weight], atol=1e-6):
        raise Wrong("decay and 1 - decay are swapped: with decay .9 the average keeps nine tenths of itself.")
    if not torch.allclose(now[weight], 0.9 * old[weight] + 0.1 * new[weight], atol=1e-6):
        raise Wrong("the weights are not decay · ema + (1 - decay) · net.")
    for stat in ("1.running_mean", "1.running_var"):
        if torch.equal(now[stat], old[stat]):
            raise Wrong(f"{stat} stayed behind: parameters() does not hold BatchNorm's statistics, state_dict() does.")
        if not torch.allclose(now[stat], 0.9 * old[stat] + 0.1 * new[stat], atol=1e-6):
            raise Wrong("the running statistics must be averaged like the weights.")
    for name in ("0.bias", "1.weight", "1.bias"):
        if not torch.allclose(now[name], 0.9 * old[name] + 0.1 * new[name], atol=1e-6):
            raise Wrong(f"{name} was left out: everything that is a fraction is averaged.")
    if now[counter] != new[counter]:
        raise Wrong("num_batches_tracked counts batches: copy it, an average of counters means nothing.")
    return "The averaged generator is what every grid, slider and score of this course shows."
