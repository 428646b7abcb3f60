"""The nets, one file a family; `build_generator` and `build_discriminator` make the pair that a recipe describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from . import auxiliary, best, dcgan, fid, genzoo, linear, residual, sagan
from .blocks import OnePerClass

if TYPE_CHECKING:
    from ..recipes import Recipe


def build_generator(recipe: Recipe) -> nn.Module:
    """A freshly initialised generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1].

    It has `latent_dim`, and `num_classes`: 0, or the number of classes of the y (N,) int that it then takes after z.
    """
    r = recipe
    classes = r.num_classes if r.conditional else 0
    size, basic = r.image_size, (r.channels, r.latent_dim, r.g_width)
    make = {
        "dcgan": lambda: dcgan.Generator(size, *basic),
        "auxiliary": lambda: auxiliary.Generator(
            *basic, r.block, r.slope, 0 if r.labels == "pairs" else classes, r.learned_latent
        ),
        "genzoo": lambda: genzoo.Generator(size, *basic, r.slope),
        "linear": lambda: linear.Generator(*basic),
        "fid": lambda: fid.Generator(*basic, r.slope),
        "sagan": lambda: sagan.Generator(*basic, r.slope, classes),
        "best": lambda: best.Generator(size, *basic, 0 if r.labels == "pairs" else classes, r.attention),
        "residual": lambda: residual.Generator(size, *basic, classes),
    }[r.family]
    net = OnePerClass(make() for _ in range(classes)) if r.labels == "pairs" else make()
    net.latent_dim, net.num_classes = r.latent_dim, classes
    return net


def build_discriminator(recipe: Recipe) -> nn.Module:
    """A freshly initialised discriminator: images (N, C, S, S) in [-1, 1] → logits (N,).

    With `labels` 'pairs' or 'conditional' it takes y after the images; with 'real' or 'acgan' it returns the logits
    and the class logits (N, num_classes).
    """
    r = recipe
    size, c, w, classes = r.image_size, r.channels, r.d_width, r.num_classes
    make = {
        "dcgan": lambda: dcgan.Discriminator(size, c, w, r.d_norm, r.slope),
        "auxiliary": lambda: auxiliary.Discriminator(c, w, r.block, r.slope, classes if r.class_head else 0),
        "genzoo": lambda: genzoo.Discriminator(size, c, w, r.slope, r.d_dropout),
        "linear": lambda: linear.Discriminator(c, w, r.slope),
        "fid": lambda: fid.Discriminator(c, w, r.slope, r.d_dropout),
        "sagan": lambda: sagan.Discriminator(c, w, r.d_norm, r.slope, classes),
        "best": lambda: best.Discriminator(
            size,
            c,
            w,
            r.d_norm,
            r.slope,
            classes if r.labels == "conditional" else 0,
            r.attention,
            classes if r.class_head else 0,
        ),
        "residual": lambda: residual.Discriminator(
            size, c, w, r.d_norm, classes if r.labels == "conditional" else 0, classes if r.class_head else 0
        ),
    }[r.family]
    return OnePerClass(make() for _ in range(classes)) if r.labels == "pairs" else make()


def count_parameters(net: nn.Module) -> int:
    """Trainable numbers in a net."""
    return sum(p.numel() for p in net.parameters())
