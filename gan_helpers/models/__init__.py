"""The nets, one file a family; `build` makes the pair that a recipe describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from . import dcgan

if TYPE_CHECKING:
    from ..recipes import Recipe


def build_generator(recipe: Recipe) -> nn.Module:
    """A freshly initialised generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1]."""
    return dcgan.Generator(recipe.image_size, recipe.channels, recipe.latent_dim, recipe.g_width)


def build_discriminator(recipe: Recipe) -> nn.Module:
    """A freshly initialised discriminator: images (N, C, S, S) in [-1, 1] → logits (N,)."""
    return dcgan.Discriminator(recipe.image_size, recipe.channels, recipe.d_width, recipe.d_norm, recipe.slope)


def count_parameters(net: nn.Module) -> int:
    """Trainable numbers in a net."""
    return sum(p.numel() for p in net.parameters())
