"""Grow a DCGAN to twice its image size without changing what it does: coarse things are learned where steps are cheap.

Karras et al. 2018 (arXiv:1710.10196) fade new layers in. Here they start as what they replace, as in Net2Net (Chen,
Goodfellow & Shlens 2016, arXiv:1511.05641): G's enlarge the small image, D's average 2x2 pixels, and only the channels
left over are new. So both go on from what they know, and learn what only large images show.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from .errors import CourseError
from .models.dcgan import Discriminator, Generator
from .temporary import evaluating
from .training import Trainer


def copy_layers(small: nn.Sequential, big: nn.Sequential) -> None:
    """Weights and statistics of layers that both have."""
    for theirs, mine in zip(small, big, strict=True):
        mine.load_state_dict(theirs.state_dict())


def make_transparent(norm: nn.BatchNorm2d, x: Tensor, channels: int) -> None:
    """Let BatchNorm expect the statistics of x (N, C, H, W), and give the first `channels` back as they came."""
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0)  # (C,) (C,)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(var)
    norm.weight[:channels], norm.bias[:channels] = (var + norm.eps).sqrt()[:channels], mean[:channels]


def kernels(profile: tuple[float, ...], like: Tensor) -> Tensor:
    """4x4 kernels (C, C, 4, 4) that treat all channels alike: the outer product of `profile` with itself."""
    line, each = like.new_tensor(profile), torch.eye(len(like), dtype=like.dtype, device=like.device)
    return each[:, :, None, None] * torch.outer(line, line)


@torch.no_grad()
def grow_generator(small: Generator, big: Generator, z: Tensor) -> None:
    """Set `big`, of twice the size and half the width, to the images of `small`, enlarged by linear interpolation.

    A ReLU keeps only what is positive, so the image passes it twice, as itself and negated: x = relu(x) - relu(-x).

    Args:
        z: (N, latent_dim), for BatchNorm's statistics.
    """
    *kept, image, _ = small.layers  # image: (N, 2w, S/2, S/2) → (N, c, S, S) before the tanh
    *same, conv, norm, _, last, _ = big.layers  # conv: → (N, w, S, S), last: → (N, c, 2S, 2S)
    copy_layers(kept, same)
    c = image.out_channels
    conv.weight[:, :c], conv.weight[:, c : 2 * c] = image.weight, -image.weight
    with evaluating(big):  # or the statistics of the copied layers would move
        make_transparent(norm, conv(nn.Sequential(*same)(z[:, :, None, None])), 2 * c)
    last.weight.zero_()  # the new channels say nothing yet
    last.weight[:c] = kernels((0.25, 0.75, 0.75, 0.25), last.weight[:c])  # bilinear
    last.weight[c : 2 * c] = -last.weight[:c]


@torch.no_grad()
def grow_discriminator(small: Discriminator, big: Discriminator, x: Tensor) -> None:
    """Set `big`, of twice the size and half the width, to what `small` says of x averaged over 2x2 pixels.

    Args:
        x: images of the new size, (N, c, 2S, 2S) in [-1, 1], for BatchNorm's statistics.
    """
    first, *kept = small.layers  # first: (N, c, S, S) → (N, 2d, S/2, S/2)
    half, relu, conv, norm, *same = big.layers  # half: (N, c, 2S, 2S) → (N, d, S, S), conv: → (N, 2d, S/2, S/2)
    copy_layers(kept, same)
    c = half.in_channels
    half.weight[:c] = kernels((0, 0.5, 0.5, 0), half.weight[:c])  # the mean of 2x2
    half.weight[c : 2 * c] = -half.weight[:c]
    conv.weight.zero_()
    conv.weight[:, :c] = first.weight / (1 + relu.negative_slope)  # leaky(x) - leaky(-x) = (1 + slope)·x
    conv.weight[:, c : 2 * c] = -conv.weight[:, :c]
    make_transparent(norm, conv(relu(half(x))), len(norm.weight))


def grow(trainer: Trainer, images: np.ndarray, **changes) -> Trainer:
    """A new run that goes on from a trained one with images and nets of twice the size, and half as many maps a layer.

    Every layer that both nets have keeps its width: a 32x32 G of width 32 becomes a 64x64 G of width 16.

    Args:
        trainer: of the family dcgan without labels, with net.d_norm='batch' and even widths.
        images: uint8 (M, channels, 2S, 2S).
        changes: of the recipe, such as a budget for what follows.

    Raises:
        CourseError: another kind of recipe, widths that leave no room, or images of the wrong size.
    """
    old = trainer.recipe
    room = 4 * old.channels  # two copies of the image, in half the width
    if (old.family, old.labels) != ("dcgan", "") or old.net.d_norm != "batch":
        raise CourseError("Only recipes of the family dcgan without labels and with net.d_norm=batch can grow.")
    if old.g_width % 2 or old.d_width % 2 or min(old.g_width, old.d_width) < room:
        raise CourseError(
            f"To grow, g_width and d_width must be even and at least {room}; got {old.g_width}, {old.d_width}."
        )
    sizes = dict(image_size=2 * old.image_size, g_width=old.g_width // 2, d_width=old.d_width // 2)
    new = Trainer(old.but(**sizes, **changes), images, trainer.device.type, trainer.dtype)
    with new.seeded(0x960):
        z = torch.randn(256, old.latent_dim, device=new.device, dtype=new.dtype)
        grow_generator(trainer.generator, new.generator, z)
        if old.ema:
            grow_generator(trainer.ema, new.ema, z)
    some = torch.cat([new.real_batch(i) for i in range(1 + 255 // old.batch_size)])
    grow_discriminator(trainer.discriminator, new.discriminator, some)
    return new
