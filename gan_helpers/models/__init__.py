"""The nets, one file a family: a generator, a discriminator, and a `Family` that builds them from a recipe.

To add one, put a file here; it is found by its `Family`. `blocks` holds what several families share.

In all files `image_size` (pixels), `channels` and `latent_dim` are of image and z; `width` is the number of feature
maps of G's last hidden layer and of D's first; `slope` is LeakyReLU's, `norm` the normalisation in D ('batch',
'spectral' or 'none'), and `classes` is 0 or how many classes a net is told.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from torch import nn

from . import blocks
from .blocks import OnePerClass

if TYPE_CHECKING:
    from ..recipes import Recipe

_files = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
FAMILIES = {file.__name__.rpartition(".")[2]: file.Family for file in _files if file is not blocks}


def build_generator(recipe: Recipe) -> nn.Module:
    """A freshly initialised generator: z (N, latent_dim) → images (N, C, S, S) in [-1, 1].

    It has `latent_dim`, and `num_classes`: 0, or the number of classes of the y (N,) int that it then takes after z.
    """
    net = _build(recipe.net.generator, recipe)
    net.latent_dim, net.num_classes = recipe.latent_dim, recipe.num_classes if recipe.conditional else 0
    return net


def build_discriminator(recipe: Recipe) -> nn.Module:
    """A freshly initialised discriminator: images (N, C, S, S) in [-1, 1] → logits (N,).

    With `labels` 'pairs' or 'conditional' it takes y after the images; with 'real' or 'acgan' it returns the logits
    and the class logits (N, num_classes).
    """
    return _build(recipe.net.discriminator, recipe)


def _build(make, recipe: Recipe) -> nn.Module:
    """The net that `make` builds, or one for each class."""
    if recipe.labels == "pairs":
        return OnePerClass(make(recipe) for _ in range(recipe.num_classes))
    return make(recipe)


def count_parameters(net: nn.Module) -> int:
    """Trainable numbers in a net."""
    return sum(p.numel() for p in net.parameters())
